"""Programs that know nothing of networks in user space: nc and ssh, and our commands for them."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import asyncssh
import pytest

from tests.judge.command import needs, run
from tests.judge.field import VERSIONS, Field
from tests.lab.pages import MEGABYTE, Pages
from ztlink.drivers.chance import random_bytes

pytestmark = [pytest.mark.netadmin, pytest.mark.asyncio(loop_scope="module")]
LATE = 5.0
"""Seconds between a client's end and the answer: no half that is shut may time out."""


async def answer_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer all that was said, long after it was said."""
    said = await reader.read()
    await asyncio.sleep(LATE)
    writer.write(said.upper())
    writer.close()


@asynccontextmanager
async def kernel_port(field: Field) -> AsyncIterator[str]:
    """Serve `answer_late` on the kernel's side; yield the port."""
    bound = field.bound(socket.SOCK_STREAM)
    server = await asyncio.start_server(answer_late, sock=bound)
    yield str(bound.getsockname()[1])
    server.close()
    await server.wait_closed()


def named_ip(told: str, version: int = 4) -> str:
    """Return the address of that family that one of our commands names."""
    ips: list[str] = re.findall(r"[0-9a-f:]*[.:][0-9a-f.:]+", told.removeprefix("ztlink: "))
    return next(ip for ip in ips if ip_address(ip).version == version)


# -- nc ------------------------------------------------------------------------------------------


@needs("nc")
async def test_nc_that_has_said_all_gets_an_answer_that_comes_late(field: Field) -> None:
    server = await field.network.start_server(answer_late)
    nc = (*field.kernel.namespace.entry, "nc", "-N", field.our_ip(), str(server.port))
    assert await run(*nc, given=b"question") == b"QUESTION"
    server.close()


async def test_our_command_that_has_said_all_gets_an_answer_that_comes_late(field: Field) -> None:
    async with kernel_port(field) as port:
        connect = field.ztlink("connect", field.kernel_ip(), port)
        assert await run(*connect, given=b"question") == b"QUESTION"


@needs("nc")
async def test_nc_calls_our_command_that_listens(field: Field) -> None:
    content = random_bytes(MEGABYTE)
    async with field.on_shell("listen", "7000") as listening:
        ip = named_ip(await listening.warned("listening on"))
        async with field.on_kernel("nc", "-N", ip, "7000") as nc:
            await listening.say(b"hello")
            assert await nc.hear(5) == b"hello"
            assert (await asyncio.gather(nc.end(content), listening.end()))[1] == content


@needs("nc")
async def test_our_command_calls_nc_that_listens(field: Field) -> None:
    content = random_bytes(MEGABYTE)
    async with field.on_kernel("nc", "-n", "-v", "-N", "-l", field.kernel_ip(), "7001") as nc:
        await nc.warned("Listening on")
        async with field.on_shell("connect", field.kernel_ip(), "7001") as calling:
            await nc.say(b"hello")
            assert await calling.hear(5) == b"hello"
            assert (await asyncio.gather(calling.end(content), nc.end()))[1] == content


@needs("curl")
@pytest.mark.parametrize("version", VERSIONS)
async def test_curl_reaches_what_our_command_exposes(
    field: Field, tmp_path: Path, version: int
) -> None:
    (tmp_path / "large").write_bytes(random_bytes(MEGABYTE))
    async with (
        field.shell_site(Pages(tmp_path / "large").application()) as port,
        field.on_shell("expose", str(port), "--listen", "80") as exposing,
    ):
        ip = named_ip(await exposing.warned("leads to"), version)
        url = f"http://{f'[{ip}]' if version == 6 else ip}/large"
        said = await run(*field.kernel.namespace.entry, "curl", "-sSf", url)
    assert said == (tmp_path / "large").read_bytes()


# -- ssh -----------------------------------------------------------------------------------------


async def send_back(process: "asyncssh.SSHServerProcess[bytes]") -> None:
    """Send back what comes, as `cat` does."""
    process.stdout.write(await process.stdin.read())
    process.exit(0)


@asynccontextmanager
async def ssh_server(field: Field, keys: Path) -> AsyncIterator[int]:
    """Serve SSH on the kernel's side to who has the key; yield the port."""
    user_key, host_key = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    (keys / "key").touch(mode=0o600)
    user_key.write_private_key(keys / "key")
    user_key.write_public_key(keys / "key.pub")
    connections: list[asyncssh.SSHServerConnection] = []
    bound = field.bound(socket.SOCK_STREAM)
    server = await asyncssh.listen(
        sock=bound,
        server_host_keys=[host_key],
        authorized_client_keys=str(keys / "key.pub"),
        process_factory=send_back,
        acceptor=connections.append,
        encoding=None,
    )
    port = bound.getsockname()[1]
    known = f"[{field.kernel_ip()}]:{port} ".encode() + host_key.export_public_key()
    (keys / "known").write_bytes(known)
    yield port
    server.close()
    for connection in connections:
        connection.close()
        await connection.wait_closed()
    await server.wait_closed()


@needs("ssh")
async def test_ssh_connects_through_our_command(field: Field, tmp_path: Path) -> None:
    content = random_bytes(3 * MEGABYTE)
    options = {
        "ProxyCommand": " ".join(field.ztlink("connect", "%h", "%p")),
        "IdentityFile": str(tmp_path / "key"),
        "UserKnownHostsFile": str(tmp_path / "known"),
        "BatchMode": "yes",
    }
    named = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    async with ssh_server(field, tmp_path) as port:
        ssh = ("ssh", "-F", "none", "-p", str(port), *named, f"anna@{field.kernel_ip()}", "cat")
        assert await run(*ssh, given=content) == content
