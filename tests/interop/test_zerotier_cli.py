"""The original's command line tool, unmodified, against our node: it works as against its own."""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.lab.fixtures import NewLab
from tests.lab.mesh import NETWORK, Layout, Mesh, Side, Workshop, build_mesh
from tests.lab.node import LabNode
from tests.lab.wait import wait_until
from tests.unit.api.recorded import objects, shape
from tests.vectors.loading import load
from ztlink.crypto.identity import sign
from ztlink.ids import Endpoint
from ztlink.wire.world import Root, World, WorldType

pytestmark = [pytest.mark.interop, pytest.mark.netadmin]

OURS, REFERENCE = Side.OURS, Side.REFERENCE
OUR_FIELDS = {"statusReason": "str"}
"""What our networks have beside the original's."""


@dataclass(frozen=True, slots=True)
class Tool:
    """`zerotier-cli` on the host of a node."""

    node: LabNode
    program: str

    def run(self, *arguments: str, directory: str = "/tmp") -> "subprocess.CompletedProcess[str]":  # noqa: S108
        """Run it against the node's home."""
        entry = self.node.host.namespace.entry
        command = (*entry, self.program, "-q", f"-D{self.node.home}", *arguments)
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=60, cwd=directory
        )

    def said(self, *arguments: str) -> str:
        """Run it, expect it to be fine, and return what it printed."""
        done = self.run(*arguments)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    def json(self, *arguments: str) -> Any:  # noqa: ANN401 - any JSON
        return json.loads(self.said("-j", *arguments))


@pytest.fixture(scope="module")
def mesh(new_lab: NewLab, workshop: Workshop) -> Iterator[Mesh]:
    """Our member and one of theirs under our root and controller, joined."""
    with new_lab() as lab:
        mesh = build_mesh(lab, Layout(OURS, OURS, (OURS, REFERENCE)), workshop)
        mesh.begin(NETWORK | {"dns": {"domain": "lab.example", "servers": ["10.77.0.53"]}})
        yield mesh


@pytest.fixture
def tool(mesh: Mesh, workshop: Workshop) -> Tool:
    return Tool(mesh.members[0], str(workshop.zerotier_one))


def recorded(command: str) -> str:
    """Return what the original printed for a command."""
    return next(
        str(entry["stdout"])
        for entry in reversed(load("localapi.json")["entries"])
        if entry.get("command") == f"zerotier-cli -D{{home}} {command}" and not entry["exit_code"]
    )


def same_shape(ours: object, theirs: object) -> bool:
    """Tell whether two values have the same fields, of the same types; empty lists fit any."""
    match ours, theirs:
        case dict(), dict():
            extra = ours.keys() - theirs.keys() - OUR_FIELDS.keys()
            return not extra and all(
                key in ours and same_shape(ours[key], value) for key, value in theirs.items()
            )
        case list(), list():
            return not ours or not theirs or all(same_shape(one, theirs[0]) for one in ours)
        case None, str() | None:
            return True
        case str(), None:
            return True
        case _:
            return shape(ours) == shape(theirs)


# -- what it shows -------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["info", "status"])
def test_info(tool: Tool, command: str) -> None:
    assert tool.said(command) == f"200 info {tool.node.address} 1.14.1 ONLINE\n"


@pytest.mark.parametrize("command", ["info", "status"])
def test_info_as_json(tool: Tool, command: str) -> None:
    assert same_shape(tool.json(command), objects("/status")[0])


def test_listpeers(tool: Tool, mesh: Mesh) -> None:
    head, *rows = tool.said("listpeers").splitlines()
    assert head == "200 listpeers <ztaddr> <path> <latency> <version> <role>"
    roles = {row.split()[2]: row.split()[-1] for row in rows}
    assert roles[mesh.root.address] == "PLANET"
    assert all(re.fullmatch(r"200 listpeers \w{10} \S+ -?\d+ \S+ [A-Z]+", row) for row in rows)


def test_peers(tool: Tool, mesh: Mesh) -> None:
    head, columns, *rows = tool.said("peers").splitlines()
    assert [head, columns.split()] == [
        "200 peers",
        ["<ztaddr>", "<ver>", "<role>", "<lat>", "<link>", "<lastTX>", "<lastRX>", "<path>"],
    ]
    assert mesh.root.address in {row.split()[0] for row in rows}


