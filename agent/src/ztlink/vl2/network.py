"""One network that we joined: its configuration, its members, its frames.

The status follows from two facts: whether there is a configuration, and the last refusal of the
controller since then. While it is not OK the controller is asked every two seconds, so that an
authorisation takes effect soon although the controller tells nobody of it; once it is OK, every
minute, because certificates age.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ztlink.batch import Delivery
from ztlink.budget import Budget
from ztlink.clock import Now
from ztlink.crypto.identity import verify
from ztlink.errors import WireError
from ztlink.ids import (
    Address,
    Mac,
    MulticastGroup,
    NetworkId,
    PacketId,
    controller_of,
    format_address,
    member_mac,
)
from ztlink.recent import Recent
from ztlink.stats import Drop
from ztlink.vl2.events import NetworkConfigured, NetworkStatus, NetworkStatusChanged, Vl2Event
from ztlink.vl2.mactable import MacTable
from ztlink.vl2.membership import Membership
from ztlink.vl2.multicast import MEMBER_LIFETIME, GroupTable
from ztlink.vl2.netconf import ConfigAssembler
from ztlink.vl2.refusal import REFUSAL_OF_CODE, STATUS_OF_REFUSAL, Refusal
from ztlink.vl2.rule_context import NOBODY, RemoteParty, things_of
from ztlink.vl2.rules import Program
from ztlink.vl2.ruleset import RuleSet
from ztlink.vl2.underlay import Underlay
from ztlink.wire.credentials import CredentialType, Revocation
from ztlink.wire.dictionary import Dictionary
from ztlink.wire.identity import Identity
from ztlink.wire.netconf import NetworkConfig
from ztlink.wire.network import ConfigChunk, NetworkConfigRequest, NetworkCredentials
from ztlink.wire.verbs import PROTOCOL_VERSION, SOFTWARE_VERSION, ErrorCode, Verb

RETRY_INTERVAL: Final = 2.0
FIRST_RETRIES: Final = (0.3, *(0.4,) * 12)
"""A lost first request, or its answer, is repeated soon: for five seconds, then as any other. A
controller of ZeroTierOne answers the first that it gets a second after its last answer."""
REFRESH_INTERVAL: Final = 60.0
ANNOUNCE_INTERVAL: Final = 60.0
ANNOUNCE_AGAIN: Final = (1.0, 4.0, 15.0)
"""Seconds between repetitions of what was just announced: nobody acknowledges, and any may be
lost."""
CONFIGS_PER_SECOND: Final = 4.0
"""Configurations that are put in force; each costs milliseconds, and has the machine changed."""
CONFIGS_BURST: Final = 64.0
PUSH_INTERVAL: Final = 500.0
"""Seconds after which our credentials are shown again although they did not change."""
MAX_MEMBERSHIPS: Final = 65_536
MAX_BRIDGED_GROUPS: Final = 4096


@dataclass(slots=True)
class Unsent:
    """Packets that follow one that was sent."""

    due: float
    packets: list[NetworkCredentials]


class Network:
    """The state of one membership; its frames are handled by `vl2.switchboard`."""

    def __init__(
        self,
        network_id: NetworkId,
        underlay: Underlay,
        emit: Callable[[Vl2Event], None],
        deliveries: list[Delivery],
        now: Now,
    ) -> None:
        self.network_id = network_id
        self.controller = controller_of(network_id)
        self.own = underlay.identity.address
        self.mac: Mac = member_mac(self.own, network_id)
        self.config: NetworkConfig | None = None
        self.config_unix_ms = 0
        self.config_time = float("-inf")
        self.members: dict[Address, Membership] = {}
        """Who has shown something good, the longest ago first."""
        self.groups = GroupTable(self.own)
        self.bridges = MacTable(network_id, self.own)
        self.deliveries = deliveries
        """Frames for ports, those of other networks among them."""
        self.subscriptions: frozenset[MulticastGroup] = frozenset()
        """What the port listens to."""
        self.bridged_groups: dict[MulticastGroup, float] = {}
        """What hosts behind us listen to, by the time of their last frame, the oldest first."""
        self.last_push: Recent[Address] = Recent(PUSH_INTERVAL, MAX_MEMBERSHIPS)
        self.last_announced: Recent[Address] = Recent(ANNOUNCE_INTERVAL, MAX_MEMBERSHIPS)
        self.unsent: dict[Address, Unsent] = {}
        """The rest of our credentials, for peers to whom they do not go in one packet."""
        self.verdicts = {(way, passed): 0 for way in ("rx", "tx") for passed in (True, False)}
        self.refusal: Refusal | None = None
        self.port_error: str | None = None
        self.rules = RuleSet.none(self.own, underlay.random_bytes)
        self._parties: dict[Address, RemoteParty] = {}
        self._programs: dict[Address, tuple[Program, ...]] = {}
        self._underlay = underlay
        self._emit = emit
        self._assembler = ConfigAssembler(network_id, self.own)
        self._attempts = 0
        self._next_request = now.mono
        self._next_announcement = now.mono + ANNOUNCE_INTERVAL
        self._announcements = len(ANNOUNCE_AGAIN)
        self._told: tuple[NetworkStatus, str] | None = None
        self._is_doubted = False
        """The controller is asked until it answers."""
        self._last_doubt = float("-inf")
        self._applications = Budget(CONFIGS_PER_SECOND, CONFIGS_BURST)

    wake: Callable[[], None]
    """Has the timer look at `deadline` again."""

    # -- status ------------------------------------------------------------------------------

    @property
    def status(self) -> NetworkStatus:
        """The state as the original names it."""
        if self.port_error is not None:
            return NetworkStatus.PORT_ERROR
        if self.refusal is not None:
            return STATUS_OF_REFUSAL[self.refusal]
        if self.config is not None:
            return NetworkStatus.OK
        return NetworkStatus.REQUESTING_CONFIGURATION

    @property
    def reason(self) -> str:
        """The state in a sentence for people."""
        controller = format_address(self.controller)
        me = format_address(self.own)
        match self.status:
            case NetworkStatus.PORT_ERROR:
                return str(self.port_error)
            case NetworkStatus.OK:
                return "joined"
            case NetworkStatus.ACCESS_DENIED:
                return f"not authorised: have the network's controller {controller} authorise {me}"
            case NetworkStatus.NOT_FOUND:
                return f"the controller {controller} knows no such network: check the network id"
            case NetworkStatus.AUTHENTICATION_REQUIRED:
                return "the controller wants a login by single sign-on, which ztlink does not do"
            case _:
                return self._waiting_for(controller)

    def _waiting_for(self, controller: str) -> str:
        if self.controller == self.own:
            return "waiting for our own controller"
        if not self._underlay.is_online():
            return "waiting for a root: none has answered yet"
        if self._underlay.identity_of(self.controller) is None:
            return (
                f"waiting for the roots to tell who the controller {controller} is: is it online?"
            )
        return f"waiting for the controller {controller} to answer"

    def tell_status(self) -> None:
        """Emit an event where the status or its reason changed."""
        status = (self.status, self.reason)
        if status != self._told:
            self._told = status
            self._emit(NetworkStatusChanged(self.network_id, *status))

    # -- asking the controller ---------------------------------------------------------------

    def deadline(self) -> float:
        """Return when `handle_timer` is due."""
        return min(
            self._next_request,
            self._next_announcement,
            self.groups.next_gather(),
            *(unsent.due for unsent in self.unsent.values()),
        )

    def request_now(self, now: Now) -> None:
        """Have the controller asked at the next timer: something has changed in our favour."""
        if self.status is not NetworkStatus.OK:
            self._attempts = 0
            self._next_request = now.mono

    def postpone_request(self, now: Now) -> None:
        """Look again in a minute: nobody is to be asked."""
        self._next_request = now.mono + REFRESH_INTERVAL

    def request_if_due(self, now: Now) -> bool:
        """Ask the controller where it is time; return whether it is us who has to answer."""
        if now.mono < self._next_request:
            return False
        if self._is_doubted and self._attempts < len(FIRST_RETRIES):
            interval = FIRST_RETRIES[self._attempts]
        elif self.config is not None and self.refusal is None:
            interval = REFRESH_INTERVAL
            if self._is_doubted or now.mono - self.config_time >= REFRESH_INTERVAL:
                interval = RETRY_INTERVAL  # until an answer sets the time of the next refresh
        elif self._attempts < len(FIRST_RETRIES) and self.refusal is None:
            interval = FIRST_RETRIES[self._attempts]
        else:
            interval = RETRY_INTERVAL
        self._attempts += 1
        self._next_request = now.mono + interval
        self.tell_status()
        if self.controller == self.own:
            return True
        if self._underlay.identity_of(self.controller) is None:
            self._underlay.ask_identity(self.controller, now)  # then `request_now` is called
            return False
        request = NetworkConfigRequest(
            network_id=self.network_id,
            metadata=self.metadata(),
            revision=self.config.revision if self.config else 0,
            timestamp=self.config.timestamp if self.config else 0,
        )
        self._underlay.send(
            self.controller,
            Verb.NETWORK_CONFIG_REQUEST,
            request.to_bytes(),
            now,
            compress=True,
        )
        return False

    def metadata(self) -> bytes:
        """Return what we tell the controller about ourselves (wire.adoc#config-request)."""
        major, minor, revision = SOFTWARE_VERSION
        entries: list[tuple[str, int]] = [
            ("v", 7),
            ("vend", 1),
            ("pv", PROTOCOL_VERSION),
            ("majv", major),
            ("minv", minor),
            ("revv", revision),
            ("mr", 1024),
            ("mc", 128),
            ("mcr", 64),
            ("mt", 128),
            ("f", 0),
            ("revr", 1),
        ]
        dictionary = Dictionary()
        for key, value in entries:
            dictionary.add_uint(key, value)
        dictionary.add_text("o", "linux/ztlink")
        return dictionary.encode()

    # -- its answers -------------------------------------------------------------------------

    def receive_chunk(
        self,
        chunk: ConfigChunk,
        packet_id: PacketId,
        sender: Address,
        judged: Callable[[bool], None],
        *,
        is_answer: bool,
        now: Now,
    ) -> NetworkConfig | None:
        """Take a piece of a configuration; return the configuration once it is in force.

        `judged` is called where its signature had to be checked, with what came of it.
        """
        controller = self._controller_identity()
        if controller is None:
            self._underlay.stats.drop(Drop.BAD_CONFIG)
            return None

        def check(message: bytes, signature: bytes) -> bool:
            is_good = verify(controller.public_key, message, signature)
            if not is_good:
                self._underlay.stats.drop(Drop.BAD_CONFIG)
            judged(is_good)
            return is_good

        text = self._assembler.add(
            chunk,
            packet_id=packet_id,
            is_from_controller=sender == self.controller,
            verify=check,
        )
        if text is None:
            return None
        try:
            config = self._assembler.read(text, self.config, is_answer=is_answer)
        except WireError:
            self._underlay.stats.drop(Drop.BAD_CONFIG)
            return None
        if not self._applications.spend(now):
            # What is left out now is asked for when it is quiet: it may be the last word.
            self._underlay.stats.drop(Drop.RATE_LIMITED)
            self._next_request = min(self._next_request, now.mono + RETRY_INTERVAL)
            self.wake()
            return None
        self.apply(config, now)
        return config

    def _controller_identity(self) -> Identity | None:
        if self.controller == self.own:
            return self._underlay.identity
        return self._underlay.identity_of(self.controller)

    def apply(self, config: NetworkConfig, now: Now, *, is_cached: bool = False) -> None:
        """Put a configuration in force; a cached one is refreshed at once."""
        changed = self.config != config
        self.config = config
        self.rules = RuleSet.of(config, self.own, self._underlay.random_bytes)
        self._parties.clear()
        self._programs.clear()
        self._forget_spent(config)
        self.refusal = None
        self._is_doubted = False
        self._attempts = 0
        if not is_cached:
            self.config_time = now.mono
            self.config_unix_ms = now.unix_ms
            self._next_request = now.mono + REFRESH_INTERVAL
        if changed:
            self._emit(NetworkConfigured(self.network_id, config))
        self.tell_status()

    def receive_error(self, code: int, now: Now) -> None:
        """Take the controller's refusal; the configuration in force stays so while it is good."""
        refusal = REFUSAL_OF_CODE.get(ErrorCode(code)) if code in set(ErrorCode) else None
        if refusal is None:
            return
        self.refusal = refusal
        self._is_doubted = False
        self._next_request = min(self._next_request, now.mono + RETRY_INTERVAL)
        self.tell_status()

    def receive_revocation(self, revocation: Revocation, now: Now) -> None:
        """Take the controller's signed word that our certificate of membership is void.

        Unlike a refusal it cannot be repeated to us when we have a newer one.
        """
        com = self.config.com if self.config is not None else None
        is_ours = revocation.credential_type == CredentialType.COM
        if is_ours and com is not None and com.timestamp <= revocation.threshold:
            self.receive_error(ErrorCode.NETWORK_ACCESS_DENIED, now)
            self.wake()

    def doubt(self, now: Now) -> None:
        """Ask the controller whether the configuration is still good: somebody says it is not."""
        if self.refusal is None and now.mono - self._last_doubt >= RETRY_INTERVAL:
            self._last_doubt = now.mono
            self._is_doubted = True
            self._attempts = 0
            self._next_request = now.mono

    # -- rules -------------------------------------------------------------------------------

    def remote_party(self, peer: Address) -> RemoteParty:
        """Return what the rules know of a peer."""
        party = self._parties.get(peer)
        if party is None:
            record, config = self.members.get(peer), self.config
            party = NOBODY
            if record is not None and config is not None:
                things = things_of(record.valid_coos(config))
                party = RemoteParty(record.valid_tags(config), things)
                self._parties[peer] = party
        return party

    def remote_programs(self, peer: Address) -> tuple[Program, ...]:
        """Return the capabilities that a peer has shown, compiled."""
        programs = self._programs.get(peer)
        if programs is None:
            record, config = self.members.get(peer), self.config
            programs = ()
            if record is not None and config is not None:
                programs = tuple(Program(c.rules) for c in record.valid_capabilities(config))
                self._programs[peer] = programs
        return programs

    def forget_party(self, peer: Address) -> None:
        """Look at a peer's credentials anew: they have changed."""
        self._parties.pop(peer, None)
        self._programs.pop(peer, None)

    # -- members -----------------------------------------------------------------------------

    def keep(self, record: Membership) -> None:
        """Keep the record of somebody who has shown a credential that is good.

        Only the controller can make such, so nobody else can make us keep or forget records.
        """
        self.members.pop(record.address, None)
        if len(self.members) >= MAX_MEMBERSHIPS:
            self._forget_member(next(iter(self.members)))
        self.members[record.address] = record

    def _forget_spent(self, config: NetworkConfig) -> None:
        """Forget those from whom nothing good has come for so long that all of it is void."""
        for address, record in list(self.members.items()):
            if not record.is_spent(config):
                return
            self._forget_member(address)

    def _forget_member(self, address: Address) -> None:
        del self.members[address]
        self.forget_party(address)

    def allows(self, peer: Identity) -> bool:
        """Tell whether a peer may talk on this network: the gate (wire.adoc#gate)."""
        config = self.config
        if config is None:
            return False
        if config.is_public:
            return True
        record = self.members.get(peer.address)
        return record is not None and record.is_allowed(config, peer)

    def is_bridge(self, address: Address) -> bool:
        """Tell whether a member may speak for hosts behind it."""
        return self.config is not None and address in self.config.active_bridges

    # -- groups ------------------------------------------------------------------------------

    def own_groups(self) -> list[MulticastGroup]:
        """Return all groups that are to reach us, in a stable order."""
        groups = set(self.subscriptions) | self.bridged_groups.keys()
        if self.config is not None and self.config.allows_broadcast:
            groups.add(MulticastGroup(Mac(b"\xff" * 6), 0))
        return sorted(groups)

    def announcement_is_due(self, now: Now) -> bool:
        """Tell, and note, that our groups are to be announced again."""
        if now.mono < self._next_announcement:
            return False
        interval = ANNOUNCE_INTERVAL
        if self._announcements < len(ANNOUNCE_AGAIN):
            interval = ANNOUNCE_AGAIN[self._announcements]
            self._announcements += 1
        self._next_announcement = now.mono + interval
        self._expire_bridged_groups(now)
        return True

    def learn_bridged_group(self, group: MulticastGroup, now: Now) -> None:
        """Note that a host behind us has to do with a group: what is for it is to reach us."""
        self.bridged_groups.pop(group, None)
        if len(self.bridged_groups) >= MAX_BRIDGED_GROUPS:
            del self.bridged_groups[next(iter(self.bridged_groups))]
        self.bridged_groups[group] = now.mono

    def _expire_bridged_groups(self, now: Now) -> None:
        for group, time in list(self.bridged_groups.items()):
            if now.mono - time <= MEMBER_LIFETIME:
                break
            del self.bridged_groups[group]

    def announced(self, now: Now) -> None:
        """Note that something new was announced: it is repeated soon."""
        self._announcements = 1
        self._next_announcement = now.mono + ANNOUNCE_AGAIN[0]
        self.wake()
