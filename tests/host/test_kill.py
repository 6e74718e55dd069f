"""A node that was killed: what it made of the machine is adopted or gone when it starts again."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import Any

import pytest

from tests.host.machine import addresses, ask, devices, ip, routes, wait_for
from tests.unit.vl1.mesh import identity, planet
from ztlink.derive import interface_names
from ztlink.ids import NetworkId
from ztlink.wire.netconf import NetworkConfig, Route

pytestmark = [pytest.mark.netadmin, pytest.mark.usefixtures("own_network")]

OWN = identity(1)
ONE, TWO = NetworkId(0x8056C2E21C000001), NetworkId(0x8056C2E21C000002)
FIRST, SECOND = (next(interface_names(network)) for network in (ONE, TWO))
PORT = 9993
MACHINE = {"lo", "eth0", "far0"}


def config(network_id: NetworkId, address: str) -> NetworkConfig:
    """Return a configuration as it is kept: an address, routes to the device and a gateway."""
    return NetworkConfig(
        network_id=network_id,
        timestamp=1_700_000_000_000,
        issued_to=OWN.address,
        addresses=(ip_interface(address),),
        routes=(
            Route(ip_interface("10.77.0.0/24"), None),
            Route(ip_interface("10.88.0.0/16"), ip_address("10.77.0.1")),
            Route(ip_interface("10.99.0.0/16"), None),
            Route(ip_interface("0.0.0.0/0"), ip_address("10.77.0.1")),
        ),
    )


@dataclass
class Node:
    """`ztlink node` on a home."""

    home: Path
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        command = (sys.executable, "-m", "ztlink", "node", "--home", str(self.home))
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log, start_new_session=True)
        wait_for(self.answers)

    def ask(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - any JSON
        token = (self.home / "authtoken.secret").read_text()
        connection = HTTPConnection("127.0.0.1", PORT, timeout=10)
        connection.request(method, path, json.dumps(body), {"X-ZT1-Auth": token})
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.home / "log").read_text()
        try:
            return bool(self.ask("GET", "/status"))
        except OSError:
            return False

    def end(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(30)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    ip("link", "add", "eth0", "type", "veth", "peer", "name", "far0")
    ip("link", "set", "far0", "up")
    ip("address", "add", "10.0.0.2/24", "dev", "eth0")
    ip("link", "set", "eth0", "up")
    ip("route", "add", "default", "via", "10.0.0.254")
    (tmp_path / "identity.secret").write_text(OWN.to_text())
    (tmp_path / "planet").write_bytes(planet(0).to_bytes())
    (tmp_path / "networks.d").mkdir()
    for network_id, address in ((ONE, "10.77.0.2/24"), (TWO, "10.77.0.3/24")):
        file = tmp_path / "networks.d" / f"{network_id:016x}.conf"
        file.write_bytes(config(network_id, address).encode())
    made = Node(tmp_path)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.end(signal.SIGKILL)


def is_configured() -> bool:
    return (
        {FIRST, SECOND} <= devices()
        and addresses(FIRST) == {"10.77.0.2/24"}
        and addresses(SECOND) == {"10.77.0.3/24"}
        and {"10.88.0.0/16", "10.99.0.0/16"} <= routes("dev", FIRST)
        and {"10.88.0.0/16", "10.99.0.0/16"} <= routes("dev", SECOND)
    )


def test_two_networks_with_the_same_ranges_are_configured_from_what_was_kept(node: Node) -> None:
    node.start()
    wait_for(is_configured)
    networks = node.ask("GET", "/network")
    assert [network["status"] for network in networks] == ["OK", "OK"]


def test_what_a_killed_node_made_goes_with_it(node: Node) -> None:
    node.start()
    wait_for(is_configured)
    node.end(signal.SIGKILL)
    wait_for(lambda: devices() == MACHINE)
    assert routes() >= {"default"}
    assert routes("proto", "90") == set()


def test_a_killed_node_has_its_devices_back_when_it_starts_again(node: Node) -> None:
    node.start()
    wait_for(is_configured)
    for _ in range(3):
        node.end(signal.SIGKILL)
        node.start()
        wait_for(is_configured)
    assert devices() == MACHINE | {FIRST, SECOND}


def test_a_node_that_is_stopped_leaves_the_machine_as_it_was(node: Node) -> None:
    before = devices(), routes(), addresses("eth0")
    node.start()
    wait_for(is_configured)
    node.end(signal.SIGTERM)
    assert (devices(), routes(), addresses("eth0")) == before
    assert not (node.home / "zerotier-one.pid").exists()


def test_a_device_has_the_name_that_a_device_map_wishes(node: Node) -> None:
    (node.home / "devicemap").write_text(f"{ONE:016x}=office\n")
    node.start()
    wait_for(lambda: "office" in devices() and addresses("office") == {"10.77.0.2/24"})
    assert FIRST not in devices()


def test_a_device_of_the_wished_name_that_others_made_is_left_alone(node: Node) -> None:
    ip("tuntap", "add", "dev", "office", "mode", "tap", "vnet_hdr")
    (node.home / "devicemap").write_text(f"{ONE:016x}=office\n")
    node.start()
    wait_for(is_configured)
    assert addresses("office") == set()


def test_default_routes_wait_for_permission_and_for_a_root(node: Node) -> None:
    node.start()
    wait_for(is_configured)
    node.ask("POST", f"/network/{ONE:016x}", {"allowDefault": True})
    assert node.ask("GET", f"/network/{ONE:016x}")["allowDefault"] is True
    assert not {"0.0.0.0/1", "128.0.0.0/1"} & routes()  # no root answers here
    kept = node.home / "networks.d" / f"{ONE:016x}.local.conf"
    wait_for(kept.exists)  # it is written beside the answer
    assert "allowDefault=1" in kept.read_text()


def test_settings_are_in_force_after_a_kill(node: Node) -> None:
    node.start()
    wait_for(is_configured)
    node.ask("POST", f"/network/{ONE:016x}", {"allowManaged": False})
    wait_for(lambda: addresses(FIRST) == set())
    file = node.home / "networks.d" / f"{ONE:016x}.local.conf"
    wait_for(file.exists)
    node.end(signal.SIGKILL)
    node.start()
    wait_for(lambda: SECOND in devices() and addresses(SECOND) == {"10.77.0.3/24"})
    wait_for(lambda: FIRST in devices() and bool(ask("link", "show", FIRST)))
    time.sleep(0.5)
    assert addresses(FIRST) == set()


def test_all_files_of_state_are_for_their_owner_alone(node: Node) -> None:
    node.start()
    wait_for(is_configured)
    node.ask("POST", f"/network/{ONE:016x}", {"allowDNS": True})
    file = node.home / "networks.d" / f"{ONE:016x}.local.conf"
    wait_for(file.exists)
    node.end(signal.SIGTERM)
    open_to_all = {"identity.public", "zerotier-one.port", "log", "planet"}
    modes = {
        str(path.relative_to(node.home)): path.stat().st_mode & 0o077
        for path in node.home.rglob("*")
        if path.is_file() and path.name not in open_to_all
    }
    given = {"identity.secret", f"networks.d/{ONE:016x}.conf", f"networks.d/{TWO:016x}.conf"}
    assert {name for name, mode in modes.items() if mode} <= given  # as the test wrote them