@pytest.mark.parametrize("command", ["listpeers", "peers", "listbonds"])
def test_peers_as_json(tool: Tool, command: str) -> None:
    found = tool.json(command)
    theirs = objects("/peer")[0]
    assert found
    assert all(same_shape(peer, theirs) for peer in found)


def test_listnetworks(tool: Tool, mesh: Mesh) -> None:
    head, row = tool.said("listnetworks").splitlines()
    assert head == recorded("listnetworks").splitlines()[0]
    fields = row.split()
    assert fields[2:4] == [mesh.network_id, "lab"]
    assert fields[5:7] == ["OK", "PUBLIC"]
    assert mesh.ip(tool.node) in row


def test_listnetworks_as_json(tool: Tool) -> None:
    theirs = next(network for network in objects("/network") if network["status"] == "OK")
    (found,) = tool.json("listnetworks")
    assert same_shape(found, theirs)


@pytest.mark.parametrize("command", [("bond", "list"), ("listbonds",)])
def test_bonds_are_none(tool: Tool, command: tuple[str, ...]) -> None:
    assert tool.said(*command) == recorded("bond list")


def test_a_bond_that_there_is_not_is_refused(tool: Tool, mesh: Mesh) -> None:
    done = tool.run("bond", mesh.root.address, "show")
    assert (done.returncode, done.stdout.startswith("400 bond")) == (1, True)


@pytest.mark.parametrize("path", ["/status", "/network", "/peer", "/moon", "/config", "/health"])
def test_a_path_is_asked_for(tool: Tool, path: str) -> None:
    theirs = objects(path) or [{}]
    answer = json.loads(tool.said(path))
    items = answer if isinstance(answer, list) else [answer]
    assert all(same_shape(item, theirs[-1]) for item in items if item and path != "/config")


def test_dump(tool: Tool, tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("dump")
    done = tool.run("dump", directory=str(directory))
    assert (done.returncode, done.stdout.startswith("Writing dump to: ")) == (0, True)
    text = (directory / "zerotier_dump.txt").read_text()
    assert tool.node.address in text


# -- get and set ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("ip4", r"10\.77\.0\.\d+"),
        ("ip6", r"fd\S+\nfc\S+|fc\S+\nfd\S+"),
        ("ip", r"(\S+\n){2}\S+"),
        ("ip6plane", r"fc\S+"),
        ("ip6prefix", r"fc\S+"),
        ("status", "OK"),
        ("name", "lab"),
        ("mtu", "2800"),
        ("type", "PUBLIC"),
        ("allowManaged", "1"),
        ("allowDNS", "0"),
        ("portDeviceName", r"zt\w+"),
        ("mac", r"(\w\w:){5}\w\w"),
    ],
)
def test_get(tool: Tool, mesh: Mesh, name: str, pattern: str) -> None:
    assert re.fullmatch(pattern, tool.said("get", mesh.network_id, name).strip())


@pytest.mark.parametrize("name", ["allowManaged", "allowGlobal", "allowDefault", "allowDNS"])
def test_set(tool: Tool, mesh: Mesh, name: str) -> None:
    before = tool.said("get", mesh.network_id, name).strip()
    other = str(1 - int(before))
    answer = json.loads(tool.said("set", mesh.network_id, f"{name}={other}"))
    assert answer[name] is (other == "1")
    assert tool.said("get", mesh.network_id, name).strip() == other
    kept = (tool.node.home / "networks.d" / f"{mesh.network_id}.local.conf").read_text()
    assert f"{name}={other}\n" in kept
    tool.said("set", mesh.network_id, f"{name}={before}")


def test_a_setting_that_there_is_not_is_passed_over(tool: Tool, mesh: Mesh) -> None:
    assert tool.said("set", mesh.network_id, "nosuch=1") == ""


# -- join and leave, orbit and deorbit -----------------------------------------------------------


def test_join_and_leave(tool: Tool, mesh: Mesh) -> None:
    other = f"{mesh.network_id[:10]}00beef"
    assert tool.said("join", other) == recorded("join 7ce8165a4faf97eb")
    assert tool.node.network(other)["id"] == other
    assert tool.said("leave", other) == recorded("leave 7ce8165a4faf97eb")
    assert tool.node.network(other) == {}


