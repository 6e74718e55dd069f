"""Finds the members of networks that routes are to lead through."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from ztlink.clock import Now
from ztlink.drivers.loop import Pump
from ztlink.host.overlay import Overlay
from ztlink.ids import Address, NetworkId
from ztlink.node.core import Core

ASK_INTERVAL: Final = 15.0
"""Seconds between two times that the roots are asked for a node that they did not know."""


class MemberSearch:
    """Asks the node whom it knows, and has it look for whom it does not."""

    def __init__(self, pump: Pump) -> None:
        self._pump = pump
        self._found: frozenset[Address] = frozenset()
        """Once found, a node is not lost again: its silence is no reason to lead nowhere."""
        self._asked: dict[Address, float] = {}
        """When the roots were last asked for others (`Now.mono`)."""

    async def look(
        self,
        overlays: Mapping[NetworkId, Overlay],
        asked: Callable[[NetworkId], frozenset[Address]],
    ) -> dict[NetworkId, Overlay]:
        """Return the overlays with those of their members that are `asked` for and known."""
        wanted = {network_id: asked(network_id) for network_id in overlays}
        unknown = frozenset[Address]().union(*wanted.values()) - self._found
        if unknown:
            seek = partial(_seek, sought=unknown, asked=self._asked)
            self._found |= await asyncio.wrap_future(self._pump.submit(seek))
        self._asked = {one: mono for one, mono in self._asked.items() if one in unknown}
        return {
            network_id: replace(overlay, members=wanted[network_id] & self._found)
            for network_id, overlay in overlays.items()
        }


def _seek(
    core: Core, now: Now, sought: frozenset[Address], asked: dict[Address, float]
) -> frozenset[Address]:
    """Return who is known, and ask for the others; in the pump's thread, while its caller waits."""
    known = frozenset([one for one in sought if core.knows(one, now)])
    for one in sorted(sought - known):
        if now.mono >= asked.get(one, float("-inf")) + ASK_INTERVAL:
            asked[one] = now.mono
            core.seek(one, now)
    return known
