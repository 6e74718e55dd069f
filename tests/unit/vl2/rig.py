"""VL2 on an underlay that only takes notes: for tests of what is sent to whom, and when."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tests.unit.vl1.mesh import identity, seeded_bytes
from ztlink.batch import PacketBatch, SuperFrame
from ztlink.clock import Now
from ztlink.crypto.identity import sign
from ztlink.ids import Address, NetworkId, PacketId
from ztlink.inet.coalesce import coalesce
from ztlink.stats import Stats
from ztlink.vl2.layer import Timed, Vl2
from ztlink.vl2.network import Network
from ztlink.wire.credentials import Com, CredentialType, Revocation, Tag
from ztlink.wire.identity import Identity, SecretIdentity
from ztlink.wire.netconf import NetworkConfig, NetworkType
from ztlink.wire.verbs import Verb

OWN = identity(0)
CONTROLLER = identity(1)
PEER = identity(2)
STRANGER = identity(3)
ROOT = identity(4)
NETWORK = NetworkId(CONTROLLER.address << 24 | 0x000001)
START = Now(1000.0, 1_700_000_000_000)
MAX_DELTA = 1_800_000


@dataclass
class Sent:
    """One message that was to be sent."""

    to: Address
    verb: Verb
    payload: bytes
    is_patient: bool = False


class NotingUnderlay:
    """Knows some identities, sends nothing and remembers everything."""

    def __init__(self) -> None:
        self.identity: Identity = OWN.public
        self.stats = Stats()
        self.random_bytes: Callable[[int], bytes] = seeded_bytes(1)
        self.known = {who.address: who.public for who in (CONTROLLER, PEER, STRANGER, ROOT)}
        self.sent: list[Sent] = []
        self.frames: list[tuple[Address, bytes]] = []
        self.asked: list[Address] = []
        self.retried: list[Address] = []
        self.root = False
        self.timers: dict[int, tuple[Timed, float]] = {}

    def schedule(self, owner: Timed, deadline: float | None) -> None:
        if deadline is not None:
            self.timers[id(owner)] = (owner, deadline)

    def send(
        self,
        destination: Address,
        verb: Verb,
        payload: bytes,
        now: Now,
        *,
        compress: bool = False,
        is_patient: bool = False,
    ) -> PacketId | None:
        self.sent.append(Sent(destination, verb, payload, is_patient))
        return PacketId(len(self.sent))

    def send_frame(
        self,
        destination: Address,
        frame: SuperFrame,
        prefix: bytes,
        payload_offset: int,
        now: Now,
    ) -> None:
        self.frames.append((destination, prefix + bytes(frame.buffer[payload_offset:])))

    def coalesce(self, batch: PacketBatch, offset: int, header: bytes) -> list[SuperFrame]:
        return coalesce(batch, offset, header)

    def identity_of(self, address: Address) -> Identity | None:
        return self.known.get(address)

    def ask_identity(self, address: Address, now: Now) -> None:
        self.asked.append(address)

    def roots(self) -> Sequence[Address]:
        return [ROOT.address]

    def is_root(self) -> bool:
        return self.root

    def is_online(self) -> bool:
        return True

    def retry_held(self, address: Address, now: Now) -> None:
        self.retried.append(address)

    def take(self, verb: Verb) -> list[Sent]:
        """Take what was sent of one verb; all else is forgotten."""
        taken = [message for message in self.sent if message.verb == verb]
        self.sent = []
        return taken


class Member:
    """A VL2 that has joined one private network."""

    def __init__(self, config: NetworkConfig | None = None) -> None:
        self.underlay = NotingUnderlay()
        self.now = START
        self.vl2 = Vl2(self.underlay, lambda event: None, False, START)
        self.vl2.join(NETWORK, START, None)
        self.network: Network = self.vl2.networks[NETWORK]
        self.network.apply(config or make_config(), START)
        self.underlay.sent = []

    def later(self, seconds: float) -> None:
        """Let time pass, with the timers that are due on the way."""
        until = self.now.mono + seconds
        while True:
            owner, deadline = min(self.underlay.timers.values(), key=lambda timer: timer[1])
            self._advance(min(max(deadline, self.now.mono), until))
            if deadline > until:
                return
            del self.underlay.timers[id(owner)]
            owner.handle_timer(self.now)

    def _advance(self, mono: float) -> None:
        passed = mono - self.now.mono
        self.now = Now(mono, self.now.unix_ms + round(passed * 1000))


def make_com(member: SecretIdentity, timestamp: int = START.unix_ms) -> Com:
    """Return a certificate of membership, signed by the controller."""
    com = Com.issue(NETWORK, timestamp, MAX_DELTA, member.public)
    signature = sign(CONTROLLER, com.signing_input())
    return replace(com, signer=CONTROLLER.address, signature=signature)


def make_tag(number: int, member: SecretIdentity = OWN) -> Tag:
    """Return a tag, signed by the controller."""
    unsigned = Tag(NETWORK, START.unix_ms, number, 1, member.address, CONTROLLER.address, bytes(96))
    return replace(unsigned, signature=sign(CONTROLLER, unsigned.signing_input()))


def revocation_of(member: SecretIdentity) -> Revocation:
    """Return a revocation of a member's certificate, signed by the controller."""
    bare = Revocation(
        1, NETWORK, 0, START.unix_ms, 1, member.address, CONTROLLER.address, CredentialType.COM
    )
    return replace(bare, signature=sign(CONTROLLER, bare.signing_input()))


def make_config(**fields: object) -> NetworkConfig:
    """Return a configuration of a private network, with our certificate."""
    config = NetworkConfig(
        network_id=NETWORK,
        timestamp=START.unix_ms,
        credential_time_max_delta=MAX_DELTA,
        revision=1,
        issued_to=OWN.address,
        type=NetworkType.PRIVATE,
        multicast_limit=32,
        com=make_com(OWN),
    )
    return replace(config, **fields)  # type: ignore[arg-type]
