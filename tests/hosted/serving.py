"""An application on a port of loopback, in a thread of its own: commands under test block."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import TypeVar

from aiohttp import web

T = TypeVar("T")


@contextmanager
def served(application: web.Application) -> Iterator[str]:
    """Serve it; the value is its URL."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(work: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    runner = web.AppRunner(application, access_log=None)
    try:
        run(runner.setup())
        run(_listen(runner))
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        run(runner.cleanup())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _listen(runner: web.AppRunner) -> None:
    await web.TCPSite(runner, "127.0.0.1", 0).start()
