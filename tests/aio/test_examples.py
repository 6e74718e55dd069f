"""The examples of python.adoc, each run as it stands."""

import asyncio
import functools
import re
from pathlib import Path
from typing import Any, Final

import pytest

import ztlink
import ztlink.sync
from tests.aio.conftest import Pair
from tests.aio.handlers import Echo
from tests.aio.overlay import Overlay
from ztlink.aio.node import Node

PAGE: Final = Path(__file__).parents[2] / "agent/docs/python.adoc"
_BLOCK: Final = re.compile(r"^\[source,python\]\n----\n(.*?)^----$", re.MULTILINE | re.DOTALL)


def examples() -> dict[str, Any]:
    """Run all blocks of the page in one namespace, and return what they define."""
    names: dict[str, Any] = {}
    for block in _BLOCK.findall(PAGE.read_text()):
        exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102 - our own page
    return names


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    """What the page defines."""
    return examples()


async def test_a_page_is_served_and_fetched(
    pair: Pair, overlay: Overlay, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = functools.partial(
        Node,
        overlay.make_home(6),
        planet=overlay.planet,
        allow_loopback=True,
        bind=(overlay.ip,),
    )
    monkeypatch.setattr(ztlink, "Node", node, raising=False)
    example = examples()
    runner, url = await example["serve"](pair.other)
    assert (await example["fetch"](pair.other.id, url)).startswith("hello ")
    await runner.cleanup()


async def test_httpx_fetches_it_too(pair: Pair, example: dict[str, Any]) -> None:
    runner, url = await example["serve"](pair.other)
    assert (await example["fetch_with_httpx"](pair.one, url)).startswith("hello ")
    await runner.cleanup()


async def test_a_server_shouts_back(pair: Pair, example: dict[str, Any]) -> None:
    assert await example["echo"](pair.other, pair.one) == b"HELLO"


async def test_a_datagram_is_answered(pair: Pair, example: dict[str, Any]) -> None:
    await pair.other.create_datagram_endpoint(Echo, local_addr=("0.0.0.0", 7))
    assert await example["ask"](pair.one, pair.host, 7) == b"what time is it?"


async def test_somebody_is_there(pair: Pair, example: dict[str, Any]) -> None:
    assert await example["is_there"](pair.one, pair.host) < 1.0


async def test_a_local_port_leads_there(pair: Pair, example: dict[str, Any]) -> None:
    server = await pair.other.start_server(example["shout"])
    answer = await example["through_a_port"](pair.one, pair.host, server.port)
    assert answer == b"HELLO"


async def test_a_script_without_asyncio_is_answered(
    pair: Pair, overlay: Overlay, example: dict[str, Any]
) -> None:
    server = await pair.other.start_server(example["shout"])
    ask = functools.partial(
        example["ask_in_a_script"],
        pair.other.id,
        pair.host,
        server.port,
        home=overlay.make_home(6),
        planet=overlay.planet,
        allow_loopback=True,
        bind=(overlay.ip,),
    )
    assert await asyncio.to_thread(ask) == b"HELLO"


async def test_a_script_is_answered_by_udp(
    pair: Pair, overlay: Overlay, example: dict[str, Any]
) -> None:
    await pair.other.create_datagram_endpoint(Echo, local_addr=("::", 7))

    def ask() -> bytes:
        options: dict[str, Any] = {"planet": overlay.planet, "allow_loopback": True}
        with ztlink.sync.Node(overlay.make_home(6), bind=(overlay.ip,), **options) as node:
            network = node.join(pair.other.id)
            answer: bytes = example["ask_by_udp_in_a_script"](network, pair.host, 7)
            return answer

    assert await asyncio.to_thread(ask) == b"what time is it?"
