"""join, leave, status, peers, networks: what people and programs read, and exit statuses."""

import json
import time
from dataclasses import replace
from ipaddress import ip_address

import pytest

from tests.unit.api.recorded import network_view, objects, peer_view
from tests.unit.cli.rig import Node
from ztlink.ids import NetworkId
from ztlink.node.events import NetworkStatus
from ztlink.node.status import NetworkView
from ztlink.wire.netconf import Dns

ID = "8056c2e21c000001"
NETWORK = NetworkId(int(ID, 16))
RECORDED = next(n for n in objects("/network") if n["status"] == "OK")


def view(status: NetworkStatus, reason: str) -> NetworkView:
    return replace(network_view(RECORDED), network_id=NETWORK, status=status, reason=reason)


@pytest.fixture
def steps(node: Node, monkeypatch: pytest.MonkeyPatch) -> list[NetworkView]:
    """What becomes of the network, a step each time that the command waits."""
    coming: list[NetworkView] = []
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += max(seconds, 1.0)
        if coming:
            node.core.networks[NETWORK] = coming.pop(0)

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(time, "clock_gettime", lambda _: clock[0])
    return coming


# -- status --------------------------------------------------------------------------------------


def test_status_reads_as_the_originals_info(node: Node) -> None:
    assert node.run("status").output == "200 info ba52bb0e23 1.14.1 ONLINE\n"


def test_a_node_without_a_root_is_offline(node: Node) -> None:
    node.core.node = replace(node.core.node, online=False)
    assert node.run("status").output.endswith("OFFLINE\n")


def test_status_for_programs_is_the_apis(node: Node) -> None:
    assert json.loads(node.run("status", "--json").output)["address"] == "ba52bb0e23"


def with_name_server(node: Node, domain: bytes) -> None:
    """Have the node in a network that names a server for a domain."""
    joined = network_view(RECORDED)
    assert joined.config is not None
    dns = Dns(domain, (ip_address("10.147.1.53"),))
    config = replace(joined.config, dns=dns)
    node.core.networks[NETWORK] = replace(joined, network_id=NETWORK, config=config)


