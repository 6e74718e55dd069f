"""VL2 put together: the networks that we joined, and every verb of theirs."""

from collections.abc import Callable, Sequence
from typing import Protocol

from ztlink.batch import Delivery, PacketBatch, SuperFrame, Verdict
from ztlink.clock import Now
from ztlink.errors import WireError
from ztlink.ids import Address, Mac, MulticastGroup, NetworkId, PacketId, controller_of
from ztlink.stats import Drop
from ztlink.vl2.adhoc import adhoc_config
from ztlink.vl2.announce import Groups
from ztlink.vl2.checks import SignatureChecks
from ztlink.vl2.controller import ControllerPort
from ztlink.vl2.credentials import Credentials
from ztlink.vl2.events import NetworkJoined, NetworkLeft, Vl2Event
from ztlink.vl2.inbound import Inbound
from ztlink.vl2.multicast import QueuedFrame
from ztlink.vl2.network import Network
from ztlink.vl2.outbound import Outbound
from ztlink.vl2.propagation import Propagation
from ztlink.vl2.underlay import Underlay
from ztlink.wire.buffer import Reader
from ztlink.wire.control import Error, OkHeader
from ztlink.wire.identity import Identity
from ztlink.wire.netconf import NetworkConfig
from ztlink.wire.network import (
    ConfigAck,
    ConfigChunk,
    NetworkCredentials,
    OkMulticastFrame,
    OkMulticastGather,
)
from ztlink.wire.verbs import ErrorCode, Verb


class Timed(Protocol):
    """Something that a timer calls."""

    def handle_timer(self, now: Now) -> None:
        """Do what is due."""


class Scheduler(Underlay, Protocol):
    """The face below, with its timers."""

    def schedule(self, owner: Timed, deadline: float | None) -> None:
        """Have `owner` called at a deadline."""


