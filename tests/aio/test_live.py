"""A page of a live network, fetched in user space: only where an operator names one.

The node's address is kept in ZTLINK_E2E_HOME, where that is set, so that it can be authorised once.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import pytest

from tests.aio.live import Live, named_live
from ztlink.aio.node import Node

NAMED = named_live(os.environ)


@pytest.mark.skipif(NAMED is None, reason="needs ZTLINK_E2E_NETWORK and ZTLINK_E2E_URL")
async def test_a_page_of_a_live_network_is_fetched(tmp_path: Path) -> None:
    assert NAMED is not None
    async with Node(os.environ.get("ZTLINK_E2E_HOME", tmp_path)) as node:
        network = await node.join(NAMED.network_id, timeout=120.0)
        async with (
            aiohttp.ClientSession(connector=network.connector()) as session,
            session.get(NAMED.url) as response,
        ):
            assert response.status == 200


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({}, None),
        ({"ZTLINK_E2E_NETWORK": "8056c2e21c000001"}, None),
        (
            {"ZTLINK_E2E_NETWORK": "8056c2e21c000001", "ZTLINK_E2E_URL": "http://10.1.2.3/"},
            Live("8056c2e21c000001", "http://10.1.2.3/"),
        ),
        ({"LIBZT_ZEROTIER_NWID": "8056c2e21c000001", "LIBZT_ZEROTIER_URL": "http://a/"}, None),
        (
            {
                "LIBZT_RUN_ZEROTIER_E2E": "1",
                "LIBZT_ZEROTIER_NWID": "8056c2e21c000001",
                "LIBZT_ZEROTIER_URL": "http://10.1.2.3/",
            },
            Live("8056c2e21c000001", "http://10.1.2.3/"),
        ),
    ],
)
def test_a_live_network_is_one_that_is_named_whole(
    environment: Mapping[str, str], named: Live | None
) -> None:
    assert named_live(environment) == named
