"""Under whose address packets of pods leave into the overlay, and how large their segments are."""

import socket
import struct
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network

import pytest

from tests.host.firewalled import (
    BEHIND_PEER,
    DEVICE,
    NODE,
    OVERLAY,
    OVERLAY_MTU,
    PEER,
    POD,
    Surroundings,
    connect,
    listening,
    load,
    surroundings,
)
from tests.host.machine import ip
from tests.lab.namespace import Namespace
from ztlink.host.firewall.wanted import FirewallSettings, Forwarding, Masquerade
from ztlink.host.overlay import Overlay

pytestmark = [pytest.mark.netadmin, pytest.mark.usefixtures("own_network")]

OUTSIDE = FirewallSettings(
    masquerade=Masquerade.OUTSIDE_DECLARED, outside=(ip_network("10.20.0.0/16"),)
)
ROUTED = replace(OVERLAY, behind=(ip_network("10.42.0.0/16"),))
ROUTED_BY_DEFAULT = replace(OVERLAY, behind=(ip_network("0.0.0.0/0"),))
HEADERS = 40
"""Of IPv4 and TCP."""
ETH_P_IP = 0x0800
SYN = 0x02


@pytest.fixture
def around(own_network: None) -> Iterator[Surroundings]:
    with surroundings() as made:
        yield made


async def source_seen(
    around: Surroundings,
    settings: FirewallSettings,
    target: str = PEER,
    *,
    overlay: Overlay = OVERLAY,
    start: Namespace | None = None,
) -> str:
    """Return as whom a pod, or who starts, is seen in the overlay."""
    await load(settings, overlay)
    with listening(around.peer, 80) as server:
        client = connect(start or around.pod, target, 80)
        assert client is not None
        accepted, (source, _) = server.accept()
        client.close()
        accepted.close()
        return str(source)


# -- masquerade ----------------------------------------------------------------------------------


async def test_a_pod_keeps_its_address(around: Surroundings) -> None:
    assert await source_seen(around, FirewallSettings()) == POD


async def test_a_pod_is_seen_as_the_node_where_all_are(around: Surroundings) -> None:
    settings = FirewallSettings(masquerade=Masquerade.ALL)
    assert await source_seen(around, settings, BEHIND_PEER) == NODE


async def test_who_does_not_know_the_way_back_sees_the_node(around: Surroundings) -> None:
    assert await source_seen(around, OUTSIDE) == NODE


async def test_a_declared_network_sees_the_pod(around: Surroundings) -> None:
    assert await source_seen(around, OUTSIDE, BEHIND_PEER) == POD


async def test_members_with_a_managed_route_to_pods_see_the_pod(around: Surroundings) -> None:
    assert await source_seen(around, OUTSIDE, overlay=ROUTED) == POD


async def test_a_managed_default_route_is_no_way_back(around: Surroundings) -> None:
    assert await source_seen(around, OUTSIDE, overlay=ROUTED_BY_DEFAULT) == NODE


async def test_a_masqueraded_connection_lives_on_when_the_rules_are_made_anew(
    around: Surroundings,
) -> None:
    manager = await load(OUTSIDE)
    with listening(around.peer, 80) as server:
        client = connect(around.pod, PEER, 80)
        assert client is not None
        accepted, _ = server.accept()
        await manager.use(replace(OUTSIDE, from_overlay=Forwarding.DECLARED))
        accepted.sendall(b"still here")
        assert client.recv(16) == b"still here"
        client.close()
        accepted.close()


# -- segments ------------------------------------------------------------------------------------


def mss_in_syn(at: Namespace, start: Namespace, target: str) -> int:
    """Return what the first SYN that arrives says of its sender's segments."""
    with (
        at.within(
            lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
        ) as wire,
        listening(at, 80),
    ):
        wire.settimeout(5)
        client = connect(start, target, 80)
        assert client is not None
        client.close()
        while True:
            packet = wire.recv(2048)
            if packet[9] == socket.IPPROTO_TCP and packet[33] == SYN:
                return mss_of(packet)


def mss_of(packet: bytes) -> int:
    """Return the first option of a TCP header, which is the MSS where Linux sends a SYN."""
    kind, size, value = struct.unpack_from("!BBH", packet, HEADERS)
    assert (kind, size) == (2, 4)
    return int(value)


def narrow_the_overlay() -> None:
    """Give the overlay's device less room than the pods' have."""
    ip("link", "set", DEVICE, "mtu", str(OVERLAY_MTU))


async def test_a_pod_is_told_to_send_segments_that_fit_the_overlay(around: Surroundings) -> None:
    narrow_the_overlay()
    await load(FirewallSettings())
    assert mss_in_syn(around.peer, around.pod, PEER) == OVERLAY_MTU - HEADERS


async def test_a_member_s_segments_are_clamped_on_their_way_in(around: Surroundings) -> None:
    narrow_the_overlay()
    await load(FirewallSettings(from_overlay=Forwarding.ALLOW))
    assert mss_in_syn(around.pod, around.peer, POD) == OVERLAY_MTU - HEADERS


async def test_segments_are_left_alone_where_that_is_wanted(around: Surroundings) -> None:
    narrow_the_overlay()
    await load(FirewallSettings(clamp_mss=False))
    assert mss_in_syn(around.peer, around.pod, PEER) == 1500 - HEADERS
