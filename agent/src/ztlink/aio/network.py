"""A network as the networking half of an event loop: asyncio's own words, over the overlay."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from ssl import SSLContext
from typing import TYPE_CHECKING, Any, Final

from ztlink.aio import tls
from ztlink.aio.datagram import DatagramTransport
from ztlink.aio.echo import Echo, Pong
from ztlink.aio.errors import NameNotFound, NetworkUnreachable
from ztlink.aio.flows import Carrier, Flows
from ztlink.aio.joining import Standing
from ztlink.aio.names import DNS_PORT, Names
from ztlink.aio.server import ProtocolFactory, Server
from ztlink.aio.transport import Connecting, StreamTransport
from ztlink.ids import Endpoint, IpAddress, IpInterface, NetworkId, format_mac, format_network_id
from ztlink.netstack.stack import Stack
from ztlink.proxy import forward as forwards
from ztlink.proxy import socks
from ztlink.proxy.relay import Stream
from ztlink.wire.netconf import Dns, NetworkConfig, Route

if TYPE_CHECKING:
    import httpx
    from aiohttp import web

    from ztlink.aio.http import Connector
    from ztlink.aio.site import Site

DEFAULT_LIMIT: Final = 2**16
"""Bytes that a StreamReader holds before it has its transport paused, as asyncio's."""
DEFAULT_BACKLOG: Final = 100
REFRESH_TIME: Final = 5.0
"""Seconds that the controller has to renew a configuration that was kept from last time."""
EVERYWHERE: Final = (IPv4Address(0), IPv6Address(0))

ClientConnected = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None] | None]


