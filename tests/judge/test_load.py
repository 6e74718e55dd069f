"""Tools that load a network, on the kernel's side: iperf3 against what our command exposes, wrk."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.judge.command import Command, needs, run
from tests.judge.field import Field
from tests.judge.test_pipes import named_ip
from tests.lab.pages import Pages

pytestmark = [pytest.mark.netadmin, pytest.mark.asyncio(loop_scope="module")]
PORT = "5201"
SECONDS = "2"
STREAMS = 8


@asynccontextmanager
async def exposed_iperf(field: Field) -> AsyncIterator[str]:
    """Run iperf3 behind our command, on a machine of theirs; yield the command's address."""
    entry = field.mesh.lab.hosts["shell"].namespace.entry
    async with (
        Command.running(*entry, "iperf3", "-s", "-1", "-B", "127.0.0.1", "-p", PORT),
        field.on_shell("expose", PORT) as exposing,
    ):
        yield named_ip(await exposing.warned("leads to"))


async def iperf(field: Field, *options: str) -> dict[str, Any]:
    """Have the kernel's side measure; return what it says."""
    async with exposed_iperf(field) as ip:
        client = ("iperf3", "-J", "-c", ip, "-p", PORT, "-t", SECONDS, *options)
        said = await run(*field.kernel.namespace.entry, *client)
    told: dict[str, Any] = json.loads(said)["end"]
    return told


@needs("iperf3")
@pytest.mark.parametrize("direction", ["up", "down"])
async def test_iperf3_moves_bytes_and_both_ends_count_the_same(
    field: Field, direction: str
) -> None:
    end = await iperf(field, *(["-R"] if direction == "down" else []))
    sent, received = end["sum_sent"]["bytes"], end["sum_received"]["bytes"]
    assert 0 < received <= sent
    assert received >= 0.5 * sent


@needs("iperf3")
async def test_no_stream_of_many_starves(field: Field) -> None:
    end = await iperf(field, "-P", str(STREAMS))
    shares = [stream["receiver"]["bytes"] for stream in end["streams"]]
    assert (len(shares), min(shares) > 0.1 * sum(shares) / STREAMS) == (STREAMS, True)


@needs("wrk")
async def test_wrk_gets_an_answer_to_every_request(field: Field, tmp_path: Path) -> None:
    async with field.our_site(Pages(tmp_path / "none").application()) as served:
        wrk = ("wrk", "-t", "1", "-c", "50", "-d", f"{SECONDS}s", served.url("/"))
        said = (await run(*field.kernel.namespace.entry, *wrk)).decode()
    requests = re.search(r"(\d+) requests in", said)
    assert requests is not None, said
    assert (int(requests[1]) > 50, "errors" in said, "Non-2xx" in said) == (True, False, False)
