"""What the commands do on a network, without their processes."""

import asyncio

import pytest

from tests.aio.conftest import Pair
from ztlink.cli_pipe import one_connection, ping_host


async def test_answers_are_counted(pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    assert await ping_host(pair.one, pair.host, count=2, interval=0.01, size=56) == 0
    assert "2 sent, 2 answered, 0 % lost" in capsys.readouterr().out


async def test_a_second_connection_is_refused(pair: Pair) -> None:
    waiting = asyncio.ensure_future(one_connection(pair.other, 7000))
    await asyncio.sleep(0)
    _, first = await pair.one.open_connection(pair.host, 7000)
    taken = await waiting
    with pytest.raises(ConnectionRefusedError):
        await pair.one.open_connection(pair.host, 7000)
    first.close()
    taken.writer.close()
