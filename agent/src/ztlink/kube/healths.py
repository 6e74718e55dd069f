"""Asking agents of a cluster over HTTP what they are about to do."""

import json
from typing import Final

import aiohttp

from ztlink.http_session import HttpSession

TIMEOUT: Final = 3.0
MAX_ANSWER: Final = 1 << 20
"""More than health of any agent has: who answers there need not be one."""


class HealthClient(HttpSession):
    """Reads `/zerotier/health` of agents; an asynchronous context."""

    def __init__(self, port: int) -> None:
        self._port = port

    def _open(self) -> aiohttp.ClientSession:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT)
        return aiohttp.ClientSession(timeout=timeout)

    async def on_stop(self, host: str) -> str:
        """Return what the agent at an address does when it ends; OSError says why it is unknown."""
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
