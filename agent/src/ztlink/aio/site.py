"""aiohttp on a network: a site for its server; apart, as programs that only ask do without."""

from ssl import SSLContext
from typing import TYPE_CHECKING

from aiohttp import web

from ztlink.aio.server import Server

if TYPE_CHECKING:
    from ztlink.aio.network import Network


class Site(web.BaseSite):
    """Serves an aiohttp application on a network."""

    def __init__(
        self,
        network: "Network",
        runner: web.BaseRunner,
        host: str | None,
        port: int,
        *,
        ssl_context: SSLContext | None = None,
        backlog: int = 128,
    ) -> None:
        super().__init__(runner, ssl_context=ssl_context, backlog=backlog)
        self._network = network
        self._host = host
        self._port = port

    @property
    def name(self) -> str:
        """The URL of the site, by the first address of this member."""
        scheme = "http" if self._ssl_context is None else "https"
        ip = self._host or next((str(one.ip) for one in self._network.addresses), "")
        return f"{scheme}://{f'[{ip}]' if ':' in ip else ip}:{self.port}"

    @property
    def port(self) -> int:
        """The port it listens on; the one that was asked for before `start`."""
        return self._server.port if isinstance(self._server, Server) else self._port

    async def start(self) -> None:
        """Serve from now on."""
        await super().start()
        server = self._runner.server
        assert server is not None
        self._server = await self._network.create_server(
            server, self._host, self._port, ssl=self._ssl_context, backlog=self._backlog
        )
