"""The local API takes anything: no failure of ours, no token told, nothing left behind."""

import asyncio
import contextlib
import gc
import json
import logging
import os
import socket
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scale import scaled
from tests.unit.api.rig import METRICS_TOKEN, TOKEN, FakeCore, Speaker, make_api, speak_to
from tests.unit.controller.rig import Rig
from ztlink.api.connection import Connection

METHODS = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE"]
SEGMENTS = st.sampled_from(
    [
        *("status", "health", "network", "peer", "moon", "config", "settings", "metrics", "bond"),
        *("show", "rotate", "setmtu", "controller", "unstable", "member", "..", ".", "", "%2e%2e"),
        *("8056c2e21c000001", "8056C2E21C000001", "0000000000000000", "ffffffffffffffff"),
        *("ba52bb0e23", "0000000000", "ff00000000", "______", "1400", "eth0", "10.0.0.1"),
    ]
) | st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="?# "), max_size=20
)
PATHS = st.lists(SEGMENTS, max_size=7).map(lambda parts: "/" + "/".join(parts))
QUERIES = st.sampled_from(["", "?", "?jsonp=f", "?jsonp=%00", "?auth=", "?auth=x&auth=y", "?%ff=%"])
KEYS = st.text(max_size=10) | st.sampled_from(
    [
        *("allowManaged", "allowGlobal", "allowDefault", "allowDNS", "seed", "settings", "name"),
        *("private", "routes", "rules", "ipAssignmentPools", "authorized", "mtu", "tags", "dns"),
    ]
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["01b3b56d4c", "8056c2e21c000001", "10.0.0.0/24", 2**64, -1]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)
BODIES = (
    st.dictionaries(KEYS, JSON, max_size=5).map(lambda value: json.dumps(value).encode())
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=200)
)
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30).map(str.strip)
HEADERS = st.dictionaries(
    st.sampled_from(["Content-Type", "Authorization", "Cookie", "X-Other", "Accept"]), VALUES
)
FUZZED = settings(max_examples=scaled(2000), deadline=None)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Keep aiohttp from telling of every request that it cannot read."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def status_of(raw: bytes) -> int:
    return int(raw.split(b" ", 2)[1]) if raw.startswith(b"HTTP/") else 0


def check(raw: bytes) -> None:
    assert status_of(raw) < 500, raw[:500]
    assert TOKEN.encode() not in raw
    assert METRICS_TOKEN.encode() not in raw
    assert b"Traceback" not in raw


async def ask_all(
    requests: list[tuple[str, str, bytes, dict[str, str]]], rig: Rig, answers: list[bytes]
) -> None:
    async with speak_to(make_api(FakeCore(), rig.service)) as speaker:
        for method, path, body, headers in requests:
            answers.append(await speaker.exchange(encode(method, path, body, headers)))


def encode(method: str, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    shown = {"Host": "localhost", "X-ZT1-Auth": TOKEN, "Connection": "close"} | headers
    lines = [f"{method} {path} HTTP/1.1", *(f"{key}: {value}" for key, value in shown.items())]
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def run(work: Any) -> None:  # noqa: ANN401 - any coroutine
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        loop.run_until_complete(work)


@FUZZED
@given(
    requests=st.lists(
        st.tuples(st.sampled_from(METHODS), PATHS, QUERIES, BODIES, HEADERS), min_size=1, max_size=8
    )
)
def test_no_request_makes_it_fail(
    requests: list[tuple[str, str, str, bytes, dict[str, str]]],
) -> None:
    rig = Rig()
    rig.create(name="lab")
    network = next(iter(rig.service.networks))
    own = f"{network:016x}"
    made = [
        (method, path.replace("8056c2e21c000001", own) + query, body, headers)
        for method, path, query, body, headers in requests
    ]
    answers: list[bytes] = []
    try:
        run(ask_all(made, rig, answers))
    finally:
        rig.service.close()
    assert len(answers) == len(made)
    for answer in answers:
        check(answer)


async def send(raw: bytes) -> bytes:
    async with speak_to(make_api(FakeCore())) as speaker:
        ended = asyncio.wait_for(cut_off(speaker, raw), timeout=30)
        return await ended


async def cut_off(speaker: Speaker, raw: bytes) -> bytes:
    """Send bytes and nothing more: the other side hears that we are done."""
    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    await loop.connect_accepted_socket(partial(Connection, speaker.server), theirs)
    reader, writer = await asyncio.open_connection(sock=ours)
    writer.write(raw)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return answer


@FUZZED
@given(raw=st.binary(max_size=300))
def test_no_bytes_make_it_fail(raw: bytes) -> None:
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        check(loop.run_until_complete(send(raw)))


@FUZZED
@given(index=st.integers(0, 150), byte=st.integers(0, 255))
def test_no_damaged_request_makes_it_fail(index: int, byte: int) -> None:
    request = bytearray(encode("POST", "/network/8056c2e21c000001", b'{"allowDNS": true}', {}))
    request[index % len(request)] = byte
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        answer = loop.run_until_complete(send(bytes(request)))
    assert status_of(answer) < 500
    assert b"Traceback" not in answer


async def test_requests_leave_no_descriptor_and_no_task_behind() -> None:
    async with speak_to(make_api(FakeCore())) as speaker:
        for _ in range(3):
            await speaker.ask("GET", "/status")
        gc.collect()
        before = len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())  # noqa: PTH208
        for number in range(scaled(1000)):
            await speaker.ask("POST", f"/network/{number:016x}", b"[" * (number % 200))
        gc.collect()
        await asyncio.sleep(0)
        after = len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())  # noqa: PTH208
    assert after <= before


async def test_the_next_request_on_a_connection_is_served_after_a_bad_one() -> None:
    good = encode("GET", "/status", b"", {})
    bad = encode("POST", "/network/8056c2e21c000001", b"[]", {"Connection": "keep-alive"})
    async with speak_to(make_api(FakeCore())) as speaker:
        raw = await speaker.exchange(bad + good)
    assert [raw.count(b"HTTP/1.1 400"), raw.count(b"HTTP/1.1 200")] == [1, 1]
