"""All TCP connections of a stack: finds whose a segment is, keeps the timers, takes turns sending.

Inputs change state and tell through `emit`; what is to be sent is pulled with `transmits`, made at
that moment, so that a queue below that is full makes TCP wait instead of losing segments. `emit` is
called within inputs and `transmits`; it must only note the event.
"""

from collections.abc import Callable, Mapping
from math import inf
from typing import Final

from ztlink.clock import Now
from ztlink.deadlines import DeadlineQueue
from ztlink.errors import LocalProtocolError
from ztlink.ids import Endpoint
from ztlink.inet.tcp import FLAG_ACK, FLAG_RST, FLAG_SYN
from ztlink.netstack.events import ConnectionId, ListenerId, Reason, SoftError, TcpEvent, Writable
from ztlink.netstack.segment import Outgoing, Segment, endpoints_of, flow_of
from ztlink.netstack.seqnum import MASK, unwrap
from ztlink.netstack.tcp import arrival, output, passive, timers, verbs
from ztlink.netstack.tcp.connection import Connection
from ztlink.netstack.tcp.context import ChallengeLimit, Context, Memory
from ztlink.netstack.tcp.listener import Listener
from ztlink.netstack.tcp.settings import ConnectionOptions, TcpSettings
from ztlink.netstack.tcp.state import Input, State
from ztlink.netstack.tcp.unguessable import Secrets

