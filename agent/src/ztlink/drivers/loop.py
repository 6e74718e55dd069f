"""The pump: owns the core, feeds it from descriptors and stacks, and drains it.

One wake-up reads the clock, feeds a bounded amount, and drains after each input in one fixed order.
Everything else in the process reaches the core by `submit`, and hears of it by events. There is no
tick: the pump sleeps until a descriptor is ready, a command comes or a timer is due.

It runs in a thread of its own (`start`), or inside another loop, whose thread then is the one that
owns it: `open` once, with what watches descriptors; `ready` for each that is ready, `run_due` when
`next_deadline()` has come, `call` for commands that are done at once, `stop` in the end.
`on_drained` is called when the deadline may have changed. `drivers.in_asyncio` does so for asyncio.

A port is a TAP, which has a descriptor, or a stack, which is pulled: in either case nothing is
taken from it while UDP would block, so what waits, waits in the host or in the connections.
"""

import contextlib
import logging
import os
import select
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeVar

from ztlink.batch import Transmit
from ztlink.clock import Now
from ztlink.deadlines import sooner
from ztlink.drivers.clock import read_clock
from ztlink.drivers.stack_ports import StackPorts
from ztlink.drivers.tap import Tap
from ztlink.drivers.udp import UdpDriver, UdpSocket
from ztlink.drivers.validator import Validator
from ztlink.errors import UnavailableError, ZtError
from ztlink.ids import ALL_SOCKETS, NetworkId
from ztlink.node.core import Core
from ztlink.node.events import Event
from ztlink.stats import Drop

if TYPE_CHECKING:
    from ztlink.drivers.stack_port import StackPort

logger = logging.getLogger(__name__)

RX_BUDGET: Final = 4
"""Fillings per socket and wake-up; small, so that a ping is not held up by a bulk transfer."""
TAP_BUDGET: Final = 4
STACK_BUDGET: Final = 4
"""Pulls from all stacks before others have their turn."""
MAX_COMMANDS: Final = 10_000
MAX_UNSENT: Final = 512

T = TypeVar("T")


def _refusal() -> UnavailableError:
    return UnavailableError("the node does not take commands any more")


class _Outcome:
    """Ends a future as the block that it guards ends."""

    def __init__(self, future: "Future[None]") -> None:
        self._future = future

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if error is None:
            self._future.set_result(None)
        else:
            logger.error("the pump failed", exc_info=error)
            self._future.set_exception(error)
        return True


class Watch(Protocol):
    """Who tells when descriptors are ready: an epoll, or a loop around the pump."""

    def register(self, descriptor: int, interest: int, /) -> None:
        """Begin to watch; FileExistsError where that is being done, and it is told."""

    def modify(self, descriptor: int, interest: int, /) -> None:
        """Watch for something else."""

    def unregister(self, descriptor: int, /) -> None:
        """Watch no longer."""

    def close(self) -> None:
        """Watch nothing."""


