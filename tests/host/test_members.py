"""Members that routes lead through, found by a node of a real pump."""

import asyncio
from ipaddress import ip_interface

import pytest

from tests.host.cores import running
from tests.host.machine import PATIENCE
from tests.unit.vl1.mesh import identity
from ztlink.host.members import MemberSearch
from ztlink.host.overlay import Overlay
from ztlink.ids import Address, NetworkId
from ztlink.node.events import NodeOnline

pytestmark = [pytest.mark.netadmin, pytest.mark.usefixtures("own_network")]

NETWORK = NetworkId(0x8056C2E21C000001)
OVERLAY = Overlay(NETWORK, identity(1).address, "zttest0", 7, 2800, (ip_interface("10.1.2.3/24"),))
ROOT = identity(0).address
NOBODY = Address(0x89E92CEEE5)


async def test_those_that_are_known_are_members_and_others_are_not() -> None:
    with running(0), running(1) as runner:
        search = MemberSearch(runner.pump)
        found = await search.look({NETWORK: OVERLAY}, lambda one: frozenset({ROOT, NOBODY}))
        assert found[NETWORK].members == {ROOT}


async def test_one_that_the_root_knows_is_found() -> None:
    wanted = frozenset({identity(2).address})
    with running(0), running(1) as runner, running(2) as other:
        assert await asyncio.to_thread(other.hears_of, NodeOnline(True))
        search = MemberSearch(runner.pump)
        found: frozenset[Address] = frozenset()
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while found != wanted and asyncio.get_running_loop().time() < deadline:
            overlays = await search.look({NETWORK: OVERLAY}, lambda one: wanted)
            found = overlays[NETWORK].members
        assert found == wanted


async def test_a_network_that_asks_for_nobody_has_no_members() -> None:
    with running(0), running(1) as runner:
        found = await MemberSearch(runner.pump).look({NETWORK: OVERLAY}, lambda one: frozenset())
        assert found == {NETWORK: OVERLAY}
