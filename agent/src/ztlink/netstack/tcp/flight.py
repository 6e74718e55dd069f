"""What has been sent and not acknowledged: the scoreboard, and what losses and rates it tells.

A record is a super-segment at first, and is split where an acknowledgement covers only a part of
it; so what costs is proportional to super-segments and holes, not to segments. Records are in
order and without gaps from `una` to `next`. Each is in one of these ways:

    in flight   sent, nothing known of it
    sacked      acknowledged selectively; neighbours are joined
    lost        taken for lost and not sent again yet; sent again, it is in flight

So the bytes in flight (the "pipe" of RFC 6675) are `next - una - sacked - lost`, without a walk.

Losses are found by time (RACK, RFC 8985): what was sent before something that has arrived, by more
than a reordering window, is lost, retransmissions included. Rates are measured as bytes delivered
between two moments (draft-cheng-iccrg-delivery-rate-estimation): a record remembers what had been
delivered when it was sent.
"""

from bisect import bisect_right
from operator import attrgetter
from typing import Final

_start_of: Final = attrgetter("start")
DUPLICATES: Final = 3
"""RFC 5681: so many signs of a loss make one."""
_MAX_REORDERING_STEPS: Final = 16


class Sent:
    """A range of sequence numbers that was last sent in one go."""

    __slots__ = (
        "delivered",
        "delivered_at",
        "end",
        "first_sent_at",
        "is_app_limited",
        "is_lost",
        "is_repeated",
        "is_sacked",
        "sent_at",
        "start",
    )

    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end
        self.sent_at = 0.0
        self.is_sacked = False
        self.is_lost = False
        self.is_repeated = False
        """Sent more than once."""
        self.delivered = 0
        """What had been delivered when it was sent; and when the last of that was."""
        self.delivered_at = 0.0
        self.first_sent_at = 0.0
        """When what was delivered last at that moment had been sent."""
        self.is_app_limited = False

    def split(self, at: int) -> "Sent":
        """Cut at a sequence number and return the part behind it."""
        rest = Sent(at, self.end)
        rest.sent_at = self.sent_at
        rest.is_sacked = self.is_sacked
        rest.is_lost = self.is_lost
        rest.is_repeated = self.is_repeated
        rest.delivered = self.delivered
        rest.delivered_at = self.delivered_at
        rest.first_sent_at = self.first_sent_at
        rest.is_app_limited = self.is_app_limited
        self.end = at
        return rest


class Sample:
    """What one acknowledgement tells congestion control."""

    __slots__ = (
        "acked",
        "delivered",
        "in_flight",
        "is_app_limited",
        "is_recovering",
        "least",
        "lost",
        "now",
        "prior_delivered",
        "prior_in_flight",
        "rate",
        "rtt",
    )

    def __init__(self, now: float, prior_in_flight: int, least: float) -> None:
        self.now = now
        self.acked = 0
        """Bytes newly known to have arrived."""
        self.lost = 0
        """Bytes newly taken for lost."""
        self.prior_in_flight = prior_in_flight
        self.in_flight = 0
        self.delivered = 0
        """Bytes known to have arrived, in all; and when the newest of these was sent."""
        self.prior_delivered = -1
        """-1: nothing new arrived."""
        self.rate = 0.0
        """Bytes per second; 0: not known."""
        self.rtt = 0.0
        """Of the newest segment that was sent once; 0: none such."""
        self.least = least
        """Least round trip of late; 0: none."""
        self.is_app_limited = False
        self.is_recovering = False


