"""`ztlink call`, `listen`, `connect`, `ping`, `expose`: networks without a TAP, for people.

Each joins by itself, in user space, and leaves nothing running. Where another ztlink holds the
home, what only goes out goes through it.
"""

import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

import click

from ztlink.cli_options import network_id_argument, say
from ztlink.errors import ZtError
from ztlink.ids import parse_network_id

if TYPE_CHECKING:
    from ztlink.aio.held import HeldNetwork
    from ztlink.aio.network import Network

Command = Callable[..., Any]
DEFAULT_HOME: Final = "~/.ztlink"
JOIN_TIMEOUT: Final = 60.0
MAX_PORT: Final = 65_535
QUIET_TIME: Final = 5.0
"""Seconds without an answer after which datagrams that came from a pipe have got all of theirs."""


class OverlayError(ZtError):
    """The network, or somebody on it, did not do what was asked."""


class Options(TypedDict):
    """The options that all of these commands have."""

    network: str
    home: Path
    planet: Path | None
    timeout: float
    allow_loopback: bool


def _options(command: Command) -> Command:
    for option in (
        click.option("--allow-loopback", is_flag=True, hidden=True),
        click.option(
            "--timeout",
            type=click.FloatRange(0.1),
            default=JOIN_TIMEOUT,
            show_default=True,
            metavar="SECONDS",
            help="How long to wait for the network.",
        ),
        click.option(
            "--planet",
            type=click.Path(path_type=Path, dir_okay=False),
            help="A world file in the place of ZeroTier's public roots; kept in the home.",
        ),
        click.option(
            "--home",
            type=click.Path(path_type=Path, file_okay=False),
            default=DEFAULT_HOME,
            envvar="ZTLINK_HOME",
            show_default=True,
            help="Where the node's identity and state are.",
        ),
        click.option(
            "--network",
            required=True,
            type=network_id_argument,
            metavar="NWID",
            envvar="ZEROTIER_NETWORK_ID",
            help="The network to join.",
        ),
    ):
        command = option(command)
    return command


@contextlib.asynccontextmanager
async def _joined(options: Options) -> "AsyncIterator[Network]":
    """Join, and tell a person on standard error what is waited for."""
    from ztlink.aio.node import Node

    async with Node(
        options["home"], planet=options["planet"], allow_loopback=options["allow_loopback"]
    ) as node:
        yield await node.join(
            options["network"],
            timeout=options["timeout"],
            on_waiting=lambda text: _say(f"{text} (this node is {node.address})"),
        )


@contextlib.asynccontextmanager
async def _outgoing(options: Options) -> "AsyncIterator[Network | HeldNetwork]":
    """Join, or go through the process that holds the home."""
    from ztlink.aio.held import HeldNetwork
    from ztlink.drivers.home import HeldError

    async with contextlib.AsyncExitStack() as stack:
        network: Network | HeldNetwork
        try:
            network = await stack.enter_async_context(_joined(options))
        except HeldError:
            home = options["home"].expanduser()
            network = HeldNetwork(home, parse_network_id(options["network"]))
        yield network


def _say(text: str) -> None:
    say(f"ztlink: {text}", err=True)


def _run(work: Coroutine[Any, Any, int]) -> None:
    """Run to the end, with errors as one sentence."""
    import asyncio  # late, as all that only a running command needs

    try:
        status = asyncio.run(work)
    except ZtError:
        raise
    except OSError as error:
        raise OverlayError(error.strerror or str(error)) from error
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)


def parse_target(text: str, port: int) -> tuple[str, int]:
    """Return host and port of `HOST`, `HOST:PORT` or `[IPV6]:PORT`."""
    host, colon, number = text.rpartition(":")
    if not colon or (":" in host and not host.endswith("]")):
        return text.strip("[]"), port
    if not number.isdecimal() or not 1 <= int(number) <= MAX_PORT or not host:
        raise click.BadParameter(f"{text!r} is not HOST, HOST:PORT or [IPV6]:PORT")
    return host.strip("[]"), int(number)


# -- commands ----------------------------------------------------------------------------------


