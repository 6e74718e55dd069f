"""Finds the members of networks that routes are to lead through."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from ztlink.clock import Now
from ztlink.drivers.loop import Pump
from ztlink.host.overlay import Overlay
from ztlink.ids import Address, NetworkId
from ztlink.node.core import Core


class MemberSearch:
    """Asks the node whom it knows, and has it look for whom it does not."""

    def __init__(self, pump: Pump) -> None:
        self._pump = pump
        self._found: frozenset[Address] = frozenset()
        """Once found, a node is not lost again: its silence is no reason to lead nowhere."""

    async def look(
        self,
        overlays: Mapping[NetworkId, Overlay],
        asked: Callable[[NetworkId], frozenset[Address]],
    ) -> dict[NetworkId, Overlay]:
        """Return the overlays with those of their members that are `asked` for and known."""
        wanted = {network_id: asked(network_id) for network_id in overlays}
        unknown = frozenset[Address]().union(*wanted.values()) - self._found
        if unknown:
            seek = partial(_seek, sought=unknown)
            self._found |= await asyncio.wrap_future(self._pump.submit(seek))
        return {
            network_id: replace(overlay, members=wanted[network_id] & self._found)
            for network_id, overlay in overlays.items()
        }


def _seek(core: Core, now: Now, sought: frozenset[Address]) -> frozenset[Address]:
    return frozenset([one for one in sorted(sought) if core.seek(one, now)])
