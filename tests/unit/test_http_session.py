"""What clients of HTTP APIs have in common."""

import asyncio

import aiohttp

from ztlink.http_session import HttpSession


class Client(HttpSession):
    def _open(self) -> aiohttp.ClientSession:
        self.made = aiohttp.ClientSession()
        return self.made


def test_a_session_lasts_as_long_as_its_client_is_entered() -> None:
    async def enter() -> tuple[bool, bool]:
        async with Client() as client:
            within = client.made.closed
        return within, client.made.closed

    assert asyncio.run(enter()) == (False, True)
