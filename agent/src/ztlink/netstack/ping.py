"""Echo requests of ours, and what became of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ztlink.clock import Now
from ztlink.ids import IpAddress
from ztlink.inet.icmp import (
    ICMP_ECHO_REQUEST,
    ICMPV6_ECHO_REQUEST,
    SIZE_ICMP,
    icmp_message,
)
from ztlink.inet.ip import VERSION_4
from ztlink.netstack.counters import Counters, Discard
from ztlink.netstack.egress import Egress
from ztlink.netstack.events import EchoAnswered, EchoFailed, EchoId, Reason
from ztlink.netstack.icmp import PROTOCOL_OF
from ztlink.netstack.packet import Packet
from ztlink.netstack.pmtu import PathMtus
from ztlink.netstack.quoted import Quoted
from ztlink.netstack.route import Way
from ztlink.netstack.settings import StackSettings

MAX_PENDING: Final = 4096
MAX_DATA: Final = 65_507
_SIZE_TOKEN: Final = 8


@dataclass(slots=True)
class _Pending:
    id: EchoId
    remote: IpAddress
    data: bytes
    sent: float


class Pinger:
    """The echo requests of one stack that wait for an answer, the oldest first.

    Data begins with random bytes, so that nobody can answer who has not got the question.
    """

    def __init__(
        self,
        egress: Egress,
        mtus: PathMtus,
        settings: StackSettings,
        counters: Counters,
        emit: Callable[[EchoAnswered | EchoFailed], None],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._egress = egress
        self._mtus = mtus
        self._timeout = settings.ping_timeout
        self._counters = counters
        self._emit = emit
        self._random_bytes = random_bytes
        self._identifier = int.from_bytes(random_bytes(2), "big")
        self._last_id = 0
        self._sequence = 0
        self.pending: dict[int, _Pending] = {}
        """By sequence number."""

    def send(self, way: Way, remote: IpAddress, size: int, now: Now) -> EchoId:
        """Send a request with `size` bytes of data."""
        self._last_id += 1
        echo = EchoId(self._last_id)
        sequence = self._sequence = self._sequence + 1 & 0xFFFF
        if len(self.pending) >= MAX_PENDING:
            self._fail(next(iter(self.pending)), Reason.TIMED_OUT)
        data = (self._random_bytes(min(size, _SIZE_TOKEN)) + bytes(size))[:size]
        self.pending.pop(sequence, None)
        self.pending[sequence] = _Pending(echo, remote, data, now.mono)
        kind = ICMP_ECHO_REQUEST if remote.version == VERSION_4 else ICMPV6_ECHO_REQUEST
        rest = self._identifier << 16 | sequence
        message = icmp_message(kind, 0, rest, data, way.source.packed, remote.packed)

        def on_failure(now: Now) -> None:
            self._fail(sequence, Reason.HOST_UNREACHABLE, echo)

        protocol = PROTOCOL_OF[remote.version]
        self._egress.send(way, remote, protocol, message, now, on_failure=on_failure)
        return echo

    def answered(self, packet: Packet, now: Now) -> None:
        """Take an echo reply."""
        pending = self._find(packet.payload)
        is_ours = pending is not None and pending.data == packet.payload[SIZE_ICMP:]
        if pending is None or not is_ours or packet.source != pending.remote:
            self._counters.discard(Discard.NO_SOCKET)
            return
        sequence = int.from_bytes(packet.payload[6:8], "big")
        del self.pending[sequence]
        self._emit(
            EchoAnswered(
                pending.id, pending.remote, sequence, len(pending.data), now.mono - pending.sent
            )
        )

    def failed(self, quoted: Quoted, reason: Reason, now: Now) -> bool:
        """Take an error about a request."""
        pending = self._find(quoted.l4)
        if pending is None or pending.remote != quoted.remote:
            return False
        self._fail(int.from_bytes(quoted.l4[6:8], "big"), reason)
        return True

    def too_big(self, quoted: Quoted, mtu: int, now: Now) -> bool:
        """Take what the way carries; the request is lost."""
        pending = self._find(quoted.l4)
        if pending is None or pending.remote != quoted.remote:
            return False
        self._mtus.lower(quoted.remote, mtu, now)
        self._fail(int.from_bytes(quoted.l4[6:8], "big"), Reason.TOO_BIG)
        return True

    def handle_timer(self, now: Now) -> None:
        """Give up what has waited too long."""
        for sequence, pending in list(self.pending.items()):
            if pending.sent + self._timeout > now.mono:
                break
            self._fail(sequence, Reason.TIMED_OUT)

    def get_timer(self) -> float | None:
        """Return when the oldest request has waited too long."""
        for pending in self.pending.values():
            return pending.sent + self._timeout
        return None

    def _find(self, l4: memoryview) -> _Pending | None:
        if int.from_bytes(l4[4:6], "big") != self._identifier:
            return None
        return self.pending.get(int.from_bytes(l4[6:8], "big"))

    def _fail(self, sequence: int, reason: Reason, echo: EchoId | None = None) -> None:
        pending = self.pending.get(sequence)
        if pending is None or echo not in (None, pending.id):
            return
        del self.pending[sequence]
        self._emit(EchoFailed(pending.id, pending.remote, sequence, reason))
