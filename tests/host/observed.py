"""Health and all beside it, served on the loopback by a thread: of what may change meanwhile."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import cast

from ci.demo_userspace import free_port
from tests.unit.api.seen import Watcher
from ztlink.api.health import HealthServer
from ztlink.api.link_metrics import Metrics
from ztlink.api.observe import Observation, Observer
from ztlink.settings import HttpSettings


class Counting(Watcher):
    """Counts how often the node was looked at: once for each answer."""

    looks = 0

    async def observe(self) -> Observation:
        self.looks += 1
        return await super().observe()


@contextmanager
def served_by_thread(watcher: Watcher) -> Iterator[str]:
    """Serve; yield the origin of all URLs."""
    port = free_port(socket.SOCK_STREAM)
    server = HealthServer(cast(Observer, watcher), Metrics(0.0))
    with closing(asyncio.new_event_loop()) as loop:
        loop.run_until_complete(server.start(HttpSettings(port=port)))
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.run_until_complete(server.stop())