class Vl2:
    """The virtual Ethernet layer of one node."""

    def __init__(
        self,
        underlay: Scheduler,
        emit: Callable[[Vl2Event], None],
        controller_enabled: bool,
        now: Now,
    ) -> None:
        self._underlay = underlay
        self._emit = emit
        self.networks: dict[NetworkId, Network] = {}
        self._deliveries: list[Delivery] = []
        """Of all networks, in order."""
        self.controller = ControllerPort(
            underlay, emit, self._receive_own, self._refuse_own, is_enabled=controller_enabled
        )
        self._checks = SignatureChecks()
        self._propagation = Propagation(underlay)
        self.credentials = Credentials(underlay, self.networks, self._checks, self._propagation)
        self.groups = Groups(underlay, self.networks, self.controller, self._late_member)
        self.outbound = Outbound(underlay, self.credentials, self.groups)
        self.inbound = Inbound(underlay, self.networks, self.credentials, self.groups)
        self._handlers: dict[int, Callable[[Identity, PacketId, memoryview, Now], Verdict]] = {
            Verb.EXT_FRAME: self.inbound.receive_ext_frame,
            Verb.MULTICAST_FRAME: self.inbound.receive_multicast,
            Verb.MULTICAST_LIKE: self.groups.receive_like,
            Verb.MULTICAST_GATHER: self.groups.receive_gather,
            Verb.NETWORK_CREDENTIALS: self._receive_credentials,
            Verb.NETWORK_CONFIG: self._receive_pushed_config,
            Verb.NETWORK_CONFIG_REQUEST: self.controller.receive_request,
        }

    # -- commands ----------------------------------------------------------------------------

    def join(self, network_id: NetworkId, now: Now, cached: NetworkConfig | None) -> None:
        """Join a network; joining twice is joining once.

        A configuration from before the start serves if it was made for us. How old it may be is for
        its certificate: it agrees with those of members that are as old, and with no others.
        """
        if network_id in self.networks:
            return
        network = Network(network_id, self._underlay, self._emit, self._deliveries, now)
        self.networks[network_id] = network
        self._emit(NetworkJoined(network_id, network.mac))
        timer = NetworkTimer(self, network)
        network.wake = lambda: self._underlay.schedule(timer, network.deadline())
        own = self._underlay.identity.address
        if cached is not None and (cached.network_id, cached.issued_to) == (network_id, own):
            network.apply(cached, now, is_cached=True)
        network.tell_status()
        timer.handle_timer(now)

    def leave(self, network_id: NetworkId, now: Now) -> None:
        """Leave a network."""
        if self.networks.pop(network_id, None) is not None:
            self._emit(NetworkLeft(network_id))

    def joined(self) -> list[Network]:
        """Return the memberships, by network id."""
        return [self.networks[network_id] for network_id in sorted(self.networks)]

    def set_groups(
        self, network_id: NetworkId, groups: frozenset[MulticastGroup], now: Now
    ) -> None:
        """Take the port's subscriptions; new ones are announced at once."""
        network = self.networks.get(network_id)
        if network is not None:
            self.groups.subscribe(network, groups, now)

    def set_port_error(self, network_id: NetworkId, reason: str | None, now: Now) -> None:
        """Take the port's trouble."""
        network = self.networks.get(network_id)
        if network is not None:
            network.port_error = reason
            network.tell_status()

    # -- timers and news ---------------------------------------------------------------------

    def network_is_due(self, network: Network, now: Now) -> None:
        """Ask for the configuration and announce groups where it is time."""
        if self.networks.get(network.network_id) is not network:
            return
        if network.network_id >> 56 == 0xFF:
            self._configure_adhoc(network, now)
        elif network.request_if_due(now):
            self.controller.ask_ourselves(network.network_id, network.metadata())
        self.outbound.gather_again(network, now)
        self.credentials.continue_pushes(network, now)
        if network.announcement_is_due(now):
            self.groups.announce(network, now)
            network.groups.expire(now)
        network.wake()

    def _configure_adhoc(self, network: Network, now: Now) -> None:
        if network.config is None:
            config = adhoc_config(network.network_id, self._underlay.identity.address, now.unix_ms)
            if config is None:
                network.receive_error(ErrorCode.OBJ_NOT_FOUND, now)
            else:
                network.apply(config, now)
        network.postpone_request(now)

    def identity_known(self, address: Address, now: Now) -> None:
        """Ask a controller as soon as its identity is known, and judge what it signed."""
        self.credentials.signer_known(address, now)
        for network in self.joined():
            if network.controller == address:
                network.request_now(now)
                self.network_is_due(network, now)

    def online(self, is_online: bool, now: Now) -> None:
        """Ask and announce at once when the node comes online."""
        for network in self.joined():
            if is_online:
                network.request_now(now)
                self.network_is_due(network, now)
                self.groups.announce(network, now)
            network.tell_status()

    def root_found(self, root: Address, now: Now) -> None:
        """Tell a root what we listen to: others ask it before they can send us anything."""
        for network in self.joined():
            self.groups.announce_soon(network, root, now)

    # -- frames ------------------------------------------------------------------------------

    def receive_frame(self, port: NetworkId, frame: SuperFrame, now: Now) -> None:
        """Take a frame from a port."""
        network = self.networks.get(port)
        if network is None:
            self._underlay.stats.drop(Drop.UNKNOWN_NETWORK)
            return
        self.outbound.receive_frame(network, frame, now)

    def receive_run(self, peer: Identity, batch: PacketBatch, now: Now) -> Verdict:
        """Take FRAME packets of one peer with one network id and ethertype."""
        return self.inbound.receive_run(peer, batch, now)

    def take_deliveries(self) -> list[Delivery]:
        """Take the frames for the ports."""
        deliveries = self._deliveries
        if not deliveries:
            return []
        taken = deliveries.copy()
        deliveries.clear()
        return taken

    # -- messages ----------------------------------------------------------------------------

    def handle(
        self, peer: Identity, verb: int, packet_id: PacketId, payload: memoryview, now: Now
    ) -> Verdict | None:
        """Handle a message; None where the verb is none of VL2's."""
        handler = self._handlers.get(verb)
        return handler(peer, packet_id, payload, now) if handler else None

    def handle_error(self, peer: Identity, error: Error, now: Now, *, is_answer: bool) -> Verdict:
        """Take an ERROR; each code has its own rule for whom it is believed from.

        `is_answer`: it is the first answer to a request of ours that is under way.
        """
        reader = Reader(error.body)
        if error.code == ErrorCode.UNWANTED_MULTICAST:
            network = self.networks.get(NetworkId(reader.pull_uint(8)))
            group = MulticastGroup(Mac(reader.pull_bytes(6)), reader.pull_uint(4))
            if network is not None and network.allows(peer):
                network.groups.remove(group, peer.address)
            return Verdict.ACCEPTED
        if reader.remaining < 8:
            return Verdict.ACCEPTED
        network = self.networks.get(NetworkId(reader.pull_uint(8)))
        if network is None:
            return Verdict.ACCEPTED
        if error.code == ErrorCode.NEED_MEMBERSHIP_CERTIFICATE:
            self.credentials.push_on_request(network, peer.address, now)
        elif peer.address == network.controller:
            if is_answer:
                network.receive_error(error.code, now)
            elif error.code == ErrorCode.NETWORK_ACCESS_DENIED:
                network.doubt(now)  # it may be news, or a repetition by somebody: ask
            network.wake()
        return Verdict.ACCEPTED

    def handle_ok(
        self, peer: Identity, ok: OkHeader, packet_id: PacketId, reader: Reader, now: Now
    ) -> Verdict:
        """Take the answer to one of our requests; `reader` is past the OK's header."""
        if ok.in_re_verb == Verb.NETWORK_CONFIG_REQUEST:
            chunk = ConfigChunk.decode(reader)
            self._receive_chunk(peer.address, chunk, packet_id, now, is_answer=True)
        elif ok.in_re_verb == Verb.MULTICAST_GATHER:
            gathered = OkMulticastGather.decode(reader)
            members = gathered.results.members
            self._gathered(gathered.network_id, gathered.group, members, now)
        elif ok.in_re_verb == Verb.MULTICAST_FRAME:
            answer = OkMulticastFrame.decode(reader)
            if answer.com is not None:
                self.credentials.add(answer.com, peer.address, now)
            if answer.results is not None:
                members = answer.results.members
                self._gathered(answer.network_id, answer.group, members, now)
        return Verdict.ACCEPTED

    def _late_member(
        self, network: Network, queued: QueuedFrame, member: Address, now: Now
    ) -> None:
        self.outbound.late_member(network, queued, member, now)

    def _gathered(
        self,
        network_id: NetworkId,
        group: MulticastGroup,
        members: Sequence[Address],
        now: Now,
    ) -> None:
        network = self.networks.get(network_id)
        if network is not None and network.groups.is_asked_for(group):
            self.outbound.members_found(network, group, members, now)

    def _receive_credentials(
        self, peer: Identity, packet_id: PacketId, payload: memoryview, now: Now
    ) -> Verdict:
        return self.credentials.receive(
            peer.address, NetworkCredentials.decode(Reader(payload)), now
        )

    # -- configurations ----------------------------------------------------------------------

    def _receive_pushed_config(
        self, peer: Identity, packet_id: PacketId, payload: memoryview, now: Now
    ) -> Verdict:
        chunk = ConfigChunk.decode(Reader(payload))
        is_new = self._receive_chunk(peer.address, chunk, packet_id, now, is_answer=False)
        if is_new:
            # The original acknowledges with ECHO as the verb referred to.
            body = OkHeader(Verb.ECHO, packet_id).to_bytes()
            body += ConfigAck(chunk.network_id, chunk.update_id).to_bytes()
            self._underlay.send(peer.address, Verb.OK, body, now)
        return Verdict.ACCEPTED

    def _receive_chunk(
        self,
        sender: Address,
        chunk: ConfigChunk,
        packet_id: PacketId,
        now: Now,
        *,
        is_answer: bool,
    ) -> bool:
        network = self.networks.get(chunk.network_id)
        if network is None:
            self._underlay.stats.drop(Drop.UNKNOWN_NETWORK)
            return False
        if not self._checks.allows(sender, now):
            self._underlay.stats.drop(Drop.RATE_LIMITED)
            return False

        def judged(is_good: bool) -> None:
            if is_good:
                self._propagation.pass_chunk(network, chunk, sender, now)
            if not is_good or not (sender == network.controller or chunk.is_fast_propagate):
                self._checks.in_vain(sender, 1, now)

        config = network.receive_chunk(
            chunk, packet_id, sender, judged, is_answer=is_answer, now=now
        )
        if config is None:
            return False
        self._configured(network, now)
        return True

    def _receive_own(self, network_id: NetworkId, chunks: Sequence[bytes], now: Now) -> None:
        """Take a configuration from our own controller."""
        for body in chunks:
            try:
                chunk = ConfigChunk.decode(Reader(body))
            except WireError as error:  # our own controller made it
                raise AssertionError(f"own controller's chunk: {error}") from error
            own = self._underlay.identity.address
            self._receive_chunk(own, chunk, PacketId(0), now, is_answer=True)

    def _refuse_own(self, network_id: NetworkId, code: ErrorCode, now: Now) -> None:
        network = self.networks.get(network_id)
        if network is not None and controller_of(network_id) == self._underlay.identity.address:
            network.receive_error(code, now)

    def _configured(self, network: Network, now: Now) -> None:
        self.groups.announce(network, now)
        network.wake()


class NetworkTimer:
    """Calls a network when it is due."""

    def __init__(self, vl2: Vl2, network: Network) -> None:
        self._vl2 = vl2
        self._network = network

    def handle_timer(self, now: Now) -> None:
        """Do what is due."""
        self._vl2.network_is_due(self._network, now)
