"""A simulated link for TCP segments: rate, queue, delay, loss, reordering, duplicates, flips.

Super-segments are cut as the lane below would cut them, so that loss strikes single segments, and
what arrives together is joined again, as the lane joins it.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from ztlink.inet.tcp import FLAG_FIN, FLAG_PSH
from ztlink.netstack.segment import Outgoing, Segment
from ztlink.netstack.seqnum import MASK

HEADERS = 40
MAX_JOINED = 60_000


@dataclass(frozen=True, slots=True)
class Path:
    """What a link does, each way; rates in bytes per second, times in seconds."""

    rate: float = 125e6
    delay: float = 0.010
    """One way."""
    queue: int = 1 << 40
    """Bytes that wait in front of the bottleneck; what is more is lost."""
    loss: float = 0.0
    reordering: float = 0.0
    """Share of the segments that arrive up to half of the delay late."""
    duplicates: float = 0.0
    flips: float = 0.0
    """Share with a flipped bit: the checksum is bad, so it is lost here."""
    gather: float = 0.0005
    """What arrives within this time is taken in together."""


def cut(outgoing: Outgoing) -> list[Segment]:
    """Return what the receiver of a super-segment would get without joining."""
    payload = memoryview(b"".join(outgoing.payload))
    assert len(payload) == outgoing.size
    step = outgoing.segment_size or max(len(payload), 1)
    last = max(len(payload) - 1, 0) // step * step
    ending = FLAG_FIN | FLAG_PSH
    segments = []
    for start in range(0, last + 1, step):
        flags = outgoing.flags if start == last else outgoing.flags & ~ending
        segments.append(
            Segment(
                mirror(outgoing.flow),
                outgoing.sequence + start & MASK,
                outgoing.acknowledgement,
                flags,
                outgoing.window,
                outgoing.options,
                payload[start : start + step],
            )
        )
    return segments


def mirror(flow: bytes) -> bytes:
    """Return the name that the other side has for a flow."""
    size = (len(flow) - 4) // 2
    source, destination = flow[:size], flow[size : 2 * size]
    return destination + source + flow[-2:] + flow[-4:-2]


def join(segments: list[Segment]) -> list[Segment]:
    """Join neighbours of one flow as receive offload does."""
    joined: list[Segment] = []
    parts: list[memoryview] = []
    for segment in segments:
        last = joined[-1] if joined else None
        if last is not None and _continues(last, segment, parts):
            parts.append(segment.payload)
            joined[-1] = replace(
                last,
                flags=last.flags | segment.flags,
                segment_size=last.segment_size or len(last.payload),
                payload=memoryview(b"".join(parts)),
            )
            continue
        joined.append(segment)
        parts = [segment.payload]
    return joined


def _continues(last: Segment, segment: Segment, parts: list[memoryview]) -> bool:
    lone = ~(FLAG_FIN | FLAG_PSH)
    size = last.segment_size or len(last.payload)
    return (
        segment.flow == last.flow
        and bool(segment.payload)
        and bool(last.payload)
        and segment.sequence == last.sequence + len(last.payload) & MASK
        and segment.acknowledgement == last.acknowledgement
        and segment.options == last.options
        and segment.window == last.window
        and (segment.flags ^ last.flags) & lone == 0
        and last.flags & ~lone == 0
        and len(segment.payload) <= size == len(parts[-1])
        and len(last.payload) + len(segment.payload) <= MAX_JOINED
    )


class Wire:
    """One direction of a link."""

    def __init__(self, path: Path, seed: int, arrive: Callable[[float, Segment], None]) -> None:
        self.path = path
        self._random = random.Random(seed)  # noqa: S311 - a simulation is replayed
        self._arrive = arrive
        self._free_at = 0.0
        self.sent = 0
        self.lost = 0

    def send(self, outgoing: Outgoing, now: float) -> None:
        """Let a super-segment go its way, segment by segment."""
        for segment in cut(outgoing):
            self._send_one(segment, now)

    def _send_one(self, segment: Segment, now: float) -> None:
        path, chance = self.path, self._random.random
        self.sent += 1
        size = len(segment.payload) + HEADERS
        start = max(self._free_at, now)
        if (start - now) * path.rate > path.queue:
            self.lost += 1
            return
        self._free_at = start + size / path.rate
        at = self._free_at + path.delay
        if chance() < path.loss or chance() < path.flips:
            self.lost += 1
            return
        if path.reordering and chance() < path.reordering:
            at += chance() * path.delay / 2
        self._arrive(at, segment)
        if path.duplicates and chance() < path.duplicates:
            self._arrive(at + chance() * path.delay, segment)


class Hosts(Wire):
    """A direction between two hosts so near that they take the time, each for every super-segment.

    The sender works at a rate, then the receiver at the same: two super-segments are on their way
    in the time that one alone takes, because each host has one. What is short is through at once.
    """

    def __init__(self, path: Path, seed: int, arrive: Callable[[float, Segment], None]) -> None:
        super().__init__(path, seed, arrive)
        self._taken_at = 0.0

    def pause(self, until: float) -> None:
        """Have the receiver do something else until then."""
        self._taken_at = max(self._taken_at, until)

    def send(self, outgoing: Outgoing, now: float) -> None:
        """Let a super-segment go its way as one."""
        work = (outgoing.size + HEADERS) / self.path.rate
        self._free_at = max(self._free_at, now) + work
        self._taken_at = max(self._free_at + self.path.delay, self._taken_at) + work
        for segment in cut(outgoing):
            self.sent += 1
            self._arrive(self._taken_at, segment)