class Pump:
    """Runs a core."""

    def __init__(
        self,
        core: Core,
        udp: UdpDriver,
        on_event: Callable[[Event], None],
        validator: Validator | None = None,
    ) -> None:
        self._core = core
        self._udp = udp
        udp.count_in(core.stats)
        self._on_event = on_event
        self._validator = validator or Validator()
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._watch: Watch = self._epoll
        self._watch.register(self._wake, select.EPOLLIN)
        self._commands: deque[tuple[Future[Any], Callable[[Now], None]]] = deque()
        self._lock = threading.Lock()
        """Held by whoever adds a command or writes to the wake-up descriptor."""
        self._is_closed = False
        self._taps: dict[NetworkId, Tap] = {}
        self._stacks = StackPorts()
        self._readers: dict[int, Callable[[Now], None]] = {self._wake: self._read_wake}
        self._unsent: deque[Transmit] = deque()
        self._is_stopping = False
        self._is_draining = False
        self._is_again = False
        """A command was run by somebody who is being told something."""
        self._has_left = False
        """Stacks may have more to send than they had a turn for."""
        self._deadline: float | None = None
        self._is_deadline_known = False
        """Nothing happened since the deadline was looked for."""
        self.on_drained: Callable[[], None] | None = None
        self._thread = threading.Thread(target=self._run, name="ztlink-pump", daemon=True)
        self.finished: Future[None] = Future()
        """Done when the pump has ended; carries the exception that ended it, if one did."""

    # -- inside another loop -----------------------------------------------------------------

    def open(self, watch: Watch) -> None:
        """Begin, without a thread: tell the core of its sockets and drain it."""
        self._watch = watch
        self._watch.register(self._wake, select.EPOLLIN)
        try:
            self._begin()
        except BaseException as error:
            self._fail(error)
            raise

    def next_deadline(self) -> float | None:
        """Return the monotonic time at which `run_due` is due; the past where work is left."""
        if self._has_left and not self._unsent:
            return float("-inf")
        if not self._is_deadline_known:
            self._deadline = sooner(self._core.get_timer(), self._stacks.get_timer())
            self._is_deadline_known = True
        return self._deadline

    def ready(self, descriptor: int) -> None:
        """Do what a descriptor is ready for, not what is due; an error ends the pump."""
        try:
            reader = self._readers.get(descriptor)
            if reader is not None:
                reader(read_clock())
        except BaseException as error:
            self._fail(error)
            raise

    def run_due(self) -> None:
        """Do what is due, and what was left; an error ends the pump, and is raised."""
        try:
            self._wake_up(())
        except BaseException as error:
            self._fail(error)
            raise

    def call(self, command: Callable[[Core, Now], T]) -> T:
        """Run a command at once; only for who runs the pump, also within what it is told."""
        now = read_clock()
        try:
            return command(self._core, now)
        finally:
            self._drain(now)

    def carry(self) -> None:
        """Have what stacks have to send carried at once; the core itself has nothing new."""
        self._drain(read_clock(), is_core_new=False)

    def send(self, now: Now) -> None:
        """Have what stacks have to send carried at once, telling them and others nothing yet.

        So an application that writes hears of nothing before its verb is done. What there is to
        tell, or is left to send, waits for `run_due`.
        """
        if self._is_draining:
            self._is_again = True
        elif not self._unsent:
            self._is_deadline_known = self._is_again = False
            self._is_draining = True
            try:
                is_done = self._stacks.send(self._core, now, self._take)
                self._has_left = self._is_again or not is_done
            finally:
                self._is_draining = False
            if self.on_drained is not None:
                self.on_drained()

    def _fail(self, error: BaseException) -> None:
        self._close()
        self.finished.set_exception(error)

    # -- from other threads ------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the pump, and wait for its thread if it has one; descriptors stay with their owners.

        Inside another loop: no longer have it called.
        """
        self._is_stopping = True
        with self._lock:
            self._poke()
        if self._thread.ident is None:
            self._close()
            if not self.finished.done():
                self.finished.set_result(None)
        elif threading.current_thread() is not self._thread:
            self._thread.join()

    def submit(self, command: Callable[[Core, Now], T]) -> "Future[T]":
        """Run a command on the core in the pump's thread; its outcome comes through the future.

        An error that is not of this package's own kind leaves the core in doubt: it ends the pump.
        """
        future: Future[T] = Future()

        def run(now: Now) -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = command(self._core, now)
            except ZtError as error:
                logger.warning("a command failed error=%s", error)
                future.set_exception(error)
            except BaseException as error:
                future.set_exception(error)
                raise
            else:
                future.set_result(result)

        with self._lock:
            if self._is_closed:
                future.set_exception(_refusal())
            elif len(self._commands) >= MAX_COMMANDS:
                future.set_exception(UnavailableError(f"{MAX_COMMANDS} commands wait: try again"))
            else:
                self._commands.append((future, run))
                self._poke()
        return future

    def open_sockets(self, change: Callable[[UdpDriver], object]) -> "Future[None]":
        """Open or close sockets; the core is told what is bound afterwards."""

        def apply(core: Core, now: Now) -> None:
            try:
                change(self._udp)
            finally:
                self._watch_sockets()
                core.set_sockets(self._udp.endpoints(), now)

        return self.submit(apply)

    def add_port(self, network_id: NetworkId, tap: Tap) -> "Future[None]":
        """Connect a TAP to a network."""

        def add(core: Core, now: Now) -> None:
            self._taps[network_id] = tap
            self._readers[tap.fileno()] = partial(self._read_tap, network_id, tap)
            self._watch.register(tap.fileno(), 0 if self._unsent else select.EPOLLIN)

        return self.submit(add)

    def add_stack(self, network_id: NetworkId, port: "StackPort") -> "Future[None]":
        """Connect a user-space stack to a network; it takes the network's configurations."""
        return self.submit(lambda core, now: self._stacks.add(core, network_id, port, now))

    def remove_stack(self, network_id: NetworkId) -> "Future[StackPort | None]":
        """Disconnect a stack; it keeps its addresses, and nothing reaches it."""
        return self.submit(lambda core, now: self._stacks.remove(core, network_id, now))

    def remove_port(self, network_id: NetworkId) -> "Future[Tap | None]":
        """Disconnect a TAP; it is returned still open."""

        def remove(core: Core, now: Now) -> Tap | None:
            tap = self._taps.pop(network_id, None)
            if tap is not None:
                self._forget(tap.fileno())
            return tap

        return self.submit(remove)

    def _poke(self) -> None:
        if not self._is_closed:
            with contextlib.suppress(BlockingIOError):  # its counter is at its limit: it is awake
                os.eventfd_write(self._wake, 1)

    # -- the thread --------------------------------------------------------------------------

    def _run(self) -> None:
        with _Outcome(self.finished):
            try:
                self._begin()
                while not self._is_stopping:
                    self._wake_up(self._epoll.poll(self._timeout()))
            finally:
                self._close()

    def _begin(self) -> None:
        now = read_clock()
        self._watch_sockets()
        self._core.set_sockets(self._udp.endpoints(), now)
        self._drain(now)

    def _close(self) -> None:
        """Give back what is ours, and tell those who still wait that nothing will come."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._watch.close()
            self._epoll.close()
            os.close(self._wake)
        self._validator.close()
        for future, _ in self._commands:
            if future.set_running_or_notify_cancel():
                future.set_exception(_refusal())
        self._commands.clear()

    def _timeout(self) -> float:
        deadline = self.next_deadline()
        if deadline is None:
            return -1
        return max(deadline - read_clock().mono, 0.0)

    def _wake_up(self, ready: Sequence[tuple[int, int]]) -> None:
        deadline = self.next_deadline()
        now = read_clock()
        if deadline is not None and deadline <= now.mono:
            self._handle_timers(now)
        for descriptor, _ in ready:
            reader = self._readers.get(descriptor)
            if reader is not None:
                reader(now)

    def _handle_timers(self, now: Now) -> None:
        """Do what is due, and what the last wake-up left."""
        self._stacks.handle_timer(now)
        self._core.handle_timer(now)
        self._drain(now)

    def _read_wake(self, now: Now) -> None:
        os.eventfd_read(self._wake)
        for _ in range(len(self._commands)):  # whatever comes meanwhile wakes us again
            _, run = self._commands.popleft()
            run(now)
            self._drain(now)

    def _read_socket(self, opened: UdpSocket, now: Now) -> None:
        if self._unsent:
            self._send_unsent()
            self._drain(now)
        for train in opened.receive(RX_BUDGET):
            self._core.receive_datagrams(train, now)
            self._drain(now)

    def _read_tap(self, network_id: NetworkId, tap: Tap, now: Now) -> None:
        for frame in tap.read(TAP_BUDGET):
            self._core.receive_frames(network_id, frame, now)
            self._drain(now)
            if self._unsent:  # the network is slower than the host: the device's queue fills up
                return
        if tap.is_gone:  # it would be ready for ever
            logger.warning("somebody removed the device=%s", tap.name)
            self._forget(tap.fileno())

    def _drain(self, now: Now, *, is_core_new: bool = True) -> None:
        """Take everything the core has, and let the stacks send as long as UDP takes it."""
        if self._is_draining:
            self._is_again = True
            return
        self._is_draining = True
        self._is_deadline_known = False
        self._is_again = is_core_new
        try:
            for _ in range(STACK_BUDGET):
                if self._is_again:
                    self._is_again = False
                    self._take(now)
                has_room = not self._unsent
                has_more = self._stacks.turn(self._core, now, has_room=has_room, take=self._take)
                if not (has_more or self._is_again):
                    self._has_left = False
                    break
            else:
                self._has_left = bool(self._stacks)
                self._take(now)
                self._stacks.tell()
        finally:
            self._is_draining = False
        if self.on_drained is not None:
            self.on_drained()

    def _take(self, now: Now) -> bool:
        """Take what the core has, in the order that its face states; False while UDP is full."""
        core = self._core
        for transmit in core.transmits():
            if self._unsent or not self._udp.send(transmit):
                self._keep(transmit)
        for delivery in core.deliveries():
            tap = self._taps.get(delivery.port)
            if tap is not None:
                tap.write(delivery.frame)
            else:
                self._stacks.deliver(delivery.port, delivery.frame, now)
        while (event := core.next_event()) is not None:
            self._stacks.note(event, now)
            self._on_event(event)
        gate = core.hello_gate()
        if gate is not self._udp.gate:
            self._udp.filter(gate, core.identity.address)
        for identity in core.validations():
            self._validator.submit(
                identity,
                lambda who, ok: self.submit(
                    lambda core, now: core.identity_validated(who, ok, now)
                ),
            )
        return not self._unsent

    # -- when UDP would block ----------------------------------------------------------------

    def _keep(self, transmit: Transmit) -> None:
        """Keep what could not be sent, and read no TAP until it is gone."""
        if len(self._unsent) >= MAX_UNSENT:
            datagrams = -(-len(transmit.buffer) // max(transmit.segment_size, 1))
            self._core.stats.drop(Drop.QUEUE_FULL, datagrams)
            return
        transmit.buffer = bytes(transmit.buffer)  # its buffer was lent for this drain only
        self._unsent.append(transmit)
        if len(self._unsent) == 1:
            self._pause_taps(is_paused=True)
            self._await_room()

    def _send_unsent(self) -> None:
        while self._unsent and self._udp.send(self._unsent[0]):
            self._unsent.popleft()
        self._await_room()
        if not self._unsent:
            self._pause_taps(is_paused=False)

    def _pause_taps(self, *, is_paused: bool) -> None:
        for tap in self._taps.values():
            if not tap.is_gone:
                self._watch.modify(tap.fileno(), 0 if is_paused else select.EPOLLIN)

    def _await_room(self) -> None:
        """Be told when the socket has room that the first of the unsent is for; of no other."""
        for opened in self._udp.sockets.values():
            self._watch.modify(opened.fileno(), self._interest(opened))

    def _interest(self, opened: UdpSocket) -> int:
        waits = self._unsent and self._unsent[0].socket in (opened.socket_id, ALL_SOCKETS)
        return select.EPOLLIN | (select.EPOLLOUT if waits else 0)

    def _watch_sockets(self) -> None:
        bound = {opened.fileno(): opened for opened in self._udp.sockets.values()}
        taps = {tap.fileno() for tap in self._taps.values()}
        for descriptor in [d for d in self._readers if d not in bound and d not in taps]:
            if descriptor != self._wake:
                self._forget(descriptor)
        for descriptor, opened in bound.items():
            self._readers[descriptor] = partial(self._read_socket, opened)
            with contextlib.suppress(FileExistsError):
                self._watch.register(descriptor, self._interest(opened))
        if self._unsent:  # what was for a socket that is closed now is gone
            self._send_unsent()

    def _forget(self, descriptor: int) -> None:
        self._readers.pop(descriptor, None)
        with contextlib.suppress(OSError):  # a closed descriptor has left by itself
            self._watch.unregister(descriptor)