class Flight:
    """The records, and what is counted over them."""

    __slots__ = (
        "_first_sent_at",
        "_newest",
        "_rack_end",
        "_rack_rtt",
        "_rack_sent_at",
        "_recoveries_left",
        "_sampled_rtt",
        "_unrepeated_end",
        "app_limited_until",
        "delivered",
        "delivered_at",
        "duplicates",
        "is_reordering",
        "lost",
        "lost_from",
        "mss",
        "next",
        "records",
        "reordering_steps",
        "repeated",
        "sacked",
        "una",
    )

    def __init__(self, start: int, mss: int) -> None:
        self.una = start
        self.next = start
        self.mss = mss
        """Bytes of payload in a segment."""
        self.records: list[Sent] = []
        self.sacked = 0
        """Bytes acknowledged selectively; without SACK, what duplicates tell to have arrived."""
        self.lost = 0
        """Bytes taken for lost and not sent again."""
        self.lost_from = start
        """Nothing is lost before this."""
        self.repeated = 0
        """Retransmissions since nothing was missing: while 0, time tells nothing new."""
        self.duplicates = 0
        """Duplicate acknowledgements since the last new one, where the peer has no SACK."""
        self.delivered = 0
        self.delivered_at = 0.0
        self.app_limited_until = 0
        """What is delivered up to here was sent while the application had no more; 0: none."""
        self.is_reordering = False
        self.reordering_steps = 1
        """Quarters of the least round trip that segments may be late (RFC 8985 6.2 step 4)."""
        self._recoveries_left = 0
        self._first_sent_at = 0.0
        self._rack_sent_at = 0.0
        self._rack_end = start
        self._rack_rtt = 0.0
        self._unrepeated_end = start
        """The highest end of what arrived selectively or in order (RACK.fack)."""
        self._newest: Sent | None = None
        self._sampled_rtt = 0.0

    @property
    def in_flight(self) -> int:
        """Bytes that are thought to be on the way."""
        return self.next - self.una - self.sacked - self.lost

    # Sending.

    def send(self, end: int, now: float) -> None:
        """Note that what follows `next` has been sent, up to `end`."""
        records = self.records
        if not records:
            self._first_sent_at = self.delivered_at = now
        record = Sent(self.next, end)
        self._stamp(record, now)
        records.append(record)
        self.next = end

    def _stamp(self, record: Sent, now: float) -> None:
        record.sent_at = now
        record.first_sent_at = self._first_sent_at
        record.delivered = self.delivered
        record.delivered_at = self.delivered_at
        record.is_app_limited = self.app_limited_until > 0

    def first_lost(self) -> Sent | None:
        """Return the first record that is to be sent again."""
        if not self.lost:
            return None
        records = self.records
        index = max(bisect_right(records, self.lost_from, key=_start_of) - 1, 0)
        while not records[index].is_lost:
            index += 1
        self.lost_from = records[index].start
        return records[index]

    def repeat(self, record: Sent, limit: int, now: float) -> int:
        """Note that a lost record is sent again, with lost ones behind it, up to `limit` bytes.

        Returns the bytes that this is.
        """
        records = self.records
        index = bisect_right(records, record.start, key=_start_of)
        while record.end - record.start < limit and index < len(records):
            if not records[index].is_lost:
                break
            record.end = records[index].end
            del records[index]
        if record.end - record.start > limit:
            records.insert(index, record.split(record.start + limit))
        size = record.end - record.start
        record.is_lost = False
        record.is_repeated = True
        self._stamp(record, now)
        self.lost -= size
        self.lost_from = record.end
        self.repeated += 1
        return size

    # Acknowledgements.

    def acknowledge(self, upto: int, sample: Sample) -> None:
        """Take a cumulative acknowledgement beyond `una`."""
        is_regular = not (self.sacked or self.lost or self.repeated or self.duplicates)
        if is_regular and upto == self.next:
            self._acknowledge_all(sample)
            return
        count = 0
        before = self.delivered
        for record in self.records:
            if record.start >= upto:
                break
            size = min(record.end, upto) - record.start
            if record.is_sacked:
                self.sacked -= size
            else:
                if record.is_lost:
                    self.lost -= size
                self.delivered += size
                self._arrived(record, min(record.end, upto), sample)
            if record.end > upto:
                record.start = upto
                break
            count += 1
        if count:
            del self.records[:count]
        if self.duplicates:
            self._forget_duplicates(upto)
        self.una = upto
        sample.acked += self.delivered - before
        if not (self.sacked or self.lost) and self.repeated and not self._has_repeated():
            self.repeated = 0

    def _acknowledge_all(self, sample: Sample) -> None:
        """Take an acknowledgement of all that was sent, in order and once: the last tells all."""
        size = self.next - self.una
        self.delivered += size
        sample.acked += size
        self._arrived(self.records[-1], self.next, sample)
        self.records.clear()
        self.una = self.next

    def count_duplicate(self) -> int:
        """Take a duplicate acknowledgement of a peer without SACK; return how many it makes."""
        self.duplicates += 1
        self.sacked += min(self.mss, self.in_flight)
        return self.duplicates

    def _forget_duplicates(self, upto: int) -> None:
        """Take back what duplicates told, as far as it is acknowledged now (RFC 6582 3.2)."""
        self.sacked = max(self.sacked - max(upto - self.una - self.mss, 0), 0)
        if not self.records:
            self.sacked = 0
        self.sacked = min(self.sacked, max(self.next - upto - self.lost, 0))
        self.duplicates = 0

    def _has_repeated(self) -> bool:
        return any(record.is_repeated for record in self.records)

    def mark_sacked(self, start: int, end: int, sample: Sample) -> None:
        """Take one block of a selective acknowledgement, within `una` and `next`."""
        records = self.records
        index = max(bisect_right(records, start, key=_start_of) - 1, 0)
        while index < len(records) and records[index].start < end:
            record = records[index]
            if record.end > start and not record.is_sacked:
                if record.start < start:
                    records.insert(index + 1, record.split(start))
                    index += 1
                    record = records[index]
                if record.end > end:
                    records.insert(index + 1, record.split(end))
                self._sack(record, sample)
                index = self._join_sacked(index)
            index += 1

    def _sack(self, record: Sent, sample: Sample) -> None:
        size = record.end - record.start
        record.is_sacked = True
        self.sacked += size
        if record.is_lost:
            record.is_lost = False
            self.lost -= size
        self.delivered += size
        sample.acked += size
        self._arrived(record, record.end, sample)

    def _join_sacked(self, index: int) -> int:
        """Join a record that became sacked with sacked neighbours; return its index."""
        records = self.records
        record = records[index]
        if index + 1 < len(records) and records[index + 1].is_sacked:
            record.end = records[index + 1].end
            del records[index + 1]
        if index and records[index - 1].is_sacked:
            records[index - 1].end = record.end
            del records[index]
            return index - 1
        return index

    def _arrived(self, record: Sent, end: int, sample: Sample) -> None:
        """Learn from a record that has newly arrived, or a first part of it."""
        newest = self._newest
        if newest is None or record.sent_at >= newest.sent_at:
            self._newest = record
        round_trip = sample.now - record.sent_at
        if record.is_repeated:
            # So early, it is the first transmission that arrived.
            if round_trip < sample.least:
                return
        else:
            self._sampled_rtt = round_trip
            if end < self._unrepeated_end:
                self.is_reordering = True
        self._unrepeated_end = max(self._unrepeated_end, end)
        if (record.sent_at, end) > (self._rack_sent_at, self._rack_end):
            self._rack_sent_at = record.sent_at
            self._rack_end = end
            self._rack_rtt = round_trip

    def finish_sample(self, sample: Sample) -> None:
        """Complete a sample when all of an acknowledgement has been taken."""
        sample.delivered = self.delivered
        newest = self._newest
        if newest is None:
            return
        now = sample.now
        self._newest = None
        sample.rtt = self._sampled_rtt
        self._sampled_rtt = 0.0
        sample.prior_delivered = newest.delivered
        sample.is_app_limited = newest.is_app_limited
        interval = max(newest.sent_at - newest.first_sent_at, now - newest.delivered_at)
        if interval > 0:
            sample.rate = (self.delivered - newest.delivered) / interval
        self._first_sent_at = newest.sent_at
        self.delivered_at = now
        if self.app_limited_until and self.delivered > self.app_limited_until:
            self.app_limited_until = 0

    # Losses.

    def detect_losses(self, now: float, window: float) -> float:
        """Mark what must be lost, being late by more than `window` seconds (RFC 8985 6.2).

        Returns when the next may be: infinity where nothing is waited for.
        """
        deadline = 0.0
        newest, newest_end = self._rack_sent_at, self._rack_end
        allowed = self._rack_rtt + window
        for record in self.records:
            if record.is_sacked or record.is_lost:
                continue
            if (record.sent_at, record.end) > (newest, newest_end):
                if record.is_repeated:
                    continue
                break  # what follows was sent later
            if record.sent_at + allowed <= now:
                self._lose(record)
            else:
                deadline = max(deadline, record.sent_at + allowed)
        return deadline or float("inf")

    def _lose(self, record: Sent) -> None:
        record.is_lost = True
        self.lost += record.end - record.start
        self.lost_from = min(self.lost_from, record.start)

    def lose_first(self, size: int) -> None:
        """Take the first `size` bytes for lost, as three duplicate acknowledgements tell."""
        if not self.records:
            return
        record = self.records[0]
        if record.is_sacked or record.is_lost:
            return
        if record.end - record.start > size:
            self.records.insert(1, record.split(record.start + size))
        self._lose(record)

    def lose_next(self, size: int) -> None:
        """Take as much for lost of what follows the first lost bytes, if it is in flight."""
        records = self.records
        if len(records) > 1 and not (records[1].is_sacked or records[1].is_lost):
            if records[1].end - records[1].start > size:
                records.insert(2, records[1].split(records[1].start + size))
            self._lose(records[1])

    def lose_all(self) -> None:
        """Take for lost what is not sacked: a time-out. A sacked head is a peer that reneged."""
        if self.records and (self.duplicates or self.records[0].is_sacked):
            for record in self.records:
                record.is_sacked = False
            self.sacked = self.duplicates = 0
        for record in self.records:
            if not (record.is_sacked or record.is_lost):
                self._lose(record)

    def find_lost(self) -> None:
        """Take nothing for lost any more: it was only late."""
        for record in self.records:
            record.is_lost = False
        self.lost = 0

    def lose_last(self, size: int) -> None:
        """Take up to `size` bytes at the end for lost: a probe sends them again (RFC 8985 7.3)."""
        record = self.records[-1]
        if record.is_sacked or record.is_lost:
            return
        if record.end - record.start > size:
            self.records.append(record.split(record.end - size))
            record = self.records[-1]
        self._lose(record)

    def reordering_window(self, least: float, smoothed: float, *, is_recovering: bool) -> float:
        """Return how late a segment may be before it is lost (RFC 8985 6.2 step 4)."""
        if not self.is_reordering and (is_recovering or self._has_three_sacked()):
            return 0.0
        return min(self.reordering_steps * least / 4, smoothed)

    def _has_three_sacked(self) -> bool:
        return self.sacked >= DUPLICATES * self.mss

    def widen_reordering(self) -> None:
        """Something was sent again for nothing: wait longer (RFC 8985 6.2 step 4)."""
        self.reordering_steps = min(self.reordering_steps + 1, _MAX_REORDERING_STEPS)
        self._recoveries_left = _MAX_REORDERING_STEPS

    def end_recovery(self) -> None:
        """After sixteen recoveries without another such, wait as at first."""
        if self._recoveries_left:
            self._recoveries_left -= 1
            if not self._recoveries_left:
                self.reordering_steps = 1
