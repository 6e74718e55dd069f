"""Asking agents of a cluster over HTTP what they are about to do."""

import json
from types import TracebackType
from typing import Final, Self

import aiohttp

TIMEOUT: Final = 3.0
MAX_ANSWER: Final = 1 << 20
"""More than health of any agent has: who answers there need not be one."""


class HealthClient:
    """Reads `/zerotier/health` of agents; an asynchronous context."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT)
        self._session = aiohttp.ClientSession(timeout=timeout)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._session is not None
        await self._session.close()

    async def on_stop(self, host: str) -> str:
        """Return what the agent at an address does when it ends; OSError says why it is unknown."""
        assert self._session is not None
        bracketed = f"[{host}]" if ":" in host else host
        url = f"http://{bracketed}:{self._port}/zerotier/health"
        try:
            async with self._session.get(url, allow_redirects=False) as answer:
                text = b""
                async for chunk in answer.content.iter_any():
                    text += chunk
                    if len(text) > MAX_ANSWER:
                        break
        except (aiohttp.ClientError, TimeoutError) as error:
            raise OSError(f"{url}: {error or 'no answer in time'}") from error
        try:
            said = json.loads(text)
            return str(said.get("onStop", ""))
        except (ValueError, AttributeError, RecursionError) as error:
            raise OSError(f"{url}: the answer is not an agent's") from error
