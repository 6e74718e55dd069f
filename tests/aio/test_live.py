"""A page of a live network, fetched in user space: only where an operator names one.

The node's address is kept in ZTLINK_E2E_HOME, where that is set, so that it can be authorised once.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.aio.live import Live, fetch_page, named_live

NAMED = named_live(os.environ)


@pytest.mark.skipif(NAMED is None, reason="needs ZTLINK_E2E_NETWORK and ZTLINK_E2E_URL")
async def test_a_page_of_a_live_network_is_fetched(tmp_path: Path) -> None:
    assert NAMED is not None
    assert await fetch_page(NAMED, os.environ.get("ZTLINK_E2E_HOME", tmp_path)) == 200


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
