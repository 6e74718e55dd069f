"""The wire side of a controller: requests become events, its answers become packets.

What is answered is decided elsewhere, in its own time; here is only who asked lately, which lets
those nodes announce and ask for multicast groups with us.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from ztlink.batch import Verdict
from ztlink.budget import Budgets
from ztlink.clock import Now
from ztlink.ids import Address, NetworkId, PacketId, controller_of
from ztlink.recent import Recent
from ztlink.stats import Drop
from ztlink.vl2.events import ConfigRequested, Vl2Event
from ztlink.vl2.underlay import Underlay
from ztlink.wire.buffer import Reader, Writer
from ztlink.wire.control import Error
from ztlink.wire.credentials import Revocation
from ztlink.wire.identity import Identity
from ztlink.wire.network import NetworkConfigRequest, NetworkCredentials
from ztlink.wire.verbs import ErrorCode, Verb

SERVED_LIFETIME: Final = 180.0
MIN_REQUEST_INTERVAL: Final = 0.25
"""Seconds between requests of one member for one network that are passed on at all."""
MAX_REQUESTERS: Final = 65_536
REQUESTS_PER_SECOND: Final = 10.0
REQUESTS_BURST: Final = 200.0
"""Of one node for all our networks: it can name sixteen million of them."""

ReceiveOwn = Callable[[NetworkId, Sequence[bytes], Now], None]


class ControllerPort:
    """Between the packets of members and the controller's decisions."""

    def __init__(
        self,
        underlay: Underlay,
        emit: Callable[[Vl2Event], None],
        receive_own: ReceiveOwn,
        refuse_own: Callable[[NetworkId, ErrorCode, Now], None],
        *,
        is_enabled: bool,
    ) -> None:
        self._underlay = underlay
        self._emit = emit
        self._receive_own = receive_own
        self._refuse_own = refuse_own
        self.is_enabled = is_enabled
        self._served: Recent[tuple[NetworkId, Address]] = Recent(SERVED_LIFETIME, MAX_REQUESTERS)
        self._asked: Recent[tuple[NetworkId, Address]] = Recent(
            MIN_REQUEST_INTERVAL, MAX_REQUESTERS
        )
        self._requests: Budgets[Address] = Budgets(
            REQUESTS_PER_SECOND, REQUESTS_BURST, MAX_REQUESTERS
        )

    def has_served(self, network_id: NetworkId, member: Address, now: Now) -> bool:
        """Tell whether this node got a configuration of this network from us lately."""
        return now.mono - self._served.last((network_id, member)) < SERVED_LIFETIME

    def receive_request(
        self, member: Identity, packet_id: PacketId, payload: memoryview, now: Now
    ) -> Verdict:
        """Pass a request on to the controller."""
        request = NetworkConfigRequest.decode(Reader(payload))
        network_id = request.network_id
        if controller_of(network_id) != self._underlay.identity.address:
            self._underlay.stats.drop(Drop.NOT_A_CONTROLLER)
            return Verdict.DROPPED
        if not self.is_enabled:
            self.send_error(
                member.address, network_id, packet_id, ErrorCode.UNSUPPORTED_OPERATION, now
            )
            return Verdict.ACCEPTED
        key = (network_id, member.address)
        is_early = now.mono - self._asked.last(key) < MIN_REQUEST_INTERVAL
        if is_early or not self._requests.spend(member.address, now):
            self._underlay.stats.drop(Drop.RATE_LIMITED)
            return Verdict.DROPPED
        self._asked.note(key, now)
        self._emit(ConfigRequested(network_id, member, request.metadata, packet_id))
        return Verdict.ACCEPTED

    def ask_ourselves(self, network_id: NetworkId, metadata: bytes) -> None:
        """Request the configuration of a network that we control and are a member of."""
        if self.is_enabled:
            self._emit(ConfigRequested(network_id, self._underlay.identity, metadata, PacketId(0)))

    def send_config(
        self,
        member: Address,
        network_id: NetworkId,
        chunks: Sequence[bytes],
        in_reply_to: PacketId | None,
        now: Now,
    ) -> None:
        """Send a configuration, as an answer or unasked; to ourselves it takes no packet."""
        self._served.note((network_id, member), now)
        if member == self._underlay.identity.address:
            self._receive_own(network_id, chunks, now)
            return
        for chunk in chunks:
            if in_reply_to is None:
                self._underlay.send(
                    member, Verb.NETWORK_CONFIG, chunk, now, compress=True, is_patient=True
                )
            else:
                body = bytes([Verb.NETWORK_CONFIG_REQUEST]) + in_reply_to.to_bytes(8, "big") + chunk
                self._underlay.send(member, Verb.OK, body, now, compress=True)

    def send_error(
        self,
        member: Address,
        network_id: NetworkId,
        in_reply_to: PacketId,
        code: ErrorCode,
        now: Now,
    ) -> None:
        """Refuse a request."""
        if member == self._underlay.identity.address:
            self._refuse_own(network_id, code, now)
            return
        writer = Writer()
        Error(Verb.NETWORK_CONFIG_REQUEST, in_reply_to, code, network_id.to_bytes(8, "big")).encode(
            writer
        )
        self._underlay.send(member, Verb.ERROR, writer.getvalue(), now, is_patient=True)

    def send_revocation(self, members: Iterable[Address], revocation: Revocation, now: Now) -> None:
        """Tell members that somebody's credential is void."""
        writer = Writer()
        NetworkCredentials(revocations=(revocation,)).encode(writer)
        payload = writer.getvalue()
        for member in members:
            self._underlay.send(member, Verb.NETWORK_CREDENTIALS, payload, now, is_patient=True)
