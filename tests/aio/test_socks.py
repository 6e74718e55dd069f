"""SOCKS5 as RFC 1928 and 1929 say it, byte for byte."""

import asyncio
import errno
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.aio.target import LOOPBACK, Target
from ztlink.proxy import socks
from ztlink.proxy.forward import port_of
from ztlink.proxy.socks import Credentials
from ztlink.proxy.socks_wire import Reply, reply_for

GREETING = b"\x05\x01\x00"
CONNECT_IPV4 = b"\x05\x01\x00\x01\x0a\x00\x00\x05\x00\x50"


async def say(target: Target, said: bytes, credentials: Credentials | None = None) -> bytes:
    """Return all that the proxy answers to what a client says before its end."""
    proxy = await socks.serve(target.dial, credentials=credentials)
    try:
        reader, writer = await asyncio.open_connection(LOOPBACK, port_of(proxy))
        writer.write(said)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    finally:
        proxy.close()
        await proxy.wait_closed()
    return answer


async def test_a_connection_is_carried(target: Target) -> None:
    answer = await say(target, GREETING + CONNECT_IPV4 + b"hello")
    assert answer[:6] == b"\x05\x00" + b"\x05\x00\x00\x01"
    assert answer.endswith(b"hello")


async def test_an_ipv4_address_is_dialled(target: Target) -> None:
    await say(target, GREETING + CONNECT_IPV4)
    assert target.asked == [("10.0.0.5", 80)]


async def test_an_ipv6_address_is_dialled(target: Target) -> None:
    packed = socket.inet_pton(socket.AF_INET6, "fd00::5")
    await say(target, GREETING + b"\x05\x01\x00\x04" + packed + b"\x01\xbb")
    assert target.asked == [("fd00::5", 443)]


async def test_a_name_is_dialled_as_it_is(target: Target) -> None:
    await say(target, GREETING + b"\x05\x01\x00\x03\x04host\x00\x50")
    assert target.asked == [("host", 80)]


async def test_a_password_opens(target: Target) -> None:
    login = b"\x01\x04anna\x06secret"
    said = b"\x05\x02\x00\x02" + login + CONNECT_IPV4 + b"hello"
    answer = await say(target, said, Credentials(b"anna", b"secret"))
    assert answer.startswith(b"\x05\x02\x01\x00\x05\x00")


async def test_a_wrong_password_does_not(target: Target) -> None:
    login = b"\x01\x04anna\x05wrong"
    answer = await say(target, b"\x05\x01\x02" + login, Credentials(b"anna", b"secret"))
    assert (answer, target.asked) == (b"\x05\x02\x01\x01", [])


async def test_who_offers_no_password_is_turned_away(target: Target) -> None:
    answer = await say(target, GREETING + CONNECT_IPV4, Credentials(b"anna", b"secret"))
    assert (answer, target.asked) == (b"\x05\xff", [])


async def test_another_version_is_refused(target: Target) -> None:
    assert (await say(target, b"\x04\x01\x00\x50"))[1] == Reply.FAILED


async def test_bind_is_refused_as_unknown(target: Target) -> None:
    answer = await say(target, GREETING + b"\x05\x02\x00\x01\x0a\x00\x00\x05\x00\x50")
    assert answer[3] == Reply.COMMAND_UNKNOWN


async def test_an_address_of_another_kind_is_refused(target: Target) -> None:
    assert (await say(target, GREETING + b"\x05\x01\x00\x02"))[3] == Reply.ADDRESS_UNKNOWN


async def test_a_refusal_of_the_target_is_told(target: Target) -> None:
    target.error = ConnectionRefusedError(errno.ECONNREFUSED, "nobody listens")
    assert (await say(target, GREETING + CONNECT_IPV4))[3] == Reply.REFUSED


@pytest.mark.parametrize(
    ("error", "reply"),
    [
        (ConnectionRefusedError(), Reply.REFUSED),
        (socket.gaierror(socket.EAI_NONAME, "no name"), Reply.HOST_UNREACHABLE),
        (TimeoutError(), Reply.HOST_UNREACHABLE),
        (OSError(errno.EHOSTUNREACH, ""), Reply.HOST_UNREACHABLE),
        (OSError(errno.ENETUNREACH, ""), Reply.NETWORK_UNREACHABLE),
        (PermissionError(), Reply.NOT_ALLOWED),
        (OSError(errno.EIO, ""), Reply.FAILED),
    ],
)
def test_errors_have_the_replies_that_the_rfc_names(error: OSError, reply: Reply) -> None:
    assert reply_for(error) is reply


@given(st.binary(max_size=64))
async def test_any_bytes_end_in_an_answer_or_a_close(said: bytes) -> None:
    nobody = Target(0)
    nobody.error = ConnectionRefusedError()
    assert len(await say(nobody, said)) <= 16
