"""A controller at work: what it has the core send is written down instead."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from tests.unit.vl1.mesh import identity, seeded_bytes
from ztlink.clock import Now
from ztlink.controller.service import ControllerService
from ztlink.controller.store import ControllerStore
from ztlink.crypto.identity import verify
from ztlink.ids import Address, NetworkId, PacketId
from ztlink.node.core import Core
from ztlink.node.events import ConfigRequested
from ztlink.wire.buffer import Reader
from ztlink.wire.credentials import Revocation
from ztlink.wire.dictionary import Dictionary
from ztlink.wire.identity import Identity
from ztlink.wire.netconf import NetworkConfig
from ztlink.wire.network import ConfigChunk
from ztlink.wire.verbs import ErrorCode

T = TypeVar("T")

CONTROLLER = identity(0)
NETWORK = NetworkId(CONTROLLER.address << 24 | 1)
START = Now(1_000.0, 1_700_000_000_000)
ADDRESSING: dict[str, Any] = {
    "v4AssignMode": {"zt": True},
    "routes": [{"target": "10.147.0.0/16", "via": None}],
    "ipAssignmentPools": [{"ipRangeStart": "10.147.0.1", "ipRangeEnd": "10.147.255.254"}],
}


def member(number: int) -> Identity:
    """Return a node that is not the controller."""
    return identity(number).public


def metadata(**entries: object) -> bytes:
    """Return a request's dictionary as a node of today writes it."""
    dictionary = Dictionary()
    usual: dict[str, object] = {"majv": 1, "minv": 14, "revv": 1, "pv": 12, "revr": 1}
    for key, value in (usual | entries).items():
        if isinstance(value, int):
            dictionary.add_uint(key, value)
        else:
            dictionary.add_text(key, str(value))
    return dictionary.encode()


def join_chunks(chunks: Sequence[bytes]) -> NetworkConfig:
    """Return the configuration in signed pieces; fails where a signature is not good."""
    pieces = [ConfigChunk.decode(Reader(chunk)) for chunk in chunks]
    for piece in pieces:
        assert verify(CONTROLLER.public.public_key, piece.signed_bytes(), piece.signature)
    return NetworkConfig.decode(b"".join(piece.data for piece in pieces))


@dataclass(frozen=True, slots=True)
class Sent:
    """A configuration that was sent."""

    member: Address
    config: NetworkConfig
    in_reply_to: PacketId | None


@dataclass(slots=True)
class Refused:
    """An error that was sent."""

    member: Address
    code: ErrorCode
    in_reply_to: PacketId


@dataclass(slots=True)
class RecordingCore:
    """The core's face as far as a controller sees it."""

    configs: list[Sent] = field(default_factory=list)
    refusals: list[Refused] = field(default_factory=list)
    revocations: list[tuple[list[Address], Revocation]] = field(default_factory=list)

    def send_config(
        self,
        member: Address,
        network_id: NetworkId,
        chunks: Sequence[bytes],
        in_reply_to: PacketId | None,
        now: Now,
    ) -> None:
        config = join_chunks(chunks)
        assert config.network_id == network_id
        self.configs.append(Sent(member, config, in_reply_to))

    def send_config_error(
        self,
        member: Address,
        network_id: NetworkId,
        in_reply_to: PacketId,
        code: ErrorCode,
        now: Now,
    ) -> None:
        self.refusals.append(Refused(member, code, in_reply_to))

    def send_revocation(self, members: Sequence[Address], revocation: Revocation, now: Now) -> None:
        self.revocations.append((list(members), revocation))


class Rig:
    """A controller, its clock and its core."""

    def __init__(self, store: ControllerStore | None = None, now: Now = START) -> None:
        self.now = now
        self.core = RecordingCore()
        self.store = store or ControllerStore(":memory:")
        self.service = ControllerService(
            CONTROLLER, self.store, self, lambda: self.now, seeded_bytes(1)
        )
        self._packets = 0

    def submit(self, command: Callable[[Core, Now], T]) -> "Future[T]":
        """Run a command at once."""
        future: Future[T] = Future()
        future.set_result(command(cast(Core, self.core), self.now))
        return future

    def pass_time(self, seconds: float) -> None:
        """Let both clocks go on."""
        self.now = Now(self.now.mono + seconds, self.now.unix_ms + int(seconds * 1000))

    def create(self, **fields: object) -> None:
        """Make the network."""
        self.service.create_network(NETWORK, ADDRESSING | fields)

    def ask(self, number: int, **entries: object) -> PacketId:
        """Have a node ask for its configuration; return the id of its packet."""
        self._packets += 1
        packet_id = PacketId(self._packets)
        event = ConfigRequested(NETWORK, member(number), metadata(**entries), packet_id)
        self.service.request(event)
        return packet_id

    def set_member(self, number: int, **fields: object) -> None:
        """Change a member by the REST API's fields."""
        self.service.update_member(NETWORK, member(number).address, dict(fields))

    def last_config(self) -> NetworkConfig:
        """Return what was sent last."""
        return self.core.configs[-1].config
