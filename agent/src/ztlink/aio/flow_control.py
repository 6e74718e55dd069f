"""asyncio's own flow control of writers, with types: what `loop.sendfile` insists on."""

import asyncio
from asyncio import transports
from typing import Any


class FlowControl(transports._FlowControlMixin):  # noqa: SLF001 - a base class for transports
    """Pauses a protocol above the high-water mark, and resumes it below the low one."""

    def __init__(self, names: dict[str, Any], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(names, loop)
        self._names = names

    def pause_if_full(self) -> None:
        """Have the protocol write no more, where too much waits."""
        self._maybe_pause_protocol()  # type: ignore[attr-defined] # unknown to typeshed

    def resume_if_drained(self) -> None:
        """Have the protocol write again, where little waits."""
        self._maybe_resume_protocol()  # type: ignore[attr-defined] # unknown to typeshed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return `peername`, `sockname`, or the default."""
        return self._names.get(name, default)
