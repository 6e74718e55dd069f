"""Runs a pump inside an asyncio loop: no thread between the application and the core.

The pump's descriptors are the loop's, its deadline one of the loop's timers. A timer
that fires too early does nothing but look when the next is due, so it is only set anew for an
earlier one: deadlines move later with every packet.
"""

import asyncio
import logging

from ztlink.clock import Now
from ztlink.drivers.clock import read_clock
from ztlink.drivers.loop import Pump
from ztlink.drivers.loop_watch import LoopWatch

logger = logging.getLogger(__name__)


class PumpInLoop:
    """A pump that runs in the loop that is running; errors are in `pump.finished`."""

    def __init__(self, pump: Pump) -> None:
        self._pump = pump
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        """What the timer is set for."""
        self._soon: asyncio.Handle | None = None
        self._carrying: asyncio.Handle | None = None
        self._is_running = False

    def start(self) -> None:
        """Have the loop run the pump."""
        self._pump.on_drained = self._drained
        self._pump.open(LoopWatch(self._loop, self._ready))
        self._arm()

    def stop(self) -> None:
        """Have the loop run it no longer, and end it."""
        self._disarm()
        self._pump.on_drained = None
        self._pump.stop()

    def carry(self) -> None:
        """Have what stacks have to send carried now."""
        self._pump.carry()

    def send(self, now: Now) -> None:
        """Have what stacks have to send carried now, and nobody told of anything meanwhile."""
        self._pump.send(now)

    def carry_soon(self) -> None:
        """Have it carried in the loop's next turn, with what else there is by then."""
        if self._carrying is None:
            self._carrying = self._loop.call_soon(self._carry)

    def _carry(self) -> None:
        self._carrying = None
        self._pump.carry()

    def _ready(self, descriptor: int) -> None:
        self._is_running = True
        try:
            self._pump.ready(descriptor)
        except BaseException as error:
            self._failed(error)
            if not isinstance(error, Exception):
                raise
        else:
            self._is_running = False
            self._arm()

    def _run(self) -> None:
        self._soon = None
        self._is_running = True
        try:
            self._pump.run_due()
        except BaseException as error:
            self._failed(error)
            if not isinstance(error, Exception):
                raise
        else:
            self._is_running = False
            self._arm()

    def _failed(self, error: BaseException) -> None:
        self._is_running = False
        self._disarm()
        if isinstance(error, Exception):
            logger.error("the pump failed", exc_info=error)

    def _fire(self) -> None:
        self._timer = None
        self._run()

    def _drained(self) -> None:
        if not self._is_running:
            self._arm()

    def _arm(self) -> None:
        """Have the pump called at its deadline, or in the loop's next turn where work is left.

        Where it will do something in that turn anyway, its deadline is of no use before.
        """
        if self._soon is not None or self._carrying is not None:
            return
        deadline = self._pump.next_deadline()
        if deadline is None or (self._timer is not None and self._deadline <= deadline):
            return
        wait = deadline - read_clock().mono
        if wait <= 0:
            self._soon = self._loop.call_soon(self._run)
            return
        if self._timer is not None:
            self._timer.cancel()
        self._deadline = deadline
        self._timer = self._loop.call_later(wait, self._fire)

    def _disarm(self) -> None:
        for handle in (self._timer, self._soon, self._carrying):
            if handle is not None:
                handle.cancel()
        self._timer = self._soon = self._carrying = None
