"""Records of a controller: shown as the original shows them, taken over from it, and given back."""

import sys
from pathlib import Path

import pytest

from tests.lab.api import ApiError, JsonObject
from tests.lab.lab import Lab
from tests.lab.mesh import Side, Workshop
from tests.lab.node import LabNode
from tests.lab.planet import make_planet
from tests.unit.controller.test_records import FULL_MEMBER, FULL_NETWORK

pytestmark = [pytest.mark.interop, pytest.mark.netadmin]

MEMBER = "cd35adcab8"
OF_THEIR_OWN = {"creationTime", "id", "nwid", "revision", "lastAuthorizedTime"}
"""Fields that differ between any two controllers."""
COERCED = [
    {"private": "x"},
    {"multicastLimit": -1},
    {"mtu": 100},
    {"routes": [{"target": "nonsense"}]},
    {"rules": [{"type": "NO_SUCH"}]},
    {"ipAssignmentPools": [{"ipRangeStart": "10.1.0.9"}]},
]


def start(lab: Lab, workshop: Workshop, side: Side, host: str) -> LabNode:
    """Start a controller that is its own root."""
    node = workshop.make(lab, lab.host(host), side, "controller")
    node.prepare(make_planet([(node.identity, node.host, node.port)]))
    node.start()
    return node


@pytest.fixture
def both(lab: Lab, workshop: Workshop) -> tuple[LabNode, LabNode]:
    """Our controller, and the original."""
    return (
        start(lab, workshop, Side.OURS, "ours"),
        start(lab, workshop, Side.REFERENCE, "theirs"),
    )


def member_path(network_id: str) -> str:
    return f"/controller/network/{network_id}/member/{MEMBER}"


def comparable(record: JsonObject) -> JsonObject:
    """Return what should be the same; the original shows rules as they were posted."""
    shown = {key: value for key, value in record.items() if key not in OF_THEIR_OWN}
    for holder in (shown, *shown["capabilities"]):
        if isinstance(holder, dict) and "rules" in holder:
            holder["rules"] = [{"not": False, "or": False} | rule for rule in holder["rules"]]
    return shown


def test_a_network_reads_the_same_in_every_field(both: tuple[LabNode, LabNode]) -> None:
    ours, theirs = (
        node.api.post(f"/controller/network/{node.address}______", FULL_NETWORK) for node in both
    )
    assert comparable(ours) == comparable(theirs)


def test_a_member_reads_the_same_in_every_field(both: tuple[LabNode, LabNode]) -> None:
    ours, theirs = (
        node.api.post(member_path(node.create_network({})), FULL_MEMBER) for node in both
    )
    assert comparable(ours) == comparable(theirs)


@pytest.mark.parametrize("fields", COERCED, ids=lambda fields: next(iter(fields)))
def test_what_the_original_coerces_is_refused_by_ours(
    both: tuple[LabNode, LabNode], fields: JsonObject
) -> None:
    ours, theirs = both
    theirs.create_network(fields)
    with pytest.raises(ApiError, match=f"400 .*{next(iter(fields))}"):
        ours.create_network(fields)


def records(node: LabNode, network_id: str) -> tuple[JsonObject, JsonObject]:
    """Return a network and its member as they are shown, in every field."""
    network = node.api.get(f"/controller/network/{network_id}")
    return comparable(network), node.api.get(member_path(network_id))


def test_a_controller_of_the_original_is_taken_over_and_given_back(
    lab: Lab, workshop: Workshop, tmp_path: Path
) -> None:
    theirs = start(lab, workshop, Side.REFERENCE, "control")
    network_id = theirs.create_network(FULL_NETWORK)
    theirs.api.post(member_path(network_id), FULL_MEMBER)
    before = records(theirs, network_id)
    theirs.stop()

    ours = workshop.make(lab, theirs.host, Side.OURS, "controller")
    ours.identity = theirs.identity
    ours.start()
    taken_over = records(ours, network_id)
    ours.update_network(network_id, {"name": "changed by ours"})
    changed = records(ours, network_id)
    ours.stop()

    export = (sys.executable, "-m", "ztlink", "controller", "export", str(tmp_path / "back"))
    ours.host.namespace.run(*export, "--home", str(ours.home))
    (ours.home / "controller.d").rename(tmp_path / "before")
    (tmp_path / "back").rename(ours.home / "controller.d")
    theirs.start()
    assert taken_over == before
    assert records(theirs, network_id) == changed
