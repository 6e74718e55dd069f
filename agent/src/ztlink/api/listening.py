"""Listening, also on a port that this process has just left."""

import asyncio
import errno
from collections.abc import Callable
from typing import Final

_PAUSES: Final = (0.05, 0.2, 0.5, 1.0)
"""Seconds to wait for a port that was ours a moment ago."""


async def listen(
    make: Callable[[], asyncio.Protocol], host: str, port: int, *, again: bool = False
) -> asyncio.Server:
    """Listen; OSError where another has the port.

    `again` is for where we have just ceased to: whatever program is started at this moment holds
    the port, too, until it runs, as it is a copy of us before.
    """
    loop = asyncio.get_running_loop()
    for pause in _PAUSES if again else ():
        try:
            return await loop.create_server(make, host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            await asyncio.sleep(pause)
    return await loop.create_server(make, host, port)
