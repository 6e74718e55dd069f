"""All TCP connections of a stack: finds whose a segment is, keeps the timers, takes turns sending.

Inputs change state and tell through `emit`; what is to be sent is pulled with `transmits`, made at
that moment, so that a queue below that is full makes TCP wait instead of losing segments. `emit` is
called within inputs and `transmits`; it must only note the event.
"""

from collections.abc import Callable

from ztlink.clock import Now
from ztlink.ids import Endpoint
from ztlink.netstack.events import ConnectionId, ListenerId, Reason, TcpEvent
from ztlink.netstack.segment import Outgoing, Segment
from ztlink.netstack.tcp.settings import ConnectionOptions, TcpSettings


class TcpLayer:
    """The connections and listeners of one stack."""

    def __init__(
        self,
        emit: Callable[[TcpEvent], None],
        mtu_for: Callable[[Endpoint], int],
        *,
        random_bytes: Callable[[int], bytes],
        settings: TcpSettings | None = None,
    ) -> None:
        self._emit = emit
        self._mtu_for = mtu_for
        self._random_bytes = random_bytes
        self._settings = settings or TcpSettings()

    # Inputs from below.

    def receive(self, segment: Segment, now: Now) -> None:
        """Take a segment whose checksum is good; its payload is borrowed."""
        raise NotImplementedError

    def handle_timer(self, now: Now) -> None:
        """Do what is due."""
        raise NotImplementedError

    def soft_error(
        self, local: Endpoint, remote: Endpoint, reason: Reason, sequence: int, now: Now
    ) -> None:
        """Take an ICMP error that quotes `sequence` of a segment of ours; ignored if not in flight.

        Ends an attempt to connect where the error is a hard one; else told as `SoftError`.
        """
        raise NotImplementedError

    def path_mtu(
        self, local: Endpoint, remote: Endpoint, mtu: int, sequence: int, now: Now
    ) -> None:
        """Take a packet-too-big that quotes `sequence`; ignored if not in flight."""
        raise NotImplementedError

    # Verbs of the application. An id that is gone raises LocalProtocolError.

    def connect(self, local: Endpoint, remote: Endpoint, now: Now) -> ConnectionId:
        """Start to connect; port 0 in `local` draws a free one (RFC 6056)."""
        raise NotImplementedError

    def listen(self, local: Endpoint, backlog: int, now: Now) -> ListenerId:
        """Accept connections to `local`; an unspecified address stands for all of its family."""
        raise NotImplementedError

    def accept(self, listener: ListenerId) -> ConnectionId | None:
        """Take the next established connection of a listener."""
        raise NotImplementedError

    def close_listener(self, listener: ListenerId, now: Now) -> None:
        """Accept no more; what was not taken with `accept` is reset."""
        raise NotImplementedError

    def write(
        self, connection: ConnectionId, data: bytes | bytearray | memoryview, now: Now
    ) -> int:
        """Take bytes to send and return how many; fewer than given: wait for `Writable`.

        Large `bytes`, and read-only views of them, are kept by reference; all else is copied.
        """
        raise NotImplementedError

    def read(self, connection: ConnectionId, limit: int, now: Now) -> bytes | memoryview:
        """Return up to `limit` bytes, the application's own; empty: nothing there, or the end.

        Works after `PeerFinished` until all is read.
        """
        raise NotImplementedError

    def shutdown(self, connection: ConnectionId, now: Now) -> None:
        """Send FIN after what was written; reading goes on."""
        raise NotImplementedError

    def close(self, connection: ConnectionId, now: Now) -> None:
        """Be done both ways; resets if there are unread bytes, else finishes what was written.

        Followed by `ConnectionClosed` or `ConnectionReset`.
        """
        raise NotImplementedError

    def abort(self, connection: ConnectionId, now: Now) -> None:
        """Reset at once; no event follows."""
        raise NotImplementedError

    def readable(self, connection: ConnectionId) -> int:
        """Return the bytes that `read` could give."""
        raise NotImplementedError

    def unsent(self, connection: ConnectionId) -> int:
        """Return the bytes taken from the application that were never sent."""
        raise NotImplementedError

    def unacknowledged(self, connection: ConnectionId) -> int:
        """Return the bytes taken from the application that the peer has not acknowledged."""
        raise NotImplementedError

    def endpoints(self, connection: ConnectionId) -> tuple[Endpoint, Endpoint]:
        """Return the local and the remote endpoint."""
        raise NotImplementedError

    def set_options(self, connection: ConnectionId, options: ConnectionOptions, now: Now) -> None:
        """Change what is not None."""
        raise NotImplementedError

    # Outputs.

    def transmits(self, limit: int, now: Now) -> list[Outgoing]:
        """Return what is to be sent now, up to about `limit` bytes of payload and headers."""
        raise NotImplementedError

    def has_output(self) -> bool:
        """Tell whether `transmits` may have something."""
        raise NotImplementedError

    def get_timer(self) -> float | None:
        """Return when `handle_timer` is next needed, in the clock of `Now.mono`."""
        raise NotImplementedError
