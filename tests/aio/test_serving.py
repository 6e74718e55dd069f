"""Tasks of connections: held while they run, told of when they fail."""

import asyncio
import gc
from typing import Any

from ztlink.proxy.forward import port_of
from ztlink.proxy.relay import Stream
from ztlink.proxy.serving import serving

LOOPBACK = "127.0.0.1"


async def test_a_task_outlives_the_connection_that_it_was_made_for() -> None:
    done: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def serve(client: Stream) -> None:
        await client.reader.read()
        client.writer.close()
        await asyncio.sleep(0.2)
        done.set_result("carried to its end")

    server = await asyncio.start_server(serving(serve), LOOPBACK, 0)
    _, writer = await asyncio.open_connection(LOOPBACK, port_of(server))
    writer.close()
    await asyncio.sleep(0.1)
    gc.collect()
    assert await asyncio.wait_for(done, 5.0) == "carried to its end"
    server.close()


async def test_a_failure_is_told_to_the_loop() -> None:
    told: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.set_result(context))

    async def fail(client: Stream) -> None:
        client.writer.close()
        raise ValueError("a mistake")

    server = await asyncio.start_server(serving(fail), LOOPBACK, 0)
    _, writer = await asyncio.open_connection(LOOPBACK, port_of(server))
    assert str((await told)["exception"]) == "a mistake"
    writer.close()
    server.close()
