"""A session of aiohttp for as long as its owner is entered."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

import aiohttp


class HttpSession(ABC):
    """What clients of HTTP APIs derive from; an asynchronous context, of use within it alone."""

    _session: aiohttp.ClientSession

    @abstractmethod
    def _open(self) -> aiohttp.ClientSession:
        """Make the session."""

    async def __aenter__(self) -> Self:
        self._session = self._open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()
