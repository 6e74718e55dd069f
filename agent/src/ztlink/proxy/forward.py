"""Listens on the machine and carries every connection to one target elsewhere."""

import asyncio
import logging

from ztlink.proxy.relay import Dial, Stream, relay, reset
from ztlink.proxy.serving import serving

logger = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"


async def forward(
    dial: Dial, host: str, port: int, *, listen_host: str = LOOPBACK, listen_port: int = 0
) -> asyncio.Server:
    """Listen, and carry each connection to `host` and `port` by `dial`.

    `listen_port` 0 takes a free one; `Server.sockets` names it. A target that cannot be reached
    resets the connection that was to go there.
    """

    async def serve(client: Stream) -> None:
        try:
            target = await dial(host, port)
        except OSError as error:
            logger.info("forward target=%s:%d error=%s", host, port, error)
            reset(client.writer)
            return
        await relay(client, target)

    return await asyncio.start_server(serving(serve), listen_host, listen_port)


def port_of(server: asyncio.Server) -> int:
    """Return the port that a server listens on."""
    port = server.sockets[0].getsockname()[1]
    assert isinstance(port, int)
    return port