class Network:
    """A network that a node has joined; made by `Node.join`."""

    def __init__(
        self,
        network_id: NetworkId,
        stack: Stack,
        carrier: Carrier,
        standing: Standing,
        leave: Callable[[], Awaitable[None]],
        hosts: Mapping[str, IpAddress] | None = None,
        kept: NetworkConfig | None = None,
    ) -> None:
        """Make it; `kept` is the configuration of last time, which serves until there is one."""
        self._network_id = network_id
        self._stack = stack
        self._flows = Flows(asyncio.get_running_loop(), stack, carrier)
        self._standing = standing
        self._leave = leave
        self._names = Names(self._ask, lambda: self.dns, hosts)
        self._config: NetworkConfig | None = None
        self._kept = kept
        self._is_renewed = asyncio.Event()
        self._servers: list[asyncio.Server] = []

    # -- what it is --------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The network's id, 16 hex digits."""
        return format_network_id(self._network_id)

    @property
    def name(self) -> str:
        """What the network's owner calls it."""
        return self._config.name.decode(errors="replace") if self._config else ""

    @property
    def status(self) -> str:
        """`OK`, `ACCESS_DENIED` and so on, as the original names them."""
        return self._standing.status.name

    @property
    def reason(self) -> str:
        """The status in a sentence: what is so, what it waits for, what would help."""
        return self._standing.sentence()

    @property
    def addresses(self) -> tuple[IpInterface, ...]:
        """This member's addresses, with the sizes of their subnets."""
        return self._config.addresses if self._config else ()

    @property
    def routes(self) -> tuple[Route, ...]:
        """The network's routes."""
        return self._config.routes if self._config else ()

    @property
    def dns(self) -> Dns:
        """The network's domain and name servers."""
        return self._config.dns if self._config else Dns()

    @property
    def mtu(self) -> int:
        """Bytes of an IP packet on the network."""
        return self._config.mtu if self._config else 0

    @property
    def mac(self) -> str:
        """This member's Ethernet address on the network."""
        return format_mac(self._stack.mac)

    @property
    def config_time(self) -> float | None:
        """When the controller made the configuration in force, in seconds of the Unix epoch."""
        return self._config.timestamp / 1000 if self._config else None

    def __repr__(self) -> str:
        ips = ", ".join(map(str, self.addresses))
        return f"<Network {self.id} {self.status} {ips}>"

    async def leave(self) -> None:
        """Leave the network: its connections end, and the next start does not join it again."""
        await self._leave()

    # -- from the node -----------------------------------------------------------------------

    def configure(self, config: NetworkConfig) -> None:
        """Take a new configuration."""
        if self._config is not None and self._config.dns != config.dns:
            self._names.forget()
        self._config = config
        if config != self._kept:
            self._is_renewed.set()
        self._standing.has_addresses = bool(config.addresses)
        self._standing.tell()

    @property
    def standing(self) -> Standing:
        """Where the membership stands."""
        return self._standing

    @property
    def flows(self) -> Flows:
        """What the network's sockets share."""
        return self._flows

    def close(self, reason: str) -> None:
        """End what is open."""
        for server in self._servers:
            server.close()
        self._flows.close(reason)

    # -- names and addresses -----------------------------------------------------------------

    async def resolve(self, host: str) -> tuple[IpAddress, ...]:
        """Return the addresses of a host on this network.

        NameNotFound and NetworkUnreachable, both OSErrors, say why there is none: by what the
        controller says now, not by what it said last time.
        """
        try:
            return await self._resolve(host)
        except (NameNotFound, NetworkUnreachable):
            if self._is_renewed.is_set():
                raise
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._is_renewed.wait(), REFRESH_TIME)
        self._is_renewed.set()  # or the controller is silent: nobody waits for it again
        return await self._resolve(host)

    async def _resolve(self, host: str) -> tuple[IpAddress, ...]:
        found = await self._names.resolve(host)
        reachable = tuple(ip for ip in found if self._stack.source_for(ip) is not None)
        if not reachable:
            raise NetworkUnreachable(
                f"{host} ({', '.join(map(str, found))}) lies outside {self._destinations()}"
            )
        return reachable

    def _destinations(self) -> str:
        ips = ", ".join(str(one) for one in self.addresses) or "no address"
        targets = ", ".join(str(route.target.network) for route in self.routes) or "nowhere"
        return f"network {self.id}, where this member has {ips} and routes lead to {targets}"

    async def _ask(self, server: IpAddress, query: bytes, is_stream: bool) -> bytes:
        if is_stream:
            reader, writer = await self.open_connection(str(server), DNS_PORT)
            try:
                writer.write(len(query).to_bytes(2, "big") + query)
                return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
            finally:
                writer.close()
        answer: asyncio.Future[bytes] = self._flows.loop.create_future()
        transport, _ = await self.create_datagram_endpoint(
            lambda: _OneAnswer(answer), remote_addr=(str(server), DNS_PORT)
        )
        try:
            transport.sendto(query)
            return await answer
        finally:
            transport.close()

    # -- streams -----------------------------------------------------------------------------

    async def create_connection(
        self,
        protocol_factory: ProtocolFactory,
        host: str,
        port: int,
        *,
        ssl: SSLContext | bool | None = None,
        server_hostname: str | None = None,
        local_addr: tuple[str, int] | None = None,
        ssl_handshake_timeout: float | None = None,
    ) -> tuple[asyncio.Transport, Any]:
        """Connect by TCP; as `loop.create_connection`. Addresses of a name are tried in turn."""
        self._check_open()
        context = tls.client_context(ssl) if ssl else None
        errors: list[OSError] = []
        for ip in await self.resolve(host):
            try:
                return await self._connect(
                    Endpoint(ip, port),
                    protocol_factory,
                    context,
                    host if server_hostname is None else server_hostname,
                    local_addr,
                    ssl_handshake_timeout,
                )
            except OSError as error:
                errors.append(error)
        raise _united(errors, f"{host} port {port}")

    async def _connect(
        self,
        remote: Endpoint,
        factory: ProtocolFactory,
        context: SSLContext | None,
        hostname: str,
        local_addr: tuple[str, int] | None,
        handshake_timeout: float | None,
    ) -> tuple[asyncio.Transport, Any]:
        flows = self._flows
        local = Endpoint(ip_address(local_addr[0]), local_addr[1]) if local_addr else None
        connection = flows.stack.connect(remote, flows.now, local)
        flows.flush()
        is_secure: asyncio.Future[None] = flows.loop.create_future()
        protocol = outer = factory()
        if context is not None:
            outer = tls.client_protocol(
                flows.loop, protocol, context, hostname, is_secure, handshake_timeout
            )
        transport = await Connecting(
            flows,
            connection,
            remote,
            lambda: StreamTransport(flows, connection, outer),
        ).wait()
        transport.begin(is_secure if context is None else None)
        try:
            await is_secure
        except BaseException:
            transport.abort()
            raise
        return (transport if context is None else tls.transport_of(outer)), protocol

    async def create_server(
        self,
        protocol_factory: ProtocolFactory,
        host: str | None = None,
        port: int = 0,
        *,
        backlog: int = DEFAULT_BACKLOG,
        ssl: SSLContext | None = None,
        start_serving: bool = True,
    ) -> Server:
        """Listen on this member's addresses, or on one; as `loop.create_server`.

        Port 0 takes a free one, the same on all addresses: `Server.port`.
        """
        self._check_open()
        ips = (ip_address(host),) if host else EVERYWHERE
        server = Server(self._flows, protocol_factory, ips, port, backlog, ssl)
        if start_serving:
            server.listen()
        return server

    async def open_connection(
        self, host: str, port: int, *, limit: int = DEFAULT_LIMIT, **options: Any
    ) -> Stream:
        """Connect and return reader and writer; as `asyncio.open_connection`."""
        reader = asyncio.StreamReader(limit=limit, loop=self._flows.loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=self._flows.loop)
        transport, _ = await self.create_connection(lambda: protocol, host, port, **options)
        return Stream(reader, asyncio.StreamWriter(transport, protocol, reader, self._flows.loop))

    async def start_server(
        self,
        client_connected_cb: ClientConnected,
        host: str | None = None,
        port: int = 0,
        *,
        limit: int = DEFAULT_LIMIT,
        **options: Any,
    ) -> Server:
        """Serve connections by a callback with reader and writer; as `asyncio.start_server`."""
        loop = self._flows.loop

        def factory() -> asyncio.StreamReaderProtocol:
            reader = asyncio.StreamReader(limit=limit, loop=loop)
            return asyncio.StreamReaderProtocol(reader, client_connected_cb, loop=loop)

        return await self.create_server(factory, host, port, **options)

    # -- datagrams ---------------------------------------------------------------------------

    async def create_datagram_endpoint(
        self,
        protocol_factory: Callable[[], asyncio.DatagramProtocol],
        local_addr: tuple[str, int] | None = None,
        remote_addr: tuple[str, int] | None = None,
    ) -> tuple[DatagramTransport, Any]:
        """Open a UDP socket; as `loop.create_datagram_endpoint`. `::` takes IPv4, too."""
        self._check_open()
        remote = None
        if remote_addr is not None:
            remote = Endpoint((await self.resolve(remote_addr[0]))[0], remote_addr[1])
        local = Endpoint(EVERYWHERE[remote is None or remote.ip.version == 6], 0)
        if local_addr is not None:
            local = Endpoint(ip_address(local_addr[0]), local_addr[1])
        stack = self._stack
        socket = stack.bind_udp(local, is_dual=remote is None and local.ip == EVERYWHERE[1])
        if remote is not None:
            stack.connect_udp(socket, remote)
        protocol = protocol_factory()
        return DatagramTransport(self._flows, socket, protocol), protocol

    async def ping(self, host: str, *, size: int = 56, timeout: float = 5.0) -> Pong:
        """Send an echo request and return what came back; OSError where nothing did."""
        self._check_open()
        ip = (await self.resolve(host))[0]
        return await Echo(self._flows, ip, size).wait(timeout)

    # -- HTTP --------------------------------------------------------------------------------

    def connector(self, **options: Any) -> "Connector":
        """Return a connector for `aiohttp.ClientSession`; options as of `TCPConnector`."""
        from ztlink.aio.http import Connector  # late: aiohttp takes 0.1 s to import

        return Connector(self, **options)

    def site(
        self,
        runner: "web.BaseRunner",
        port: int = 80,
        *,
        host: str | None = None,
        **options: Any,
    ) -> "Site":
        """Return a site that serves an aiohttp application on this network."""
        from ztlink.aio.site import Site

        return Site(self, runner, host, port, **options)

    def httpx_transport(self, **options: Any) -> "httpx.AsyncHTTPTransport":
        """Return a transport for `httpx.AsyncClient`; options `verify` and `http2` as httpx's."""
        from ztlink.aio.httpcore_backend import transport

        return transport(self, **options)

    # -- for programs that know nothing of this ----------------------------------------------

    async def proxy(
        self,
        *,
        host: str = forwards.LOOPBACK,
        port: int = 0,
        path: str | None = None,
        credentials: socks.Credentials | None = None,
    ) -> asyncio.Server:
        """Serve SOCKS5 on the machine's loopback, or on a Unix socket, into this network.

        By TCP and, but for a Unix socket, by UDP.
        """
        server = await socks.serve(
            self.dial, self, host=host, port=port, path=path, credentials=credentials
        )
        self._servers.append(server)
        return server

    async def forward(
        self, host: str, port: int, *, listen_port: int = 0, listen_host: str = forwards.LOOPBACK
    ) -> asyncio.Server:
        """Have connections to a port of the machine's loopback go to a target on this network."""
        server = await forwards.forward(
            self.dial, host, port, listen_host=listen_host, listen_port=listen_port
        )
        self._servers.append(server)
        return server

    async def dial(self, host: str, port: int) -> Stream:
        """Connect, in the form that proxies and forwards take."""
        return await self.open_connection(host, port)

    def _check_open(self) -> None:
        if self._flows.closed is not None:
            raise ConnectionAbortedError(self._flows.closed)


class _OneAnswer(asyncio.DatagramProtocol):
    """Takes the first datagram."""

    def __init__(self, answer: "asyncio.Future[bytes]") -> None:
        self._answer = answer

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if not self._answer.done():
            self._answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self._answer.done():
            self._answer.set_exception(exc)


def _united(errors: list[OSError], target: str) -> OSError:
    """Return one error for several attempts, of the kind of the first."""
    first = errors[0]
    if len(errors) == 1:
        return first
    return OSError(first.errno, f"{target}: {'; '.join(str(error) for error in errors)}")
