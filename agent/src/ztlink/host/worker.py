"""A thread in which one manager waits for the kernel, so that the event loop need not."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Worker:
    """One thread: what it is given is done one after the other."""

    def __init__(self, name: str) -> None:
        """Make it; the thread starts with the first work."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"ztlink-{name}")

    async def run(self, function: Callable[P, R], *arguments: P.args, **options: P.kwargs) -> R:
        """Do something in the thread, and return what it returns."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, partial(function, *arguments, **options))

    def close(self) -> None:
        """End the thread, after what it was given."""
        self._thread.shutdown()
