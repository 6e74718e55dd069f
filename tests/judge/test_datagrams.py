"""Echoes and datagrams between programs in user space and a kernel."""

import asyncio
import socket
from contextlib import closing

import pytest

from tests.judge.command import run
from tests.judge.field import VERSIONS, Field
from tests.lab.measure import ping

pytestmark = [pytest.mark.netadmin, pytest.mark.asyncio(loop_scope="module")]
FAMILIES = pytest.mark.parametrize("version", VERSIONS)
ECHO_SIZES = pytest.mark.parametrize("size", [56, 2000])
SIZES = (0, 1, 56, 1472, 2000, 2772, 2773, 9000)
PATTERN = bytes(range(256)) * 36
PATIENCE = 10.0


class Box(asyncio.DatagramProtocol):
    """Keeps what arrives."""

    def __init__(self) -> None:
        self.got: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.got.put_nowait(data)


class Mirror(asyncio.DatagramProtocol):
    """Sends back what arrives."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.DatagramTransport)
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(data, addr)


# -- echo ----------------------------------------------------------------------------------------


@FAMILIES
@ECHO_SIZES
async def test_a_program_pings_the_kernel(field: Field, version: int, size: int) -> None:
    assert (await field.network.ping(field.kernel_ip(version), size=size)).size == size


@FAMILIES
@ECHO_SIZES
async def test_the_kernel_pings_a_program(field: Field, version: int, size: int) -> None:
    pings = await asyncio.to_thread(
        ping, field.kernel, field.our_ip(version), size=size, wait=PATIENCE
    )
    assert pings.lost == 0


async def test_the_command_pings(field: Field) -> None:
    said = await run(
        *field.ztlink("ping", field.kernel_ip(), "-c", "3", "-i", "0.05", "-s", "2000")
    )
    assert b"3 sent, 3 answered, 0 % lost" in said


async def test_a_command_that_is_run_again_is_answered_at_once(field: Field) -> None:
    """The other side sends to where the former process was."""
    once = field.ztlink("ping", field.kernel_ip(), "-c", "1")
    await run(*once)
    assert b"1 sent, 1 answered" in await run(*once)


# -- UDP -----------------------------------------------------------------------------------------


@FAMILIES
async def test_the_kernel_and_a_program_get_each_others_datagrams_of_all_sizes(
    field: Field, version: int
) -> None:
    loop = asyncio.get_running_loop()
    with closing(field.bound(socket.SOCK_DGRAM, version)) as theirs:
        ours, box = await field.network.create_datagram_endpoint(
            Box, remote_addr=theirs.getsockname()[:2]
        )
        async with asyncio.timeout(PATIENCE):
            for size in SIZES:
                ours.sendto(PATTERN[:size])
                data, source = await loop.sock_recvfrom(theirs, 65_536)
                await loop.sock_sendto(theirs, data[::-1], source)
                assert (data, await box.got.get()) == (PATTERN[:size], data[::-1])
        ours.close()


@FAMILIES
async def test_a_program_sends_back_the_kernels_datagrams_of_all_sizes(
    field: Field, version: int
) -> None:
    loop = asyncio.get_running_loop()
    ours, _ = await field.network.create_datagram_endpoint(Mirror)
    remote = (field.our_ip(version), ours.get_extra_info("sockname")[1])
    with closing(field.bound(socket.SOCK_DGRAM, version)) as theirs:
        async with asyncio.timeout(PATIENCE):
            for size in SIZES:
                await loop.sock_sendto(theirs, PATTERN[:size], remote)
                assert await loop.sock_recvfrom(theirs, 65_536) == (
                    PATTERN[:size],
                    (*remote, 0, 0) if version == 6 else remote,
                )
    ours.close()
