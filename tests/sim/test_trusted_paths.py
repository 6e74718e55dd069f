"""Networks in which packets travel without protection, because an operator said so (suite 2)."""

from ipaddress import ip_network

import pytest

from tests.sim.internet import Host
from tests.sim.link import Datagram
from tests.sim.mesh import ADHOC, Mesh, endpoint_of
from tests.sim.node import DEFAULT_PORT, SimNode
from ztlink.batch import CipherSuite
from ztlink.node.core import CoreSettings
from ztlink.stats import Drop
from ztlink.vl1.context import PhysicalNetwork
from ztlink.wire.packet import MASK_SUITE, OFFSET_FLAGS, SHIFT_SUITE

PATH_ID = 7


def suite_of(datagram: Datagram) -> int:
    """Return the cipher suite that a packet names."""
    return (datagram.payload[OFFSET_FLAGS] & MASK_SUITE) >> SHIFT_SUITE


def trusting(number: int, *hosts: Host) -> CoreSettings:
    """Return settings by which the paths to some hosts need no protection."""
    ends = [endpoint for host in hosts for endpoint in host.bind(DEFAULT_PORT).values()]
    networks = [PhysicalNetwork(ip_network(f"{end.ip}/32"), trusted_path_id=number) for end in ends]
    return CoreSettings(physical=tuple(networks))


def pair(second_id: int = PATH_ID) -> tuple[Mesh, SimNode, SimNode]:
    """Return two nodes with a direct path that both have a trusted path id for."""
    mesh = Mesh(seed=31)
    hosts = [mesh.world.add_host(name) for name in ("a", "b")]
    a = mesh.add_on(hosts[0], settings=trusting(PATH_ID, hosts[1]))
    b = mesh.add_on(hosts[1], settings=trusting(second_id, hosts[0]))
    for node in (a, b):
        node.join(ADHOC)
    mesh.wait_joined(ADHOC)
    mesh.ping(a, b, ADHOC)
    mesh.wait_direct(a, b)
    mesh.run(1.0)
    return mesh, a, b


def test_a_frame_passes_on_a_trusted_path() -> None:
    mesh, a, b = pair()
    assert mesh.ping_and_wait(a, b, ADHOC) is not None


def test_packets_on_a_trusted_path_are_not_protected() -> None:
    mesh, a, b = pair()
    suites: set[int] = set()
    mesh.world.watch(lambda datagram: suites.add(suite_of(datagram)))
    mesh.ping_and_wait(a, b, ADHOC)
    assert CipherSuite.TRUSTED in suites


@pytest.mark.parametrize("size", [1400, 2700])
def test_a_frame_in_several_datagrams_passes_on_a_trusted_path(size: int) -> None:
    mesh, a, b = pair()
    destination = b.port(ADHOC).address(4)
    assert destination is not None
    ping = a.port(ADHOC).ping(destination, size=size)
    mesh.run(2.0)
    assert ping.answered is not None


def test_a_trusted_path_that_carries_traffic_is_not_probed() -> None:
    mesh, a, b = pair()
    probes: list[bytes] = []

    def watch(datagram: Datagram) -> None:
        ends = (datagram.source, datagram.destination)
        if ends == (endpoint_of(a), endpoint_of(b)) and suite_of(datagram) != CipherSuite.TRUSTED:
            probes.append(datagram.payload)

    mesh.keep_pinging(a, b, ADHOC, interval=0.2, seconds=10.0)
    mesh.run(1.0)
    mesh.world.watch(watch)
    mesh.run(8.0)
    assert not probes


def test_an_unprotected_packet_of_another_trust_is_refused() -> None:
    mesh, a, b = pair(second_id=PATH_ID + 1)
    before = b.core.stats.drops[Drop.BAD_SUITE]
    assert mesh.ping_and_wait(a, b, ADHOC) is None
    assert b.core.stats.drops[Drop.BAD_SUITE] > before
