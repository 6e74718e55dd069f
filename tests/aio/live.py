"""Which live network, if any, an operator of these tests has named, and a page of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import aiohttp

from ztlink.aio.node import Node

PATIENCE: Final = 120.0
"""Seconds to be let in: somebody may have to authorise the node first."""


class Live(NamedTuple):
    """A network, and a page that one of its members serves."""

    network_id: str
    url: str


def named_live(environment: Mapping[str, str]) -> Live | None:
    """Return what the environment names; None where it names nothing whole.

    The names of libzt's own tests serve, too, where LIBZT_RUN_ZEROTIER_E2E is 1.
    """
    network_id, url = environment.get("ZTLINK_E2E_NETWORK"), environment.get("ZTLINK_E2E_URL")
    if environment.get("LIBZT_RUN_ZEROTIER_E2E") == "1":
        network_id = network_id or environment.get("LIBZT_ZEROTIER_NWID")
        url = url or environment.get("LIBZT_ZEROTIER_URL")
    return Live(network_id, url) if network_id and url else None


async def fetch_page(live: Live, home: str | Path, planet: Path | None = None) -> int:
    """Join as the node of a home, fetch the page, and return its status."""
    async with Node(home, planet=planet) as node:
        network = await node.join(live.network_id, timeout=PATIENCE)
        async with (
            aiohttp.ClientSession(connector=network.connector()) as session,
            session.get(live.url) as response,
        ):
            return response.status
