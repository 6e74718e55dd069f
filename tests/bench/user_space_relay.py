"""What bench_user_space compares with: TCP relayed by asyncio and nothing else.

Started with ports of this machine, it prints the ports on which it relays to them.
"""

import asyncio
import json
import sys

HOST = "127.0.0.1"


class Half(asyncio.Protocol):
    """One side of a relayed connection."""

    def __init__(self, other: "Half | None" = None) -> None:
        self.other = other
        self.transport: asyncio.Transport | None = None
        self.is_finished = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def _across(self) -> asyncio.Transport:
        assert self.other is not None
        assert self.other.transport is not None
        return self.other.transport

    def data_received(self, data: bytes) -> None:
        self._across().write(data)

    def eof_received(self) -> bool:
        self.is_finished = True
        self._across().write_eof()
        return not (self.other and self.other.is_finished)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()

    def pause_writing(self) -> None:
        self._across().pause_reading()

    def resume_writing(self) -> None:
        self._across().resume_reading()


class Front(Half):
    """The side that is connected to: it connects further, and reads when that is done."""

    def __init__(self, port: int, tasks: set[asyncio.Task[None]]) -> None:
        super().__init__()
        self._port = port
        self._tasks = tasks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self.transport is not None
        loop = asyncio.get_running_loop()
        loop.call_soon(self.transport.pause_reading)  # by now, 3.11.2 would undo it after this
        task = loop.create_task(self._connect())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self) -> None:
        assert self.transport is not None
        loop = asyncio.get_running_loop()
        _, self.other = await loop.create_connection(lambda: Half(self), HOST, self._port)
        self.transport.resume_reading()


async def main(ports: list[int]) -> None:
    """Relay until the input ends."""
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()
    taken = {}
    for port in ports:
        server = await loop.create_server(lambda p=port: Front(p, tasks), HOST, 0, backlog=512)  # type: ignore[misc]
        taken[port] = server.sockets[0].getsockname()[1]
    print(json.dumps(taken), flush=True)
    await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    asyncio.run(main([int(port) for port in sys.argv[1:]]))
