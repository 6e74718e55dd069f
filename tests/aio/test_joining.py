"""Joining in user space: what is waited for, and what comes of waiting in vain."""

import asyncio
import time
from pathlib import Path

import pytest

from tests.aio.overlay import Overlay, ip_of
from ztlink.aio.errors import (
    ControllerUnreachable,
    JoinTimeout,
    NetworkNotFound,
    NodeFailed,
    NotAuthorized,
    RootsUnreachable,
)
from ztlink.aio.node import Node
from ztlink.clock import Now
from ztlink.drivers.home import HeldError
from ztlink.errors import ConfigError
from ztlink.node.core import Core


async def test_a_member_has_addresses_and_routes(overlay: Overlay) -> None:
    network_id = overlay.make_network(name="home")
    async with overlay.node(3) as node:
        network = await node.join(network_id)
        assert (network.id, network.name, network.status) == (network_id, "home", "OK")
        assert ip_of(network).startswith("10.9.0.")
        assert [str(route.target) for route in network.routes] == ["10.9.0.0/24", "fd09::/64"]
        assert node.online


async def test_who_is_not_let_in_is_told_which_address_to_authorise(overlay: Overlay) -> None:
    network_id = overlay.make_network(private=True)
    async with overlay.node(3) as node:
        with pytest.raises(NotAuthorized, match=f"authorise {node.address}") as caught:
            await node.join(network_id, timeout=2.0)
    assert (caught.value.network_id, caught.value.address) == (network_id, node.address)


async def test_joining_waits_until_somebody_lets_us_in(overlay: Overlay) -> None:
    network_id = overlay.make_network(private=True)
    is_refused = asyncio.Event()

    def note(said: str) -> None:
        if "not authorised" in said:
            is_refused.set()

    async with overlay.node(3) as node:
        joining = asyncio.ensure_future(node.join(network_id, on_waiting=note))
        await is_refused.wait()
        await asyncio.to_thread(overlay.authorize, network_id, node.address)
        assert (await joining).status == "OK"


async def test_a_network_that_is_not_there_is_told_at_once(overlay: Overlay) -> None:
    network_id = overlay.make_network()[:10] + "ffffff"
    async with overlay.node(3) as node:
        with pytest.raises(NetworkNotFound, match="check the network id"):
            await node.join(network_id, timeout=20.0)


async def test_a_controller_that_nobody_knows_is_told(overlay: Overlay) -> None:
    async with overlay.node(3) as node:
        with pytest.raises(ControllerUnreachable, match="1234567890"):
            await node.join("1234567890000001", timeout=1.5)


async def test_a_network_without_addresses_says_what_is_missing(overlay: Overlay) -> None:
    network_id = overlay.make_network(ipAssignmentPools=[])
    async with overlay.node(3) as node:
        with pytest.raises(JoinTimeout, match="give the network a pool"):
            await node.join(network_id, timeout=1.5)


async def test_without_a_root_that_is_what_is_told(overlay: Overlay, tmp_path: Path) -> None:
    with Overlay(tmp_path) as other:
        network_id = other.make_network()
        other.stop()
        async with other.node(3) as node:
            with pytest.raises(RootsUnreachable, match="waiting for a root"):
                await node.join(network_id, timeout=1.0)


async def test_a_kept_configuration_serves_while_the_controller_is_away(tmp_path: Path) -> None:
    with Overlay(tmp_path) as overlay:
        network_id = overlay.make_network(private=False)
        async with overlay.node(3) as node:
            first = (await node.join(network_id)).addresses
        overlay.stop()
        async with overlay.node(3) as node:
            network = await node.join(network_id, timeout=1.0)
            assert network.addresses == first
            assert network.config_time is not None
            assert 0 <= time.time() - network.config_time < 60


async def test_a_kept_configuration_refuses_nothing_that_the_new_one_grants(
    overlay: Overlay,
) -> None:
    network_id = overlay.make_network()
    async with overlay.node(3) as node:
        await node.join(network_id)
    routes = [{"target": "10.9.0.0/24"}, {"target": "10.8.0.0/24"}]
    overlay.change_network(network_id, routes=routes)
    async with overlay.node(3) as node:
        network = await node.join(network_id)
        assert [str(ip) for ip in await network.resolve("10.8.0.1")] == ["10.8.0.1"]


async def test_a_home_that_is_held_says_by_whom(overlay: Overlay) -> None:
    async with overlay.node(3):
        with pytest.raises(HeldError, match="in use by process"):
            await overlay.node(3).__aenter__()


async def test_loopback_and_the_public_roots_do_not_go_together(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="loopback"):
        await Node(tmp_path, allow_loopback=True).__aenter__()


async def test_what_is_no_network_id_is_said(overlay: Overlay) -> None:
    async with overlay.node(3) as node:
        with pytest.raises(ValueError, match="16 hex digits"):
            await node.join("home")


def break_down(core: Core, now: Now) -> None:
    raise ZeroDivisionError("a bug")


async def test_a_node_that_failed_says_so_to_who_waits_and_to_who_joins(overlay: Overlay) -> None:
    network_id = overlay.make_network(private=True)
    async with overlay.node(3) as node:
        waiting = asyncio.ensure_future(node.join(network_id))
        await asyncio.sleep(0.2)
        node._pump.submit(break_down)  # noqa: SLF001 - a bug, made where one would be
        with pytest.raises(NodeFailed, match=r"has stopped.*a bug") as caught:
            await waiting
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        with pytest.raises(NodeFailed, match=r"has stopped.*a bug"):
            await node.join(overlay.make_network())


async def test_a_node_whose_context_has_ended_joins_nothing(overlay: Overlay) -> None:
    async with overlay.node(3) as node:
        pass
    with pytest.raises(NodeFailed, match="its context has ended"):
        await node.join(overlay.make_network())


async def test_events_tell_what_happens(overlay: Overlay) -> None:
    network_id = overlay.make_network()
    seen = []

    async def follow(node: Node) -> None:
        async for event in node.events():
            seen.append(type(event).__name__)  # noqa: PERF401 - until the node ends

    async with overlay.node(3) as node:
        following = asyncio.ensure_future(follow(node))
        await asyncio.sleep(0)
        await node.join(network_id)
    await following
    assert "NetworkConfigured" in seen
