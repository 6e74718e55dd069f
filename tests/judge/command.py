"""A program that runs beside the tests, with its input and output."""

import asyncio
import shutil
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Self

import pytest

PATIENCE: Final = 240.0
"""Seconds: a hundred megabytes take a while on a machine that does other things, too."""


def needs(program: str) -> pytest.MarkDecorator:
    """Skip a test where a program is not here."""
    reason = f"needs {program}: ci/packages test"
    return pytest.mark.skipif(shutil.which(program) is None, reason=reason)


class Command:
    """A program; it is killed at the end of the context at the latest."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @classmethod
    @asynccontextmanager
    async def running(cls, *argv: str) -> AsyncIterator[Self]:
        """Start it."""
        process = await asyncio.create_subprocess_exec(*argv, stdin=PIPE, stdout=PIPE, stderr=PIPE)
        try:
            yield cls(process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    async def say(self, content: bytes) -> None:
        """Write to its input."""
        assert self._process.stdin is not None
        self._process.stdin.write(content)
        await self._process.stdin.drain()

    async def hear(self, size: int) -> bytes:
        """Read so much of its output."""
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            return await self._process.stdout.readexactly(size)

    async def warned(self, sign: str) -> str:
        """Wait until it says something on its standard error, and return that line."""
        assert self._process.stderr is not None
        said = ""
        async with asyncio.timeout(PATIENCE):
            while sign not in said:
                line = (await self._process.stderr.readline()).decode()
                assert line, f"ended before it said {sign!r}: {said}"
                said += line
        return line

    async def end(self, given: bytes = b"") -> bytes:
        """Give it the rest of its input, and return the rest of its output; it must succeed."""
        async with asyncio.timeout(PATIENCE):
            out, err = await self._process.communicate(given)
        assert self._process.returncode == 0, err.decode()
        return out


async def run(*argv: str, given: bytes = b"") -> bytes:
    """Run a program to its end and return what it printed; it must succeed."""
    async with Command.running(*argv) as command:
        return await command.end(given)
