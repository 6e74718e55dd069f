"""What servers of several tests do with a connection."""

import asyncio
from contextlib import suppress


async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say nothing, and hold the connection until the other side ends it.

    A writer that nobody holds is closed by Python, since 3.13 with a warning.
    """
    with suppress(ConnectionError):
        await reader.read()
    writer.close()
