"""Rate control by a model of the path, after BBR (draft-ietf-ccwg-bbr; Cardwell et al. 2016).

The model is two numbers: the greatest rate at which data was delivered in the last ten round trips,
and the least round trip in the last ten seconds. Their product is what the path holds. Data is
paced at about that rate, with about twice the product as the window. Loss alone is no sign of
congestion here; loss while the round trip is longer than it need be is: then, a window in the
manner of Reno is a limit, too, until it has grown beyond what the model wants.

    STARTUP    the rate doubles each round trip, until it grows no more in three of them
    DRAIN      the queue that this made is let go, in no more than four round trips
    PROBE_BW   the rate, in phases of a round trip: a bit more, a bit less, and six times as it is
    PROBE_RTT  every ten seconds without a new least round trip: the queue is emptied to measure it

A flow that begins when others have filled a queue takes the queue for the path. So while much is
lost, PROBE_RTT comes more often, at the same moments for all flows of a host: together, they empty
the queue, and see the path.
"""

from collections import deque
from enum import Enum, auto
from typing import Final

from ztlink.netstack.tcp.congestion import initial_window
from ztlink.netstack.tcp.flight import Sample

_STARTUP_GAIN: Final = 2.885
"""2/ln 2: the least that doubles the rate each round trip."""
_WINDOW_GAIN: Final = 2.0
_CYCLE: Final = (1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
_RATE_ROUNDS: Final = 10
_FULL_GROWTH: Final = 1.25
_FULL_ROUNDS: Final = 3
_DRAIN_ROUNDS: Final = 3
"""In which all of a queue of our own is gone."""
_LEAST_WINDOW: Final = 10.0
"""Seconds for which a least round trip is believed."""
_LOSSY: Final = 0.03
"""Share of bytes lost, from which on the least round trip is measured more often."""
_OVERLOAD: Final = 0.4
"""Share of bytes lost that probing cannot make up for: it is too much, queue or not."""
_LOSSY_PERIOD: Final = 2.5
_LOSS_SEGMENTS: Final = 100
"""Over how many segments that share is averaged."""
_PROBE_TIME: Final = 0.2
_QUEUE: Final = 1.25
_QUEUE_TIME: Final = 0.002
"""Times the least round trip, and seconds beyond it: from there on, a queue is standing."""
_BETA: Final = 0.7
_MIN_SEGMENTS: Final = 4
_CAPPED_SEGMENTS: Final = 2
"""The least window where a queue overflowed: many flows may have to share what little there is."""
_MARGIN: Final = 0.99
"""Of the rate that is paced: a little less than the model says, so that no queue stays."""
_QUANTUM_TIME: Final = 0.001
_MAX_QUANTUM: Final = 60_000
_SHORT: Final = 0.01
"""Seconds of a round trip below which it is hosts, and not the path, that take the time: each
handles a super-segment, and the small ones that tell the least round trip are through at once."""
_SHORT_WINDOW: Final = 131_072
"""Bytes of two super-segments, which may be in flight there at least: one at each host. With one
alone, the hosts wait for each other; the rate that comes of it would be taken for the path's, and
stay. With three, streams are a little faster, and others' packets wait a third longer."""
_SHORT_ROUNDS: Final = 2
"""Round trips for which more is sent there, and then less: they hold two super-segments, of which
the first was sent as before."""


class Phase(Enum):
    """What the model is being used for."""

    STARTUP = auto()
    DRAIN = auto()
    PROBE_BW = auto()
    PROBE_RTT = auto()


# As globals: a member of an enumeration takes longer to find.
_STARTUP: Final = Phase.STARTUP
_DRAIN: Final = Phase.DRAIN
_PROBE_BW: Final = Phase.PROBE_BW
_PROBE_RTT: Final = Phase.PROBE_RTT
_STEADY: Final = (_STARTUP, _PROBE_BW)
"""What a flow that has no more to send does not leave by itself."""


class Bbr:
    """A congestion control that sets a rate, and a window as its limit."""

    __slots__ = (
        "_bandwidth",
        "_cap",
        "_cycle_at",
        "_cycle_index",
        "_cycle_round",
        "_filter",
        "_full_bandwidth",
        "_full_rounds",
        "_gain",
        "_had_loss",
        "_is_full",
        "_is_queued",
        "_latest",
        "_least",
        "_least_at",
        "_loss_rate",
        "_mss",
        "_previous_rtt",
        "_prior_window",
        "_probe_round",
        "_probe_until",
        "_round",
        "_round_end",
        "_round_rtt",
        "_seed",
        "_undo",
        "phase",
        "rate",
        "window",
    )

    def __init__(self, mss: int, seed: int, rtt: float, now: float) -> None:
        self._mss = mss
        self._seed = seed
        """Decides where in the cycle of PROBE_BW to begin, so that flows do not march in step."""
        self.phase = _STARTUP
        self.window = initial_window(mss)
        self._gain = _STARTUP_GAIN
        self._filter: deque[tuple[int, float]] = deque()
        """Rounds and rates, falling: the head is the greatest of the last ten rounds."""
        self._bandwidth = 0.0
        self._round = 0
        self._round_end = 0
        self._full_bandwidth = 0.0
        self._full_rounds = 0
        self._is_full = False
        self._cap = 0
        """A window in the manner of Reno, since something was lost from a queue; 0: no such."""
        self._is_queued = False
        """The last loss was from a queue."""
        self._latest = rtt
        self._round_rtt = 0.0
        """Least round trip in this round, and in the one before; 0: none."""
        self._previous_rtt = 0.0
        self._loss_rate = 0.0
        self._least = rtt
        self._least_at = now
        self._cycle_index = 0
        self._cycle_at = 0.0
        self._cycle_round = 0
        self._had_loss = False
        self._probe_until = 0.0
        self._probe_round = 0
        self._prior_window = 0
        self._undo: tuple[int, bool] | None = None
        """Bound, and whether the rate had ceased to grow, before the loss that recovery is for."""
        self.rate = _STARTUP_GAIN * self.window / rtt if rtt else 0.0

    def on_ack(self, sample: Sample) -> None:
        is_new_round = sample.prior_delivered >= self._round_end
        if is_new_round:
            self._round_end = sample.delivered
            self._round += 1
            self._previous_rtt, self._round_rtt = self._round_rtt, 0.0
        self._had_loss = self._had_loss or sample.lost > 0
        if sample.rtt:
            self._latest = sample.rtt
            self._round_rtt = min(self._round_rtt or sample.rtt, sample.rtt)
        if self._is_crumb(sample):
            self._update_least(sample)
            return
        if sample.lost or self._loss_rate:
            self._update_loss_rate(sample)
        self._update_bandwidth(sample)
        if is_new_round and not self._is_full and not sample.is_app_limited:
            self._check_full()
        if self.phase is _PROBE_BW:
            self._advance_cycle(sample)
        elif self._is_full and self.phase is not _PROBE_RTT:
            self._leave_startup(sample)
        self._update_least(sample)
        self._set_rate(sample)
        self._set_window(sample)

    def _is_crumb(self, sample: Sample) -> bool:
        """Tell whether nothing but its round trip is to be learned: little came, and that was all.

        Less than a segment fills no path and needs no window; so where nothing is under way, the
        model stays as it was.
        """
        return (
            sample.is_app_limited
            and not sample.in_flight
            and sample.acked < self._mss
            and not (sample.lost or self._loss_rate or self._cap)
            and self.phase in _STEADY
        )

    def _update_loss_rate(self, sample: Sample) -> None:
        arrived = sample.acked + sample.lost
        self._loss_rate += (sample.lost - self._loss_rate * arrived) / max(
            _LOSS_SEGMENTS * self._mss, arrived
        )

    def _update_bandwidth(self, sample: Sample) -> None:
        rate = sample.rate
        rates = self._filter
        if rate and (not sample.is_app_limited or rate >= self._bandwidth):
            while rates and rates[-1][1] <= rate:
                rates.pop()
            rates.append((self._round, rate))
        while len(rates) > 1 and rates[0][0] < self._round - _RATE_ROUNDS:
            rates.popleft()
        if rates:
            self._bandwidth = rates[0][1]

    def _check_full(self) -> None:
        """Tell whether the rate has ceased to grow."""
        if self._bandwidth >= self._full_bandwidth * _FULL_GROWTH:
            self._full_bandwidth = self._bandwidth
            self._full_rounds = 0
            return
        self._full_rounds += 1
        self._is_full = self._full_rounds >= _FULL_ROUNDS

    def _leave_startup(self, sample: Sample) -> None:
        """Go on to where the rate is kept, now that it has ceased to grow."""
        if self.phase is _STARTUP:
            self.phase = _DRAIN
            self._gain = 1 / _STARTUP_GAIN
            self._cycle_round = self._round
        if self.phase is _DRAIN:
            is_over = self._round > self._cycle_round + _DRAIN_ROUNDS  # the queue is others'
            if is_over or sample.in_flight <= self._product(1.0):
                self._begin_cycle(sample.now)

    def _begin_cycle(self, now: float) -> None:
        """Enter PROBE_BW, anywhere but where the rate is to fall."""
        self.phase = _PROBE_BW
        start = (self._seed * 5 + self._round) % (len(_CYCLE) - 1)
        self._cycle_index = start + 1 if start else 0
        self._cycle_at = now
        self._cycle_round = self._round
        self._had_loss = False
        self._gain = _CYCLE[self._cycle_index]

    def _advance_cycle(self, sample: Sample) -> None:
        is_over = sample.now - self._cycle_at > self._least
        rounds = _SHORT_ROUNDS if self._least < _SHORT else 1
        is_seen = self._round >= self._cycle_round + rounds
        if self._gain > 1:
            is_seen = is_seen and sample.prior_in_flight >= self._product(self._gain)
            is_over = is_over and (self._had_loss or is_seen)
        elif self._gain < 1:
            is_over = (is_over and is_seen) or sample.in_flight <= self._product(1.0)
        if is_over:
            self._cycle_index = (self._cycle_index + 1) % len(_CYCLE)
            self._cycle_at = sample.now
            self._cycle_round = self._round
            self._gain = _CYCLE[self._cycle_index]
            self._had_loss = False

    def _update_least(self, sample: Sample) -> None:
        """Keep the least round trip; where it is old, empty the queue to see a new one."""
        now = sample.now
        is_old = now - self._least_at > _LEAST_WINDOW
        if self._loss_rate > _LOSSY:
            is_old = is_old or now // _LOSSY_PERIOD > self._least_at // _LOSSY_PERIOD
        if sample.rtt and (sample.rtt <= self._least or not self._least or is_old):
            self._least = sample.rtt
            self._least_at = now
        if is_old and self.phase is not _PROBE_RTT:
            self.phase = _PROBE_RTT
            self._gain = 1.0
            self._prior_window = max(self._prior_window, self.window)
            self._probe_until = 0.0
        if self.phase is not _PROBE_RTT:
            return
        if not self._probe_until and sample.in_flight <= self._floor():
            self._probe_until = now + _PROBE_TIME
            self._probe_round = self._round + 1
        elif self._probe_until and now >= self._probe_until and self._round >= self._probe_round:
            self._least_at = now
            self._restore()
            if self._is_full:
                self._begin_cycle(now)
            else:
                self.phase = _STARTUP
                self._gain = _STARTUP_GAIN

    def _floor(self) -> int:
        """Return the bytes that may be in flight whatever the model says."""
        return (_CAPPED_SEGMENTS if self._cap and self._is_queued else _MIN_SEGMENTS) * self._mss

    def _product(self, gain: float) -> int:
        """Return what the path holds, times `gain`."""
        return int(gain * self._bandwidth * self._least)

    def _set_rate(self, sample: Sample) -> None:
        if not self._bandwidth:
            return
        floor = self._floor() / self._latest if self._latest else 0.0
        rate = max(self._gain * self._bandwidth * _MARGIN, floor)
        if self._is_full or rate > self.rate:
            self.rate = rate

    def _set_window(self, sample: Sample) -> None:
        if not self._bandwidth or not self._least:
            self.window += sample.acked
            return
        quantum = min(max(int(self.rate * _QUANTUM_TIME), 2 * self._mss), _MAX_QUANTUM)
        gain = _WINDOW_GAIN if self._is_full else _STARTUP_GAIN
        if self._least < _SHORT:
            target = max(self._product(gain) + _MAX_QUANTUM, _SHORT_WINDOW)
        else:
            target = self._product(gain) + 3 * quantum
        if self._is_full:
            self.window = min(self.window + sample.acked, target)
        elif self.window < target or sample.delivered < initial_window(self._mss):
            self.window += sample.acked
        floor = self._floor()
        self.window = max(self.window, floor)
        if self.phase is _PROBE_RTT:
            self.window = min(self.window, floor)
        elif self._cap:
            self._grow_cap(sample, target)

    def _grow_cap(self, sample: Sample, target: int) -> None:
        """Let more be in flight, by a segment in a round trip, until the model is the limit."""
        self.window = max(min(self.window, self._cap), self._floor())
        if not sample.is_recovering:
            self._cap += max(self._mss * sample.acked // self._cap, 1)
        if self._cap > target:
            self._cap = 0

    def _has_queue(self) -> bool:
        """Tell whether all of late took longer than it need."""
        limit = _QUEUE * self._least + _QUEUE_TIME
        return (self._previous_rtt or limit) > limit and (self._round_rtt or limit + 1) > limit

    def on_loss(self, in_flight: int, now: float) -> None:
        self._undo = self._cap, self._is_full
        self._is_queued = self._has_queue()
        if self._is_queued or self._loss_rate > _OVERLOAD:
            before = min(self._cap or in_flight, in_flight)
            self._cap = max(int(_BETA * before), _CAPPED_SEGMENTS * self._mss)
            self._had_loss = True
            self._is_full = True

    def on_recovered(self, now: float) -> None:
        self._undo = None
        self._recover()

    def _recover(self) -> None:
        """Let as much be in flight as before a time-out; PROBE_RTT does so at its end."""
        if self.phase is not _PROBE_RTT:
            self._restore()

    def _restore(self) -> None:
        self.window = max(self.window, self._prior_window)
        self._prior_window = 0

    def on_timeout(self, in_flight: int, now: float) -> None:
        self._undo = None
        self._prior_window = max(self._prior_window, self.window)
        self.window = _MIN_SEGMENTS * self._mss  # one alone is lost too often where much is lost

    def on_idle(self, now: float) -> None:
        if self.phase is _PROBE_BW:
            self._gain = 1.0

    def undo(self) -> None:
        if self._undo is not None:
            self._cap, is_full = self._undo
            self._is_full = is_full or self.phase is not _STARTUP
            self._undo = None
        self._recover()

    def resize(self, mss: int) -> None:
        self._mss = mss
