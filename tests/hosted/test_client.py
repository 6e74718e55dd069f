"""The client of controllers elsewhere: what passes, what does not, and how fast it asks."""

import itertools
import re
import time
from collections.abc import Callable

import pytest

from tests.hosted.central import NETWORK, TOKEN
from tests.hosted.conftest import Hosted
from ztlink.hosted.access import HostedAccess
from ztlink.hosted.client import DISTANCE, HostedClient, HostedError

ADDRESS = "0123456789"


def client(
    url: str, read_time: Callable[[], float] = lambda: 0.0, *, is_central: bool = True
) -> HostedClient:
    access = HostedAccess(url, TOKEN, is_central=is_central)
    return HostedClient(access, NETWORK, read_time, bytes, first_pause=0.001)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_what_may_pass_is_tried_again(central: Hosted, status: int) -> None:
    central.api.troubles = [(status, {})] * 2
    async with client(central.url) as api:
        await api.check_network()
    assert len(central.api.log) == 3


async def test_what_will_not_pass_is_not_tried_again(central: Hosted) -> None:
    central.api.troubles = [(400, {})]
    async with client(central.url) as api:
        with pytest.raises(HostedError, match=r"\(status 400\)"):
            await api.check_network()
    assert len(central.api.log) == 1


async def test_a_limit_that_stays_is_explained(central: Hosted) -> None:
    central.api.troubles = [(429, {})] * 50
    clock = itertools.count(0, 10)
    async with client(central.url, lambda: next(clock)) as api:
        with pytest.raises(HostedError, match=re.escape("too many requests of this account (429)")):
            await api.check_network()


async def test_it_waits_as_long_as_it_is_told_to(central: Hosted) -> None:
    central.api.troubles = [(429, {"Retry-After": "1"})]
    start = time.monotonic()  # noqa: TID251 - the pause is real
    async with client(central.url) as api:
        await api.check_network()
    assert time.monotonic() - start >= 1  # noqa: TID251


async def test_requests_keep_their_distance(central: Hosted) -> None:
    central.api.put(ADDRESS, authorized=True)
    start = time.monotonic()  # noqa: TID251 - the pauses are real
    async with client(central.url, time.monotonic) as api:  # noqa: TID251
        for _ in range(4):
            await api.is_authorized(ADDRESS)
    assert time.monotonic() - start >= 3 * DISTANCE  # noqa: TID251


async def test_an_api_that_is_away_is_tried_again_until_patience_ends() -> None:
    clock = itertools.count(0, 10)
    async with client("http://127.0.0.1:1/api/v1", lambda: next(clock)) as api:
        with pytest.raises(HostedError, match=r"127.0.0.1:1.*; try again later"):
            await api.check_network()


async def test_a_controller_that_does_not_answer_may_not_know_this_machine() -> None:
    clock = itertools.count(0, 10)
    async with client("http://127.0.0.1:1", lambda: next(clock), is_central=False) as api:
        with pytest.raises(HostedError, match="whether allowManagementFrom of its"):
            await api.check_network()
