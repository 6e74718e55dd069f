"""A process that changes declared routes without end, to be killed: `python -m` this, INDEX, SEED.

It says `changing` before it begins; the device, whose index is given, is its caller's.
"""

import asyncio
import sys
from dataclasses import replace
from ipaddress import IPv4Network
from random import Random
from typing import Final

from tests.host.routed import NAME, NETWORK, OWN, declare, settings
from ztlink.host.overlay import Overlay
from ztlink.host.routes.manager import RouteManager
from ztlink.host.routes.wanted import DeclaredRoute, RoutingSettings
from ztlink.ids import IpInterface

COUNT: Final = 300
_FIRST: Final = 0x64400000
"""100.64.0.0"""


def many(count: int = COUNT) -> tuple[DeclaredRoute, ...]:
    """Return so many routes, each to a range of its own."""
    template = declare()
    return tuple(
        replace(template, target=IPv4Network((_FIRST + (number << 8), 24)))
        for number in range(count)
    )


def some(seed: int) -> RoutingSettings:
    """Return some of the routes, in a table of our own or not."""
    chance = Random(seed)  # noqa: S311 - for a test
    chosen = [one for one in many() if chance.random() < 0.5]
    return settings(*chosen, table=chance.choice((None, 300)))


async def _keep(index: int, seed: int, own: tuple[IpInterface, ...]) -> None:
    manager = RouteManager(settings())
    await manager.follow({NETWORK: Overlay(NETWORK, OWN, NAME, index, 2800, own)})
    print("changing", flush=True)
    while True:
        await manager.use(some(seed))
        seed += 1


if __name__ == "__main__":
    from ipaddress import ip_interface

    asyncio.run(_keep(int(sys.argv[1]), int(sys.argv[2]), (ip_interface("10.1.3.3/24"),)))
