"""Every verb and who handles it."""

from collections.abc import Callable
from typing import Final

from ztlink.batch import Verdict
from ztlink.clock import Now
from ztlink.stats import Drop
from ztlink.vl1.context import Context
from ztlink.vl1.events import UserMessageReceived
from ztlink.vl1.layer import Vl1
from ztlink.vl1.switch import FrameRun, Message
from ztlink.vl2.layer import Vl2
from ztlink.wire.buffer import Reader
from ztlink.wire.control import Error, OkHeader, PushDirectPaths, Rendezvous
from ztlink.wire.user import UserMessage
from ztlink.wire.verbs import ErrorCode, Verb

Handler = Callable[[Message, Now], Verdict]

IGNORED_VERBS: Final = frozenset(
    {Verb.ACK, Verb.QOS_MEASUREMENT, Verb.PATH_NEGOTIATION_REQUEST, Verb.REMOTE_TRACE}
)
"""Bonding's measurements and traces: nothing here uses them."""
ONCE: Final = frozenset({Verb.HELLO, Verb.WHOIS, Verb.ECHO})
"""Requests that are answered by one packet, once by each way."""
# As globals: a member of an enumeration takes longer to find.
_RETRY: Final = Verdict.RETRY
_TRUSTED: Final = Verdict.TRUSTED


class Dispatch:
    """VL1's `Upper`: hands messages to their handlers, frames to VL2."""

    _vl1: Vl1

    def __init__(self, ctx: Context, vl2: Vl2) -> None:
        self._ctx = ctx
        self._vl2 = vl2
        self._handlers: dict[int, Handler] = {
            Verb.NOP: self._handle_nop,
            Verb.ERROR: self._handle_error,
            Verb.OK: self._handle_ok,
            Verb.WHOIS: self._handle_whois,
            Verb.RENDEZVOUS: self._handle_rendezvous,
            Verb.ECHO: self._handle_echo,
            Verb.PUSH_DIRECT_PATHS: self._handle_push_direct_paths,
            Verb.USER_MESSAGE: self._handle_user_message,
            **dict.fromkeys(IGNORED_VERBS, self._handle_nop),
        }

    def connect(self, vl1: Vl1) -> None:
        """Name the layer below."""
        self._vl1 = vl1

    def handle_message(self, message: Message, now: Now) -> Verdict:
        """Handle a control message; may raise WireError."""
        handler = self._handlers.get(message.verb)
        if handler is not None:
            return handler(message, now)
        verdict = self._vl2.handle(
            message.peer.identity, message.verb, message.packet_id, message.payload, now
        )
        if verdict is None:
            self._ctx.stats.drop(Drop.UNKNOWN_VERB)
            return Verdict.ACCEPTED
        return self._settle(message, verdict, now)

    def handle_frames(self, run: FrameRun, now: Now) -> None:
        """Handle a run of FRAME packets."""
        run.peer.last_frame = now.mono
        verdict = self._vl2.receive_run(run.peer.identity, run.batch, now)
        if verdict is _RETRY:
            self._vl1.switch.hold_frames(run, now)
        elif verdict is _TRUSTED:
            self._vl1.discovery.push_if_due(run.peer, run.arrival, now)

    def _settle(self, message: Message, verdict: Verdict, now: Now) -> Verdict:
        if verdict is _TRUSTED:
            self._vl1.discovery.push_if_due(message.peer, message.arrival, now)
        if message.verb in (Verb.EXT_FRAME, Verb.MULTICAST_FRAME):
            message.peer.last_frame = now.mono
        return verdict

    # -- VL1's verbs -------------------------------------------------------------------------

    def _handle_nop(self, message: Message, now: Now) -> Verdict:
        return Verdict.ACCEPTED

    def _handle_error(self, message: Message, now: Now) -> Verdict:
        error = Error.decode(Reader(message.payload))
        self._ctx.stats.errors_in[error.code] += 1
        is_answer = self._is_answer(message, error, now)
        if error.code == ErrorCode.IDENTITY_COLLISION:
            if error.in_re_verb == Verb.HELLO and is_answer:
                self._vl1.collisions.told(message.peer, now)
            return Verdict.ACCEPTED
        return self._vl2.handle_error(message.peer.identity, error, now, is_answer=is_answer)

    def _is_answer(self, message: Message, error: Error, now: Now) -> bool:
        """Tell whether an ERROR answers a request of ours that is under way, for the first time."""
        if error.in_re_verb not in (Verb.HELLO, Verb.NETWORK_CONFIG_REQUEST):
            return False
        requests = self._vl1.egress.requests
        number, verb = error.in_re_packet_id, error.in_re_verb
        if requests.find(number, message.peer.address, verb, now) is None:
            return False
        requests.end(number)
        return True

    def _handle_ok(self, message: Message, now: Now) -> Verdict:
        reader = Reader(message.payload)
        ok = OkHeader.decode(reader)
        peer, arrival = message.peer, message.arrival
        request = self._vl1.egress.requests.find(
            ok.in_re_packet_id, peer.address, ok.in_re_verb, now
        )
        if request is None or (
            ok.in_re_verb in ONCE and request.is_repeated(arrival.socket, arrival.endpoint)
        ):
            self._ctx.stats.drop(Drop.UNEXPECTED_REPLY)
            return Verdict.DROPPED
        if ok.in_re_verb == Verb.HELLO:
            self._vl1.introductions.handle_ok_hello(peer, arrival, request, message.payload, now)
            self._vl1.collisions.taken_back(peer)
        elif ok.in_re_verb == Verb.WHOIS:
            self._vl1.introductions.handle_ok_whois(peer, message.payload, now)
        verdict = Verdict.ACCEPTED
        if ok.in_re_verb not in (Verb.HELLO, Verb.WHOIS, Verb.ECHO):
            verdict = self._vl2.handle_ok(peer.identity, ok, message.packet_id, reader, now)
        self._vl1.introductions.learn_path(peer, arrival, request, now)
        return self._settle(message, verdict, now)

    def _handle_whois(self, message: Message, now: Now) -> Verdict:
        served = self._vl1.introductions.answer_whois(
            message.peer, message.arrival, message.packet_id, message.payload, now
        )
        return Verdict.ACCEPTED if served else Verdict.DROPPED

    def _handle_rendezvous(self, message: Message, now: Now) -> Verdict:
        rendezvous = Rendezvous.decode(Reader(message.payload))
        self._vl1.discovery.handle_rendezvous(message.peer, message.arrival, rendezvous, now)
        return Verdict.ACCEPTED

    def _handle_echo(self, message: Message, now: Now) -> Verdict:
        served = self._vl1.introductions.answer_echo(
            message.peer, message.arrival, message.packet_id, message.payload, now
        )
        return Verdict.ACCEPTED if served else Verdict.DROPPED

    def _handle_push_direct_paths(self, message: Message, now: Now) -> Verdict:
        push = PushDirectPaths.decode(Reader(message.payload))
        self._vl1.discovery.handle_push(message.peer, push, now)
        return Verdict.ACCEPTED

    def _handle_user_message(self, message: Message, now: Now) -> Verdict:
        user = UserMessage.decode(Reader(message.payload))
        self._ctx.events.append(UserMessageReceived(message.peer.address, user.type_id, user.data))
        return Verdict.ACCEPTED