def test_leave_what_was_not_joined(tool: Tool) -> None:
    assert tool.said("leave", "0123456789abcdef") == "200 leave OK\n"


@pytest.mark.parametrize("command", ["join", "leave"])
def test_what_is_no_network_is_refused(tool: Tool, command: str) -> None:
    done = tool.run(command, "zzzzzzzzzzzzzzzz")
    assert (done.returncode, done.stdout) == (1, f"404 {command} \n")


def make_moon(seed: LabNode) -> World:
    """Return a moon whose only root is a node of the lab."""
    root = Root(seed.identity.public, tuple(Endpoint(ip, seed.port) for ip in seed.host.ips))
    key = seed.identity.public.public_key
    world = World(WorldType.MOON, seed.identity.address, 1_700_000_000_000, key, bytes(96), (root,))
    signature = sign(seed.identity, world.signing_input())
    return World(WorldType.MOON, world.world_id, world.timestamp, key, signature, (root,))


def test_orbit_and_deorbit(tool: Tool, mesh: Mesh) -> None:
    assert tool.said("listmoons") == "[]\n"
    seed = mesh.members[1]
    moon = make_moon(seed)
    seed.stop()
    (seed.home / "moons.d").mkdir(exist_ok=True)
    (seed.home / "moons.d" / f"{moon.world_id:016x}.moon").write_bytes(moon.to_bytes())
    seed.start()
    seed.wait_online()

    assert tool.said("orbit", seed.address, seed.address) == "200 orbit OK\n"
    wait_until(lambda: tool.json("listmoons") != [], timeout=60, what="the moon")
    (found,) = tool.json("listmoons")
    assert same_shape(found, objects("/moon")[0])
    assert found["id"] == f"{moon.world_id:016x}"
    assert (tool.node.home / "moons.d" / f"{moon.world_id:016x}.moon").read_bytes() == (
        moon.to_bytes()
    )
    roles = {peer["address"]: peer["role"] for peer in tool.json("peers")}
    assert roles[seed.address] == "MOON"

    assert tool.said("deorbit", seed.address) == "200 deorbit OK\n"
    assert tool.said("listmoons") == "[]\n"
    wait_until(
        lambda: not (tool.node.home / "moons.d" / f"{moon.world_id:016x}.moon").exists(),
        timeout=10,
        what="the moon's file to go",
    )


def test_a_moon_that_was_put_into_the_home_is_taken_from_there(tool: Tool, mesh: Mesh) -> None:
    moon = make_moon(mesh.members[1])
    file = tool.node.home / "moons.d" / f"{moon.world_id:016x}.moon"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(moon.to_bytes())
    nobody = "0123456789"
    assert tool.said("orbit", f"{moon.world_id:010x}", nobody) == "200 orbit OK\n"
    (found,) = tool.json("listmoons")
    assert (found["id"], found["waiting"]) == (f"{moon.world_id:016x}", False)
    assert tool.said("deorbit", f"{moon.world_id:010x}") == "200 deorbit OK\n"
    wait_until(lambda: not file.exists(), timeout=10, what="the moon's file to go")


# -- what goes wrong -----------------------------------------------------------------------------


def test_a_wrong_token_is_refused(tool: Tool) -> None:
    done = tool.run("-T000000000000000000000000", "info")
    assert (done.returncode, done.stdout) == (1, "401 info {}\n")


def test_a_path_that_there_is_not(tool: Tool) -> None:
    done = tool.run("/nosuchpath")
    assert (done.returncode, done.stdout) == (1, "404 /nosuchpath \n")


# -- metrics -------------------------------------------------------------------------------------


def names_of(text: str) -> set[str]:
    return set(re.findall(r"^(zt_\w+)", text, re.MULTILINE))


def test_metrics_are_those_of_the_original_beside_it(tool: Tool, mesh: Mesh) -> None:
    texts = []
    for member in (tool.node, mesh.members[1]):
        status, text = member.api.exchange("GET", "/metrics")
        assert status == 200
        texts.append(names_of(text))
    assert texts[1] - texts[0] == set()
