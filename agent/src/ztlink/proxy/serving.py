"""Serves the connections of a listener, each by a task that somebody holds.

A loop holds its tasks weakly, and asyncio's stream protocol lets go of its own as soon as its
connection is lost: whoever still carries the other half of it would be collected.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from ztlink.proxy.relay import Stream

Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]

_running: Final[set[asyncio.Task[None]]] = set()


def serving(serve: Callable[[Stream], Coroutine[Any, Any, None]]) -> Accept:
    """Return what `asyncio.start_server` is to call for each connection."""

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(serve(Stream(reader, writer)))
        _running.add(task)
        task.add_done_callback(_ended)

    return accept


def _ended(task: "asyncio.Task[None]") -> None:
    _running.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        context = {"message": "a connection was not served", "exception": error, "task": task}
        task.get_loop().call_exception_handler(context)
