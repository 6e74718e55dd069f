"""Finds the members of networks that routes are to lead through."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from ztlink.clock import Now
from ztlink.drivers.loop import Pump
from ztlink.host.overlay import Overlay
from ztlink.ids import Address, IpAddress, NetworkId
from ztlink.node.core import Core

Members = Mapping[Address, tuple[IpAddress, ...]]


class MemberSearch:
    """Asks the node whom it knows, and has it look for whom it does not."""

    def __init__(self, pump: Pump) -> None:
        self._pump = pump
        self._found: set[Address] = set()
        """Once found, a node is not lost again: its silence is no reason to lead nowhere."""

    async def look(
        self,
        overlays: Mapping[NetworkId, Overlay],
        asked: Callable[[NetworkId], frozenset[Address]],
    ) -> dict[NetworkId, Overlay]:
        """Return the overlays with their members; those that are `asked` for are looked for."""
        wanted = {network_id: asked(network_id) for network_id in overlays}
        look = partial(_look, wanted=wanted, found=frozenset(self._found))
        told = await asyncio.wrap_future(self._pump.submit(look))
        for network_id, members in told.items():
            self._found.update(members.keys() & wanted[network_id])
        return {one: replace(overlays[one], members=members) for one, members in told.items()}


def _look(
    core: Core,
    now: Now,
    wanted: Mapping[NetworkId, frozenset[Address]],
    found: frozenset[Address],
) -> dict[NetworkId, Members]:
    told: dict[NetworkId, Members] = {}
    for network_id, addresses in wanted.items():
        sought = {one: () for one in sorted(addresses) if one in found or core.seek(one, now)}
        told[network_id] = {**sought, **core.members(network_id)}
    return told
