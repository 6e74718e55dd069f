"""Who sees whom, and what is wrong with what remedy."""

from dataclasses import replace
from typing import Any

import pytest

from ztlink.mesh import NodeReport, Sight, findings, to_json, unseen, view

Json = dict[str, Any]

ID = "112972485d000001"


def status(address: str, **changes: object) -> Json:
    usual = {
        "address": address,
        "online": True,
        "version": "1.14.1",
        "planetWorldId": 7,
        "planetWorldTimestamp": 1000,
    }
    return {**usual, **changes}


def network(**changes: object) -> Json:
    usual = {
        "id": ID,
        "status": "OK",
        "statusReason": "joined",
        "allowManaged": True,
        "assignedAddresses": ["10.1.2.3/24"],
    }
    return {**usual, **changes}


def peer(address: str, *, latency: int = 3, is_direct: bool = True) -> Json:
    path = {"active": True, "expired": False, "preferred": True}
    return {"address": address, "latency": latency, "paths": [path] if is_direct else []}


def node(number: int, *peers: Json, **changes: object) -> NodeReport:
    address = f"{number:010x}"
    report = NodeReport(
        f"mesh-{number}",
        f"worker-{number}",
        status=status(address),
        networks=[network()],
        peers=peers,
    )
    return replace(report, **changes)  # type: ignore[arg-type] # fields by their names


ONE, TWO = "0000000001", "0000000002"
WELL = (node(1, peer(TWO)), node(2, peer(ONE)))


def told(*nodes: NodeReport) -> list[tuple[str, str]]:
    return [(finding.subject, finding.message) for finding in findings(nodes, "mesh")]


def test_a_mesh_whose_nodes_all_see_each_other_is_well() -> None:
    assert findings(WELL, "mesh") == ()


def test_a_peer_with_a_live_path_is_seen_directly() -> None:
    assert str(view(*WELL)) == "3 ms"


def test_a_peer_without_a_path_is_relayed() -> None:
    assert view(node(1, peer(TWO, is_direct=False)), WELL[1]).sight is Sight.RELAYED


def test_a_path_that_expired_is_none() -> None:
    gone = {"active": False, "expired": True, "preferred": True}
    one = node(1, {"address": TWO, "latency": 3, "paths": [gone]})
    assert view(one, WELL[1]).sight is Sight.RELAYED


def test_a_node_does_not_look_at_itself() -> None:
    assert view(WELL[0], WELL[0]).sight is Sight.SELF


def test_nodes_that_have_not_spoken_are_no_fault() -> None:
    strangers = (node(1), node(2))
    assert findings(strangers, "mesh") == ()
    assert unseen(strangers) == 2


def test_of_a_node_that_does_not_answer_nothing_is_known() -> None:
    silent = node(2, status=None)
    assert view(WELL[0], silent).sight is view(silent, WELL[0]).sight is Sight.UNKNOWN


def test_relayed_pairs_are_told_with_the_port_to_open() -> None:
    found = findings((node(1, peer(TWO, is_direct=False)), WELL[1]), "mesh")
    assert found[0].subject == "worker-1 -> worker-2"
    assert "UDP" in found[0].remedy


def test_a_slow_pair_is_told() -> None:
    assert told(node(1, peer(TWO, latency=900)), WELL[1]) == [
        ("worker-1 -> worker-2", "latency is 900 ms")
    ]


def test_a_node_that_is_not_let_in_is_told_how_to_get_in() -> None:
    out = node(1, peer(TWO), networks=[network(status="ACCESS_DENIED", statusReason="no")])
    remedy = findings((out, WELL[1]), "mesh")[0].remedy
    assert f"'ztlink authorize {ID} {ONE}'" in remedy
    assert "make authorize-nodes" in remedy


@pytest.mark.parametrize("state", ["NOT_FOUND", "REQUESTING_CONFIGURATION", "PORT_ERROR", "NEW"])
def test_a_network_that_is_not_ok_is_told_with_its_reason(state: str) -> None:
    sick = node(1, peer(TWO), networks=[network(status=state, statusReason="so it is")])
    assert told(sick, WELL[1]) == [("worker-1", f"network {ID} is {state}: so it is")]


def test_a_node_without_an_address_is_told() -> None:
    bare = node(1, peer(TWO), networks=[network(assignedAddresses=[])])
    assert told(bare, WELL[1]) == [("worker-1", f"network {ID} has given it no address")]


def test_a_node_in_no_network_is_told() -> None:
    assert told(node(1, peer(TWO), networks=[]), WELL[1]) == [("worker-1", "it is in no network")]


def test_a_node_that_no_root_answers_is_told() -> None:
    offline = node(1, peer(TWO), status=status(ONE, online=False))
    assert told(offline, WELL[1]) == [("worker-1", "no root answers")]


def test_a_pod_that_does_not_answer_is_told_with_what_the_kubelet_says() -> None:
    waiting = node(2, status=None, phase="Pending", trouble="ErrImageNeverPull")
    found = findings((WELL[0], waiting), "mesh")
    assert "mesh-2 is Pending and does not answer: ErrImageNeverPull" in found[0].message
    assert "kubectl describe pod mesh-2" in found[0].remedy


def test_two_nodes_with_one_identity_are_told() -> None:
    twin = node(1, pod="mesh-9", machine="worker-9")
    assert told(node(1), twin)[0] == (
        "worker-1, worker-9",
        f"they share the identity {ONE}: neither can be reached reliably",
    )


def test_nodes_of_different_worlds_are_told() -> None:
    stray = node(2, peer(ONE), status=status(TWO, planetWorldId=8))
    subject, message = told(WELL[0], stray)[0]
    assert subject == "mesh"
    assert "0000000000000007 on worker-1; 0000000000000008 on worker-2" in message


def test_a_newer_revision_of_the_same_world_is_no_fault() -> None:
    newer = node(2, peer(ONE), status=status(TWO, planetWorldTimestamp=2000))
    assert told(WELL[0], newer) == []


def test_different_versions_are_told() -> None:
    old = node(2, peer(ONE), status=status(TWO, version="1.14.0"))
    assert told(WELL[0], old) == [("mesh", "versions differ: 1.14.0, 1.14.1")]


def test_a_release_without_pods_is_told() -> None:
    assert told() == [("mesh", "there is no agent pod")]


def test_a_program_gets_all_of_it() -> None:
    content = to_json(WELL, findings(WELL, "mesh"))
    assert content["findings"] == []
    assert content["nodes"][0] == {
        "pod": "mesh-1",
        "machine": "worker-1",
        "address": ONE,
        "online": True,
        "networks": [{"id": ID, "status": "OK", "addresses": ["10.1.2.3/24"]}],
        "sees": {"worker-2": {"sight": "DIRECT", "latencyMs": 3}},
    }
