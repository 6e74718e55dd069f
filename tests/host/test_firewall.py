"""What passes the firewall and what does not, with real packets."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network

import pytest

from tests.host.firewalled import (
    CLUSTER,
    DEVICE,
    LAN,
    NETWORK,
    NODE,
    NODE6,
    NODE_ON_LAN,
    NODE_TO_POD,
    OVERLAY,
    PEER,
    POD,
    SECOND,
    SERVICE,
    Surroundings,
    connect,
    datagram_arrives,
    listening,
    load,
    nft,
    pings,
    reaches,
    service,
    surroundings,
)
from tests.host.machine import ip
from ztlink.host.firewall.wanted import FirewallSettings, Forwarding, HttpGuard
from ztlink.ids import NetworkId

pytestmark = [pytest.mark.netadmin, pytest.mark.usefixtures("own_network")]

DENY = FirewallSettings()
WEB = FirewallSettings(services=(service("tcp", 80),))
DATABASE = FirewallSettings(exclusive=(service("tcp", 5432),))
HTTP = FirewallSettings(http=HttpGuard(9994, (ip_network("192.168.7.2/32"),)))
DECLARED = FirewallSettings(from_overlay=Forwarding.DECLARED, inside=CLUSTER)
NODE_PORT = "tcp dport 30080 dnat ip to 10.42.0.2:8080"
HOST_PORT = "tcp dport 30081 redirect to :8081"
CLUSTER_IP = "ip daddr 10.96.0.1 tcp dport 443 dnat ip to 10.42.0.1:6443"


@pytest.fixture
def around(own_network: None) -> Iterator[Surroundings]:
    with surroundings() as made:
        yield made


def translate(*rules: str) -> None:
    """Translate destinations as kube-proxy does, in a table of its own."""
    text = "\n".join(rules)
    hook = "type nat hook prerouting priority -100;"
    nft("-f", "-", given=f"table inet kube {{\nchain pre {{\n{hook}\n{text}\n}}\n}}\n")


# -- to the node ---------------------------------------------------------------------------------


async def test_a_port_that_nobody_allowed_is_refused(around: Surroundings) -> None:
    await load(DENY)
    with listening(None, 80):
        assert not reaches(around.peer, NODE, 80)


async def test_the_same_port_is_reached_without_a_firewall(around: Surroundings) -> None:
    with listening(None, 80):
        assert reaches(around.peer, NODE, 80)


async def test_an_allowed_port_is_reached(around: Surroundings) -> None:
    await load(WEB)
    with listening(None, 80):
        assert reaches(around.peer, NODE, 80)


async def test_an_allowed_port_is_reached_over_ipv6(around: Surroundings) -> None:
    await load(WEB)
    with listening(None, 80, "::"):
        assert reaches(around.peer, NODE6, 80)


async def test_a_refused_port_is_refused_over_ipv6(around: Surroundings) -> None:
    await load(WEB)
    with listening(None, 81, "::"):
        assert not reaches(around.peer, NODE6, 81)


async def test_the_node_s_other_addresses_are_refused_too(around: Surroundings) -> None:
    await load(replace(WEB, from_overlay=Forwarding.ALLOW))
    with listening(None, 22):
        assert not reaches(around.peer, NODE_ON_LAN, 22)


async def test_other_devices_are_not_guarded(around: Surroundings) -> None:
    await load(DENY)
    with listening(None, 80):
        assert reaches(around.lan, NODE_ON_LAN, 80)


async def test_a_source_that_is_allowed_is_let_in(around: Surroundings) -> None:
    await load(FirewallSettings(services=(service("tcp", 80, sources=(f"{PEER}/32",)),)))
    with listening(None, 80):
        assert reaches(around.peer, NODE, 80, PEER)


async def test_another_source_is_not(around: Surroundings) -> None:
    await load(FirewallSettings(services=(service("tcp", 80, sources=(f"{PEER}/32",)),)))
    with listening(None, 80):
        assert not reaches(around.peer, NODE, 80, SECOND)


async def test_a_service_of_this_network_is_reached_through_it(around: Surroundings) -> None:
    await load(FirewallSettings(services=(service("tcp", 80, networks=(NETWORK,)),)))
    with listening(None, 80):
        assert reaches(around.peer, NODE, 80)


async def test_a_service_of_another_network_is_not(around: Surroundings) -> None:
    other = service("tcp", 80, networks=(NetworkId(NETWORK + 1),))
    await load(FirewallSettings(services=(other,)))
    with listening(None, 80):
        assert not reaches(around.peer, NODE, 80)


async def test_a_tcp_port_does_not_open_the_udp_port(around: Surroundings) -> None:
    await load(WEB)
    assert not datagram_arrives(around.peer, NODE, 80)


async def test_an_allowed_udp_port_is_reached(around: Surroundings) -> None:
    await load(FirewallSettings(services=(service("udp", 80),)))
    assert datagram_arrives(around.peer, NODE, 80)


async def test_everything_may_be_allowed(around: Surroundings) -> None:
    await load(FirewallSettings(services=(service("any"),)))
    assert datagram_arrives(around.peer, NODE, 4000)


async def test_the_node_is_not_pinged(around: Surroundings) -> None:
    await load(WEB)
    assert not pings(around.peer, NODE)


async def test_the_node_is_pinged_where_icmp_is_allowed(around: Surroundings) -> None:
    await load(FirewallSettings(services=(service("icmp"),)))
    assert pings(around.peer, NODE)


async def test_the_node_is_pinged_over_ipv6_where_icmp_is_allowed(around: Surroundings) -> None:
    await load(FirewallSettings(services=(service("icmp"),)))
    assert pings(around.peer, NODE6)


async def test_the_node_reaches_the_overlay(around: Surroundings) -> None:
    await load(DENY)
    with listening(around.peer, 80):
        assert reaches(None, PEER, 80)


async def test_an_icmp_error_comes_back(around: Surroundings) -> None:
    await load(DENY)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect((PEER, 9))
        asking.settimeout(5)
        asking.send(b"anybody?")
        with pytest.raises(ConnectionRefusedError):
            asking.recv(1)


async def test_a_connection_lives_on_when_its_port_is_closed(around: Surroundings) -> None:
    manager = await load(WEB)
    with listening(None, 80) as server:
        client = connect(around.peer, NODE, 80)
        assert client is not None
        accepted, _ = server.accept()
        await manager.use(DENY)
        client.sendall(b"still here")
        assert accepted.recv(16) == b"still here"
        client.close()
        accepted.close()


async def test_a_port_that_was_closed_takes_no_new_connection(around: Surroundings) -> None:
    manager = await load(WEB)
    with listening(None, 80):
        assert reaches(around.peer, NODE, 80)
        await manager.use(DENY)
        assert not reaches(around.peer, NODE, 80)


# -- before others translate ---------------------------------------------------------------------


async def test_a_node_port_is_refused_before_it_is_translated(around: Surroundings) -> None:
    translate(NODE_PORT)
    await load(DECLARED)
    with listening(around.pod, 8080):
        assert not reaches(around.peer, NODE, 30080)


async def test_a_node_port_is_not_opened_by_the_port_behind_it(around: Surroundings) -> None:
    translate(NODE_PORT)
    await load(replace(DECLARED, services=(service("tcp", 8080),)))
    with listening(around.pod, 8080):
        assert not reaches(around.peer, NODE, 30080)


async def test_an_allowed_node_port_is_reached(around: Surroundings) -> None:
    translate(NODE_PORT)
    await load(FirewallSettings(services=(service("tcp", 30080),)))
    with listening(around.pod, 8080):
        assert reaches(around.peer, NODE, 30080)


async def test_the_port_behind_an_allowed_node_port_stays_closed(around: Surroundings) -> None:
    translate(NODE_PORT)
    await load(FirewallSettings(services=(service("tcp", 30080),)))
    with listening(around.pod, 8080):
        assert not reaches(around.peer, POD, 8080)


async def test_a_host_port_is_refused_before_it_is_translated(around: Surroundings) -> None:
    translate(HOST_PORT)
    await load(FirewallSettings(services=(service("tcp", 8081),)))
    with listening(None, 8081):
        assert not reaches(around.peer, NODE, 30081)


async def test_an_allowed_host_port_is_reached(around: Surroundings) -> None:
    translate(HOST_PORT)
    await load(FirewallSettings(services=(service("tcp", 30081),)))
    with listening(None, 8081):
        assert reaches(around.peer, NODE, 30081)


async def test_node_ports_of_other_devices_are_not_guarded(around: Surroundings) -> None:
    translate(NODE_PORT)
    await load(DENY)
    with listening(around.pod, 8080):
        assert reaches(around.lan, NODE_ON_LAN, 30080)


async def test_a_service_address_does_not_lead_to_the_node(around: Surroundings) -> None:
    translate(CLUSTER_IP)
    await load(FirewallSettings(services=(service("tcp", 443, 6443),)))
    with listening(None, 6443):
        assert not reaches(around.peer, SERVICE, 443)


async def test_a_declared_service_address_does(around: Surroundings) -> None:
    translate(CLUSTER_IP)
    await load(DECLARED)
    with listening(None, 6443):
        assert reaches(around.peer, SERVICE, 443)


# -- through the node ----------------------------------------------------------------------------


async def test_the_overlay_does_not_reach_pods(around: Surroundings) -> None:
    await load(DENY)
    with listening(around.pod, 80):
        assert not reaches(around.peer, POD, 80)


async def test_an_allowed_port_of_the_node_opens_none_of_a_pod(around: Surroundings) -> None:
    await load(WEB)
    with listening(around.pod, 80):
        assert not reaches(around.peer, POD, 80)


async def test_the_overlay_reaches_what_is_declared(around: Surroundings) -> None:
    await load(DECLARED)
    with listening(around.pod, 80):
        assert reaches(around.peer, POD, 80)


async def test_the_overlay_does_not_reach_what_is_not_declared(around: Surroundings) -> None:
    await load(DECLARED)
    with listening(around.lan, 80):
        assert not reaches(around.peer, LAN, 80)


async def test_the_overlay_reaches_all_where_that_is_allowed(around: Surroundings) -> None:
    await load(FirewallSettings(from_overlay=Forwarding.ALLOW))
    with listening(around.lan, 80):
        assert reaches(around.peer, LAN, 80)


async def test_pods_reach_the_overlay(around: Surroundings) -> None:
    await load(DENY)
    with listening(around.peer, 80):
        assert reaches(around.pod, PEER, 80)


async def test_pods_do_not_reach_the_overlay_where_that_is_denied(around: Surroundings) -> None:
    await load(FirewallSettings(to_overlay=Forwarding.DENY))
    with listening(around.peer, 80):
        assert not reaches(around.pod, PEER, 80)


async def test_declared_networks_alone_may_reach_the_overlay(around: Surroundings) -> None:
    await load(FirewallSettings(to_overlay=Forwarding.DECLARED, inside=CLUSTER))
    with listening(around.peer, 80):
        assert reaches(around.pod, PEER, 80)
        assert not reaches(around.lan, PEER, 80)


async def test_a_way_out_that_is_closed_is_not_opened_by_translation(around: Surroundings) -> None:
    translate("ip daddr 10.96.0.1 tcp dport 80 dnat ip to 10.147.17.2:80")
    await load(FirewallSettings(to_overlay=Forwarding.DECLARED))
    with listening(around.peer, 80):
        assert not reaches(around.pod, SERVICE, 80)


# -- what is the overlay's alone -----------------------------------------------------------------


async def test_an_exclusive_port_is_reached_on_the_overlay(around: Surroundings) -> None:
    await load(DATABASE)
    with listening(None, 5432):
        assert reaches(around.peer, NODE, 5432)


async def test_an_exclusive_port_is_reached_on_loopback(around: Surroundings) -> None:
    await load(DATABASE)
    with listening(None, 5432):
        assert reaches(None, "127.0.0.1", 5432)


async def test_an_exclusive_port_is_closed_elsewhere(around: Surroundings) -> None:
    await load(DATABASE)
    with listening(None, 5432):
        assert not reaches(around.lan, NODE_ON_LAN, 5432)


async def test_an_exclusive_port_is_closed_to_pods(around: Surroundings) -> None:
    await load(DATABASE)
    with listening(None, 5432):
        assert not reaches(around.pod, NODE_TO_POD, 5432)


async def test_an_exclusive_port_is_closed_behind_a_service_address(around: Surroundings) -> None:
    translate("ip daddr 10.96.0.1 tcp dport 80 dnat ip to 192.168.7.1:5432")
    await load(DATABASE)
    with listening(None, 5432):
        assert not reaches(around.pod, SERVICE, 80)


async def test_an_exclusive_port_s_old_connections_elsewhere_end(around: Surroundings) -> None:
    manager = await load(DENY)
    with listening(None, 5432) as server:
        client = connect(around.lan, NODE_ON_LAN, 5432)
        assert client is not None
        accepted, _ = server.accept()
        await manager.use(DATABASE)
        client.sendall(b"still here?")
        accepted.settimeout(0.4)
        with pytest.raises(TimeoutError):
            accepted.recv(16)
        client.close()
        accepted.close()


async def test_a_node_speaks_from_an_exclusive_port_to_elsewhere(around: Surroundings) -> None:
    await load(DATABASE)
    with listening(around.lan, 80), socket.socket() as client:
        client.bind((NODE_ON_LAN, 5432))
        client.settimeout(5)
        client.connect((LAN, 80))
        assert client.getpeername() == (LAN, 80)


async def test_the_http_port_is_reached_from_where_it_may(around: Surroundings) -> None:
    await load(HTTP)
    with listening(None, 9994):
        assert reaches(around.lan, NODE_ON_LAN, 9994)


async def test_the_http_port_is_reached_on_loopback(around: Surroundings) -> None:
    await load(HTTP)
    with listening(None, 9994):
        assert reaches(None, "127.0.0.1", 9994)


async def test_the_http_port_is_closed_to_all_others(around: Surroundings) -> None:
    await load(HTTP)
    with listening(None, 9994):
        assert not reaches(around.pod, NODE_TO_POD, 9994)


async def test_the_http_port_is_closed_to_the_overlay(around: Surroundings) -> None:
    await load(HTTP)
    with listening(None, 9994):
        assert not reaches(around.peer, NODE, 9994)


async def test_the_http_port_may_be_allowed_to_the_overlay(around: Surroundings) -> None:
    await load(replace(HTTP, services=(service("tcp", 9994),)))
    with listening(None, 9994):
        assert reaches(around.peer, NODE, 9994)


# -- devices -------------------------------------------------------------------------------------


async def test_a_device_that_is_no_more_the_overlay_s_is_not_guarded(
    around: Surroundings,
) -> None:
    manager = await load(DENY)
    await manager.follow({})
    with listening(None, 80):
        assert reaches(around.peer, NODE, 80)


async def test_a_device_is_guarded_from_the_moment_at_which_it_appears(
    around: Surroundings,
) -> None:
    await load(DENY, replace(OVERLAY, device="zttest7"))
    with listening(None, 80):
        assert reaches(around.peer, NODE, 80)
        for change in (("down",), ("name", "zttest7", "up")):
            ip("link", "set", DEVICE, *change)
        assert not reaches(around.peer, NODE, 80)