_HEADERS: Final = 60
"""Bytes that a super-segment counts beside its payload."""
_CRUMB: Final = 16 * 1024
"""Less room than this, left by others, is left: small super-segments cost as much as large ones."""
_HARD_ERRORS: Final = (Reason.PROTOCOL_UNREACHABLE, Reason.PORT_UNREACHABLE, Reason.PROHIBITED)
"""What ends an attempt to connect (RFC 1122 4.2.3.9)."""
_MIN_MTU: Final = {4: 576, 6: 1280}


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
        self._mtu_for = mtu_for
        self._settings = settings or TcpSettings()
        memory = Memory(self._settings.total_memory)
        challenges = ChallengeLimit(random_bytes)
        self._context = Context(self._settings, emit, random_bytes, memory, challenges)
        self._secrets = Secrets(random_bytes)
        self._connections: dict[ConnectionId, Connection] = {}
        self._flows: dict[bytes, Connection] = {}
        self._listeners: dict[ListenerId, Listener] = {}
        self._listening: dict[Endpoint, Listener] = {}
        self._timers: DeadlineQueue[ConnectionId] = DeadlineQueue()
        self.get_timer = self._timers.head
        """Returns when `handle_timer` is next needed, in the clock of `Now.mono`."""
        self._last_id = 0
        self.outputs = self._context.ready, self._context.strays
        """What `transmits` takes from: if both are empty, there is nothing."""

    @property
    def connections(self) -> Mapping[ConnectionId, Connection]:
        """What there is, to look at: for counters and tests."""
        return self._connections

    @property
    def memory(self) -> Memory:
        """What all buffers hold together, to look at."""
        return self._context.memory

    # Inputs from below.

    def receive(self, segment: Segment, now: Now) -> None:
        """Take a segment whose checksum is good; its payload is borrowed."""
        mono = now.mono
        c = self._flows.get(segment.flow)
        if c is None:
            self._receive_for_nobody(segment, mono)
            return
        if not arrival.receive(c, segment, mono):
            c.enter(Input.EXPIRED)
            self._sweep()
            self._receive_for_nobody(segment, mono)
            return
        self._settle(c, mono)

    def _receive_for_nobody(self, segment: Segment, mono: float) -> None:
        """Let a listener have a segment that no connection has, or refuse it."""
        listener = self._listener_for(segment) if self._listening else None
        flags = segment.flags & (FLAG_SYN | FLAG_ACK | FLAG_RST)
        if listener is not None and flags == FLAG_SYN:
            self._receive_syn(listener, segment, mono)
            return
        if (
            listener is not None
            and flags == FLAG_ACK
            and mono < listener.cookies_until
            and self._receive_cookie(listener, segment, mono)
        ):
            return
        if listener is not None and not flags:
            return  # nothing that one could answer (RFC 9293 3.10.7.2)
        reset = arrival.reset_for(segment)
        if reset is not None:
            self._context.send_stray(reset)

    def _listener_for(self, segment: Segment) -> Listener | None:
        local = segment.local
        listener = self._listening.get(local)
        if listener is None:
            any_ip = type(local.ip)(0)
            listener = self._listening.get(Endpoint(any_ip, local.port))
        return listener

    def _receive_syn(self, listener: Listener, segment: Segment, mono: float) -> None:
        if listener.is_full or len(self._connections) >= self._settings.max_connections:
            return  # the peer asks again
        if len(listener.half_open) >= self._settings.max_half_open:
            mtu = self._mtu_for(segment.remote)
            passive.answer_with_cookie(self._context, self._secrets, listener, segment, mtu, mono)
            return
        c = self._add(segment.flow, mono)
        passive.begin(c, listener, segment, mono)
        self._settle(c, mono)

    def _receive_cookie(self, listener: Listener, segment: Segment, mono: float) -> bool:
        """Make a connection of a cookie that comes back; False: it is none."""
        cookie = segment.acknowledgement - 1 & MASK
        initial = segment.sequence - 1 & MASK
        mss = self._secrets.read_cookie(segment.flow, initial, cookie, mono)
        if mss is None:
            return False
        if listener.is_full or len(self._connections) >= self._settings.max_connections:
            return True
        c = self._add(segment.flow, mono, cookie)
        passive.restore(c, listener, segment, mss, mono)
        arrival.receive(c, segment, mono)
        self._settle(c, mono)
        return True

    def handle_timer(self, now: Now) -> None:
        """Do what is due."""
        mono = now.mono
        while (owner := self._timers.pop_due(mono)) is not None:
            c = self._connections[owner]
            c.called_at = inf
            timers.handle_timer(c, mono)
            self._settle(c, mono)

    def soft_error(
        self, local: Endpoint, remote: Endpoint, reason: Reason, sequence: int, now: Now
    ) -> None:
        """Take an ICMP error that quotes `sequence` of a segment of ours; ignored if not in flight.

        Ends an attempt to connect where the error is a hard one; else told as `SoftError`.
        """
        c = self._quoted(local, remote, sequence)
        if c is None:
            return
        c.trouble = reason
        if c.state <= State.SYN_RECEIVED and reason in _HARD_ERRORS:
            c.end(reason)
        elif not c.is_closed_by_us and (c.state > State.SYN_RECEIVED or c.listener is None):
            self._context.emit(SoftError(c.id, reason))
        self._settle(c, now.mono)

    def path_mtu(
        self, local: Endpoint, remote: Endpoint, mtu: int, sequence: int, now: Now
    ) -> None:
        """Take a packet-too-big that quotes `sequence`; ignored if not in flight."""
        c = self._quoted(local, remote, sequence)
        mtu = max(mtu, _MIN_MTU[local.ip.version])
        if c is None or mtu >= c.path_mtu:
            return
        c.path_mtu = mtu
        c.resize()
        c.flight.lose_all()
        c.wake()
        self._settle(c, now.mono)

    def _quoted(self, local: Endpoint, remote: Endpoint, sequence: int) -> Connection | None:
        """Return the connection that has this sequence number in flight (RFC 5927 4)."""
        c = self._flows.get(flow_of(local, remote))
        if c is None:
            return None
        number = unwrap(sequence, c.flight.una)
        if c.state <= State.SYN_RECEIVED:
            return c if number == c.initial else None
        return c if c.flight.una <= number < c.flight.next else None

    # Verbs of the application. An id that is gone raises LocalProtocolError.

    def connect(self, local: Endpoint, remote: Endpoint, now: Now) -> ConnectionId:
        """Start to connect; port 0 in `local` draws a free one (RFC 6056)."""
        if len(self._connections) >= self._settings.max_connections:
            raise LocalProtocolError(f"connect: {len(self._connections)} connections, no more")
        flow = self._free_flow(local, remote)
        c = self._add(flow, now.mono)
        c.enter(Input.OPEN)
        c.is_syn_owed = True
        c.loss_at = now.mono + c.rtt.current
        c.wake()
        self._settle(c, now.mono)
        return c.id

    def _free_flow(self, local: Endpoint, remote: Endpoint) -> bytes:
        if local.port:
            flow = flow_of(local, remote)
            if flow in self._flows:
                raise LocalProtocolError(f"connect: {local} to {remote} is connected already")
            return flow
        for candidate in self._secrets.port_candidates():
            port = self._secrets.port(candidate)
            flow = flow_of(Endpoint(local.ip, port), remote)
            if flow not in self._flows and Endpoint(local.ip, port) not in self._listening:
                return flow
        raise LocalProtocolError(f"connect: no free port towards {remote}")

    def _add(self, flow: bytes, mono: float, initial: int | None = None) -> Connection:
        self._last_id += 1
        local, remote = endpoints_of(flow)
        if initial is None:
            initial = self._secrets.initial_sequence(flow, mono)
        mtu = self._mtu_for(remote)
        connection = ConnectionId(self._last_id)
        numbers = initial, self._secrets.timestamp_offset(flow)
        c = Connection(self._context, connection, flow, local, remote, mtu, *numbers, mono)
        self._connections[connection] = c
        self._flows[flow] = c
        return c

    def listen(self, local: Endpoint, backlog: int, now: Now) -> ListenerId:
        """Accept connections to `local`; an unspecified address stands for all of its family."""
        if local in self._listening:
            raise LocalProtocolError(f"listen: {local} is listened on already")
        self._last_id += 1
        listener = Listener(ListenerId(self._last_id), local, backlog)
        self._listeners[listener.id] = listener
        self._listening[local] = listener
        return listener.id

    def accept(self, listener: ListenerId) -> ConnectionId | None:
        """Take the next established connection of a listener; None: none is left.

        What arrived before this may have been told before: ask `readable`.
        """
        completed = self._listener(listener).completed
        return completed.popleft() if completed else None

    def close_listener(self, listener: ListenerId, now: Now) -> None:
        """Accept no more; what was not taken with `accept` is reset."""
        closed = self._listener(listener)
        del self._listeners[listener]
        del self._listening[closed.local]
        for connection in [*closed.half_open, *closed.completed]:
            self.abort(connection, now)

    def _listener(self, listener: ListenerId) -> Listener:
        found = self._listeners.get(listener)
        if found is None:
            raise LocalProtocolError(f"listener {listener} is not there, or no more")
        return found

    def write(
        self, connection: ConnectionId, data: bytes | bytearray | memoryview, now: Now
    ) -> int:
        """Take bytes to send and return how many; fewer than given: wait for `Writable`.

        Large `bytes`, and read-only views of them, are kept by reference; all else is copied.
        """
        return verbs.write(self._get(connection), data, now.mono)

    def read(self, connection: ConnectionId, limit: int, now: Now) -> bytes | memoryview:
        """Return up to `limit` bytes, the application's own; empty: nothing there, or the end.

        Works after `PeerFinished` and `ConnectionClosed` until all is read.
        """
        data = verbs.read(self._get(connection), limit, now.mono)
        if self._context.memory.starving:
            self._feed()
        return data

    def shutdown(self, connection: ConnectionId, now: Now) -> None:
        """Send FIN after what was written; reading goes on."""
        verbs.shutdown(self._get(connection), now.mono)

    def close(self, connection: ConnectionId, now: Now) -> None:
        """Be done both ways; resets if there are unread bytes, else finishes what was written.

        Followed by `ConnectionClosed` or `ConnectionReset`, unless one of them has been told.
        """
        c = self._get(connection)
        verbs.close(c, now.mono)
        self._settle(c, now.mono)

    def abort(self, connection: ConnectionId, now: Now) -> None:
        """Reset at once; no event follows."""
        c = self._get(connection)
        if c.state is State.CLOSED or c.state is State.TIME_WAIT:
            c.let_go()
        else:
            c.reset(None)
        self._settle(c, now.mono)

    def readable(self, connection: ConnectionId) -> int:
        """Return the bytes that `read` could give."""
        return self._get(connection).inbox.held

    def has_unread(self, connection: ConnectionId) -> bool:
        """Tell whether `read` would give something; also of one that is gone: it would not."""
        c = self._connections.get(connection)
        return c is not None and c.inbox.held > 0

    def unsent(self, connection: ConnectionId) -> int:
        """Return the bytes taken from the application that were never sent."""
        return self._get(connection).unsent

    def unacknowledged(self, connection: ConnectionId) -> int:
        """Return the bytes taken from the application that the peer has not acknowledged."""
        return len(self._get(connection).outbox)

    def endpoints(self, connection: ConnectionId) -> tuple[Endpoint, Endpoint]:
        """Return the local and the remote endpoint."""
        c = self._get(connection)
        return c.local, c.remote

    def state(self, connection: ConnectionId) -> State:
        """Return where a connection is."""
        return self._get(connection).state

    def set_options(self, connection: ConnectionId, options: ConnectionOptions, now: Now) -> None:
        """Change what is not None."""
        c = self._get(connection)
        verbs.set_options(c, options, now.mono)
        self._settle(c, now.mono)

    def _get(self, connection: ConnectionId) -> Connection:
        c = self._connections.get(connection)
        if c is None or c.is_gone:
            raise LocalProtocolError(f"connection {connection} is not there, or no more")
        return c

    # Outputs.

    def transmits(self, limit: int, now: Now) -> list[Outgoing]:
        """Return what is to be sent now, up to about `limit` bytes of payload and headers."""
        mono = now.mono
        out: list[Outgoing] = []
        context = self._context
        strays, ready = context.strays, context.ready
        crumb = min(limit, _CRUMB)
        while strays and limit > 0:
            out.append(strays.popleft())
            limit -= _HEADERS
        while ready and limit > 0 and (limit >= crumb or not out):
            owner = ready.popleft()
            c = self._connections.get(owner)
            if c is None:
                continue
            outgoing = output.next_segment(c, limit, mono)
            if outgoing is None:
                c.is_ready = False
                self._schedule(c, mono)
                continue
            out.append(outgoing)
            limit -= outgoing.size + _HEADERS
            if output.has_more(c):
                ready.append(owner)
            else:
                c.is_ready = False
                self._schedule(c, mono)
        return out

    def has_output(self) -> bool:
        """Tell whether `transmits` may have something."""
        return any(self.outputs)

    # Between inputs.

    def _settle(self, c: Connection, mono: float) -> None:
        """After a change of a connection: its timer, and what ended with it."""
        if self._context.ended or len(self._context.waiting) > self._settings.max_time_wait:
            self._sweep()
        if self._context.memory.starving:
            self._feed()
        self._schedule(c, mono)

    def _schedule(self, c: Connection, mono: float) -> None:
        deadline = c.deadline(mono)
        if deadline < c.called_at:
            c.called_at = deadline
            self._timers.schedule(c.id, deadline)

    def _sweep(self) -> None:
        """Forget connections that are CLOSED; keep what is unread of those that were regular."""
        context = self._context
        waiting = context.waiting
        while len(waiting) > self._settings.max_time_wait:
            self._connections[next(iter(waiting))].enter(Input.EXPIRED)
            waiting.pop(next(iter(waiting)))
        for connection in context.ended:
            c = self._connections.get(connection)
            if c is None:
                continue
            if self._flows.get(c.flow) is c:
                del self._flows[c.flow]
            waiting.pop(connection, None)
            self._timers.forget(connection)
            c.called_at = inf
            if c.listener is not None:
                c.listener.forget(connection)
            if c.is_gone:
                del self._connections[connection]
        context.ended.clear()

    def _feed(self) -> None:
        """Tell those that could not write for want of memory, now that there is some."""
        memory = self._context.memory
        if memory.is_tight:
            return
        starving = list(memory.starving)
        memory.starving.clear()
        for connection in starving:
            c = self._connections[connection]
            if c.is_write_short and not c.is_finishing:
                c.is_write_short = False
                self._context.emit(Writable(connection))