@click.command()
@click.argument("host")
@click.option("-c", "--count", type=click.IntRange(1), default=4, show_default=True)
@click.option("-i", "--interval", type=click.FloatRange(0.01), default=1.0, show_default=True)
@click.option(
    "-s", "--size", type=click.IntRange(0, 65_000), default=56, show_default=True, help="Bytes."
)
@_options
def ping(host: str, count: int, interval: float, size: int, **options: Unpack[Options]) -> None:
    """Send echo requests to HOST over a network."""
    from ztlink.cli_pipe import ping_host

    async def work() -> int:
        async with _joined(options) as network:
            return await ping_host(network, host, count, interval, size)

    _run(work())


@click.command()
@click.argument("host")
@click.argument("port", type=click.IntRange(1, MAX_PORT))
@click.option("-u", "--udp", is_flag=True, help="Datagrams: one for each line.")
@_options
def connect(host: str, port: int, udp: bool, **options: Unpack[Options]) -> None:
    """Connect standard input and output to PORT of HOST over a network, as nc does."""
    from ztlink.cli_pipe import DatagramPipe, carry, exchange_datagrams

    async def work() -> int:
        async with _outgoing(options) as network:
            if udp:
                remote = (host, port)
                opened = await network.create_datagram_endpoint(DatagramPipe, remote_addr=remote)
                return await exchange_datagrams(*opened, quiet_time=QUIET_TIME)
            return await carry(await network.open_connection(host, port))

    _run(work())


@click.command()
@click.argument("port", type=click.IntRange(1, MAX_PORT))
@click.option("-u", "--udp", is_flag=True, help="Datagrams: answers go to who spoke last.")
@_options
def listen(port: int, udp: bool, **options: Unpack[Options]) -> None:
    """Take one connection to PORT of this node over a network, as nc -l does."""
    from ztlink.cli_pipe import DatagramPipe, carry, exchange_datagrams, one_connection

    async def work() -> int:
        async with _joined(options) as network:
            _say(f"listening on {', '.join(str(one.ip) for one in network.addresses)} port {port}")
            if udp:
                local = ("::", port)
                opened = await network.create_datagram_endpoint(DatagramPipe, local_addr=local)
                return await exchange_datagrams(*opened)
            return await carry(await one_connection(network, port))

    _run(work())


@click.command()
@click.argument("local_port", metavar="LOCALPORT", type=click.IntRange(1, MAX_PORT))
@click.option(
    "--listen",
    "listen_port",
    type=click.IntRange(1, MAX_PORT),
    metavar="PORT",
    help="Port on the network; LOCALPORT where it is not named.",
)
@click.option(
    "--to",
    metavar="HOST[:PORT]",
    default="127.0.0.1",
    show_default=True,
    help="Another target, which this machine reaches; LOCALPORT where it has no port.",
)
@_options
def expose(local_port: int, listen_port: int | None, to: str, **options: Unpack[Options]) -> None:
    """Let members of a network reach LOCALPORT of this machine, until interrupted."""
    from ztlink.cli_pipe import expose_port

    target = parse_target(to, local_port)

    async def work() -> int:
        async with _joined(options) as network:
            port = listen_port or local_port
            _say(
                f"{', '.join(str(one.ip) for one in network.addresses)} port {port} leads to "
                f"{target[0]} port {target[1]}"
            )
            return await expose_port(network, port, *target)

    _run(work())


@click.command()
@click.argument("url")
@click.option("-X", "--request", "method", metavar="METHOD", help="GET, or POST with data.")
@click.option("-H", "--header", "headers", multiple=True, metavar="NAME: VALUE")
@click.option(
    "-d", "--data", metavar="DATA", help="Body; @FILE for a file's content, @- for input."
)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
@click.option("-i", "--include", is_flag=True, help="Show the status and the headers, too.")
@click.option("-k", "--insecure", is_flag=True, help="Take any certificate.")
@_options
def call(
    url: str,
    method: str | None,
    headers: tuple[str, ...],
    data: str | None,
    output: Path | None,
    include: bool,
    insecure: bool,
    **options: Unpack[Options],
) -> None:
    """Make an HTTP request to URL over a network, as curl does."""
    from ztlink.cli_call import Request, perform

    request = Request(url, method, headers, data, output, is_verbose=include, is_lax=insecure)

    async def work() -> int:
        async with _outgoing(options) as network:
            return await perform(network, request)

    _run(work())


COMMANDS: Final = (call, listen, connect, ping, expose)