def test_status_shows_the_name_servers_of_networks(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with_name_server(node, b"mesh.example")
    lines = node.run("status").output.splitlines()
    assert lines[1:] == [f"200 dns {ID} mesh.example 10.147.1.53"]


def test_status_in_a_pod_shows_what_coredns_is_told(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    with_name_server(node, b"mesh.example")
    assert node.run("status").output.endswith(
        "mesh.example:53 {\n    errors\n    cache 30\n    forward . 10.147.1.53\n}\n"
    )


def test_status_shows_no_domain_that_is_none(node: Node) -> None:
    with_name_server(node, b"\x1b[2J")
    lines = node.run("status").output.splitlines()
    assert lines[1:] == [f"200 dns {ID} - 10.147.1.53 (of no domain: nobody asks them)"]


# -- join ----------------------------------------------------------------------------------------


def test_joining_says_so(node: Node) -> None:
    result = node.run("join", ID)
    assert (result.exit_code, result.output) == (0, "200 join OK: REQUESTING_CONFIGURATION -\n")


def test_joining_joins(node: Node) -> None:
    node.run("join", ID)
    assert list(node.core.networks) == [NETWORK]


def test_joining_for_programs_is_the_apis(node: Node) -> None:
    assert json.loads(node.run("join", ID, "--json").output)["statusReason"] == (
        "waiting for the controller's identity"
    )


def test_a_network_id_in_capitals_is_taken(node: Node) -> None:
    node.run("join", ID.upper())
    assert list(node.core.networks) == [NETWORK]


@pytest.mark.parametrize("command", ["join", "leave"])
@pytest.mark.parametrize("text", ["123", "zzzzzzzzzzzzzzzz", "", "../../controller", f"{ID}?x="])
def test_what_is_no_network_id_is_wrong_usage(node: Node, command: str, text: str) -> None:
    result = node.run(command, text)
    assert (result.exit_code, "is not 16 hex digits" in result.stderr) == (2, True)


def test_waiting_ends_when_the_network_is_ok(node: Node, steps: list[NetworkView]) -> None:
    steps.append(view(NetworkStatus.OK, "joined"))
    result = node.run("join", ID, "--wait")
    addresses = ",".join(RECORDED["assignedAddresses"])
    assert (result.exit_code, result.stdout) == (0, f"200 join OK: OK {addresses}\n")


def test_waiting_says_once_what_it_waits_for(node: Node, steps: list[NetworkView]) -> None:
    denied = view(NetworkStatus.ACCESS_DENIED, "not authorised: have it authorised")
    steps.extend([denied, denied, denied, view(NetworkStatus.OK, "joined")])
    assert node.run("join", ID, "--wait").stderr.splitlines() == [
        "REQUESTING_CONFIGURATION: waiting for the controller's identity",
        "ACCESS_DENIED: not authorised: have it authorised",
    ]


def test_waiting_too_long_is_1_and_says_why(node: Node, steps: list[NetworkView]) -> None:
    steps.append(view(NetworkStatus.ACCESS_DENIED, "not authorised"))
    result = node.run("join", ID, "--wait", "--timeout", "5")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (
        1,
        "ztlink: not joined after 5 s: not authorised",
    )


def test_progress_does_not_disturb_programs(node: Node, steps: list[NetworkView]) -> None:
    steps.append(view(NetworkStatus.OK, "joined"))
    result = node.run("join", ID, "--wait", "--json")
    assert json.loads(result.stdout)["status"] == "OK"


# -- leave ---------------------------------------------------------------------------------------


def test_leaving_leaves(node: Node) -> None:
    node.run("join", ID)
    result = node.run("leave", ID)
    assert (result.output, node.core.networks) == ("200 leave OK\n", {})


def test_leaving_for_programs_is_the_apis(node: Node) -> None:
    node.run("join", ID)
    assert json.loads(node.run("leave", ID, "--json").output) == {"result": True}


def test_leaving_what_was_not_joined_is_1(node: Node) -> None:
    result = node.run("leave", ID)
    assert (result.exit_code, f"{ID} was not joined" in result.stderr) == (1, True)


# -- tables --------------------------------------------------------------------------------------


def test_no_networks_are_a_head_alone(node: Node) -> None:
    expected = "<nwid>  <name>  <mac>  <status>  <type>  <dev>  <ZT assigned ips>\n"
    assert node.run("networks").output == expected


def test_a_network_is_a_row_with_the_originals_columns(node: Node) -> None:
    node.core.networks[NETWORK] = view(NetworkStatus.OK, "joined")
    head, row = node.run("networks").output.splitlines()
    assert row.split() == [
        ID,
        RECORDED["name"],
        RECORDED["mac"],
        "OK",
        "PRIVATE",
        "-",
        ",".join(RECORDED["assignedAddresses"]),
    ]
    assert head.index("<mac>") == row.index(RECORDED["mac"])


def test_a_network_that_is_not_ok_says_why(node: Node) -> None:
    node.core.networks[NETWORK] = view(NetworkStatus.ACCESS_DENIED, "not authorised")
    assert node.run("networks").output.splitlines()[-1] == f"{ID}: not authorised"


def test_a_networks_name_cannot_steer_a_terminal(node: Node) -> None:
    joined = network_view(RECORDED)
    assert joined.config is not None
    config = replace(joined.config, name=b"a\x1b[2J\nb\xe2\x80\xae")
    node.core.networks[NETWORK] = replace(joined, network_id=NETWORK, config=config)
    head, row = node.run("networks").output.splitlines()
    assert row.split()[1] == r"a\x1b[2J\nb\u202e"
    assert head.index("<mac>") == row.index(RECORDED["mac"])


def test_why_a_network_is_not_ok_cannot_steer_a_terminal(node: Node) -> None:
    node.core.networks[NETWORK] = view(NetworkStatus.AUTHENTICATION_REQUIRED, "ask\x1b]0;x\x07")
    assert node.run("networks").output.splitlines()[-1] == rf"{ID}: ask\x1b]0;x\x07"


def test_networks_for_programs_are_the_apis(node: Node) -> None:
    node.core.networks[NETWORK] = view(NetworkStatus.OK, "joined")
    assert [n["id"] for n in json.loads(node.run("networks", "--json").output)] == [ID]


def test_a_peer_with_a_path_is_direct(node: Node) -> None:
    peer = next(p for p in objects("/peer") if p["role"] == "PLANET")
    best = next(path for path in peer["paths"] if path["preferred"])
    node.core.peers = [peer_view(peer)]
    row = node.run("peers").output.splitlines()[1].split()
    assert (row[:5], row[-1]) == (
        [peer["address"], "1.14.1", "PLANET", str(peer["latency"]), "DIRECT"],
        best["address"],
    )


def test_a_peer_without_a_path_is_relayed(node: Node) -> None:
    peer = peer_view(objects("/peer")[0])
    node.core.peers = [replace(peer, paths=(), version=None, latency_ms=-1)]
    row = node.run("peers").output.splitlines()[1].split()
    assert row[1:] == ["-", "PLANET", "-1", "RELAY", "-", "-", "-"]


def test_peers_for_programs_are_the_apis(node: Node) -> None:
    peer = objects("/peer")[0]
    node.core.peers = [peer_view(peer)]
    assert json.loads(node.run("peers", "--json").output) == [peer]
