"""A network through the process that holds its home, by the SOCKS5 that this process serves."""

import errno
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.aio.target import Target
from ztlink.aio.errors import NameNotFound
from ztlink.aio.held import HeldNetwork, HolderGone, socket_path
from ztlink.errors import ConfigError
from ztlink.ids import NetworkId
from ztlink.proxy import socks, socks_wire

NETWORK = NetworkId(0x8056C2E21C000001)


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a short name: a Unix socket is in it."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
async def held(target: Target, home: Path) -> AsyncIterator[HeldNetwork]:
    """The network, as another process sees it."""
    proxy = await socks.serve(target.dial, path=str(socket_path(home, NETWORK)))
    yield HeldNetwork(home, NETWORK)
    proxy.close()
    await proxy.wait_closed()


@pytest.mark.parametrize("host", ["10.0.0.5", "fd00::5", "db.example"])
async def test_what_is_asked_for_is_dialled(held: HeldNetwork, target: Target, host: str) -> None:
    reader, writer = await held.open_connection(host, 80)
    writer.write(b"hello")
    writer.write_eof()
    assert (await reader.read(), target.asked) == (b"hello", [(host, 80)])
    writer.close()


@pytest.mark.parametrize(
    "number", [errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES, errno.EIO]
)
async def test_a_refusal_is_the_error_that_the_holder_met(
    held: HeldNetwork, target: Target, number: int
) -> None:
    target.error = OSError(number, "no")
    with pytest.raises(OSError, match="port 80") as caught:
        await held.open_connection("10.0.0.5", 80)
    assert caught.value.errno == number


async def test_a_label_that_is_too_long_is_no_name(held: HeldNetwork) -> None:
    with pytest.raises(NameNotFound, match="can be no name"):
        await held.open_connection("a" * 64, 80)


async def test_a_name_that_is_too_long_is_none(held: HeldNetwork) -> None:
    with pytest.raises(NameNotFound, match="can be no name"):
        await held.open_connection(".".join(["a" * 60] * 5), 80)


async def test_a_holder_that_has_gone_is_told(held: HeldNetwork, home: Path) -> None:
    socket_path(home, NETWORK).unlink()
    with pytest.raises(HolderGone, match="try again"):
        await held.open_connection("10.0.0.5", 80)


def test_a_network_that_the_holder_does_not_serve_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--home"):
        HeldNetwork(tmp_path, NETWORK)


@pytest.mark.parametrize("head", [b"\x04\x00\x00\x01", b"\x05\x00\x00\x03"])
def test_a_reply_that_is_none_is_refused(head: bytes) -> None:
    with pytest.raises(socks_wire.SocksError, match="is none"):
        socks_wire.reply_rest(head)


def test_a_reply_that_no_rfc_names_is_an_error_all_the_same() -> None:
    assert "reply 77" in str(socks_wire.error_for(77, "10.0.0.5", 80))
