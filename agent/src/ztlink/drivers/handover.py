"""From one process to the next: how long the devices that were kept had nobody behind them."""

import logging
import struct
from typing import Final

from ztlink.drivers.clock import read_clock
from ztlink.drivers.home import Home

logger = logging.getLogger(__name__)

HANDOVER: Final = "handover"
_MONO: Final = struct.Struct("<d")


class Handover:
    """What the process before us has left behind, and what we leave."""

    def __init__(self, home: Home) -> None:
        """Look when the process before us let go of its devices."""
        self._home = home
        content = home.read(HANDOVER)
        self._left: float | None = None
        if content is not None and len(content) == _MONO.size:
            (self._left,) = _MONO.unpack(content)
        if content is not None:
            home.write(HANDOVER, None)

    def gap(self, adopted_mono: float | None) -> float | None:
        """Return for how many seconds adopted devices had no process; None where nobody knows.

        The clock is that of the machine since its start: devices do not outlive it either.
        """
        if self._left is None or adopted_mono is None or adopted_mono < self._left:
            return None
        return adopted_mono - self._left

    def ended(self, *, is_kept: bool) -> None:
        """Note that the devices were let go of now."""
        if is_kept:
            now = _MONO.pack(read_clock().mono)
            self._home.write(HANDOVER, now, is_flushed=False)
