"""A controller in the world: answers the requests that its node's core passes on."""

from dataclasses import dataclass, field, replace
from ipaddress import IPv4Interface, IPv6Interface
from typing import Final

from tests.sim.node import SimNode
from ztlink.crypto.identity import sign
from ztlink.ids import Address, IpInterface, NetworkId, PacketId
from ztlink.node.core import Core
from ztlink.node.events import ConfigRequested, Event
from ztlink.wire.credentials import Com, CredentialType, Revocation
from ztlink.wire.identity import Identity
from ztlink.wire.netconf import ConfigFlag, NetworkConfig, NetworkType, Route
from ztlink.wire.network import ConfigChunk
from ztlink.wire.rules import Rule, RuleType
from ztlink.wire.verbs import ErrorCode

CREDENTIAL_DELTA_MS: Final = 1_800_000
ONLINE_WINDOW: Final = 120.0
"""Seconds since its last request for which a member counts as online."""
CHUNK_SIZE: Final = 9_740
REVOCATION_FAST_PROPAGATE: Final = 1


@dataclass(slots=True)
class _Member:
    identity: Identity
    number: int
    is_authorised: bool = False
    last_request: float = float("-inf")


@dataclass(slots=True)
class _Network:
    network_id: NetworkId
    is_private: bool
    members: dict[Address, _Member] = field(default_factory=dict)
    authorised: dict[Address, None] = field(default_factory=dict)
    """May hold members that never asked yet."""


class SimController:
    """Networks and members in memory, on top of one node whose core serves as a controller."""

    def __init__(self, node: SimNode, *, answer_delay: float = 0.005) -> None:
        self.node = node
        self.answer_delay = answer_delay
        self._networks: dict[NetworkId, _Network] = {}
        self._last_timestamp = 0
        node.on_event = self._take

    def create(self, number: int = 1, *, is_private: bool = True) -> NetworkId:
        """Make a network."""
        network_id = NetworkId(self.node.address << 24 | number)
        self._networks[network_id] = _Network(network_id, is_private)
        return network_id

    def authorise(self, network_id: NetworkId, member: Address) -> None:
        """Let a member in; it learns of it when it asks next."""
        self._networks[network_id].authorised[member] = None

    def deauthorise(self, network_id: NetworkId, member: Address) -> None:
        """Shut a member out: everybody online is told that its certificate is void."""
        network = self._networks[network_id]
        network.authorised.pop(member, None)
        unsigned = Revocation(
            revocation_id=int.from_bytes(self.node.chance.randbytes(4), "big"),
            network_id=network_id,
            credential_id=0,
            threshold=self._timestamp(),
            flags=REVOCATION_FAST_PROPAGATE,
            target=member,
            signer=self.node.address,
            credential_type=CredentialType.COM,
        )
        revocation = replace(unsigned, signature=self._sign(unsigned.signing_input()))
        online = self.online(network_id)
        self._core().send_revocation(online, revocation, self.node.clock.now())
        self.node.drain()

    def online(self, network_id: NetworkId) -> list[Address]:
        """Return the members that asked lately."""
        since = self.node.world.time - ONLINE_WINDOW
        members = self._networks[network_id].members
        return [address for address, m in members.items() if m.last_request >= since]

    def push(self, network_id: NetworkId) -> None:
        """Send a fresh configuration to every member online, unasked."""
        network = self._networks[network_id]
        for address in self.online(network_id):
            if self._is_welcome(network, address):
                self._answer(network, network.members[address], None)

    # -- requests ----------------------------------------------------------------------------

    def _take(self, event: Event) -> None:
        if isinstance(event, ConfigRequested):
            self.node.world.schedule.after(self.answer_delay, lambda: self._handle(event))

    def _handle(self, request: ConfigRequested) -> None:
        if not self.node.is_running:
            return
        network = self._networks.get(request.network_id)
        if network is None:
            self._refuse(request, ErrorCode.OBJ_NOT_FOUND)
            return
        address = request.member.address
        number = len(network.members) + 1
        member = network.members.setdefault(address, _Member(request.member, number))
        member.last_request = self.node.world.time
        if member.identity != request.member or not self._is_welcome(network, address):
            self._refuse(request, ErrorCode.NETWORK_ACCESS_DENIED)
        else:
            self._answer(network, member, request.packet_id)

    def _is_welcome(self, network: _Network, member: Address) -> bool:
        return not network.is_private or member in network.authorised

    def _refuse(self, request: ConfigRequested, code: ErrorCode) -> None:
        self._core().send_config_error(
            request.member.address,
            request.network_id,
            request.packet_id,
            code,
            self.node.clock.now(),
        )
        self.node.drain()

    def _answer(self, network: _Network, member: _Member, packet_id: PacketId | None) -> None:
        config = self._config(network, member)
        chunks = self._chunks(network.network_id, config.encode())
        self._core().send_config(
            member.identity.address,
            network.network_id,
            chunks,
            packet_id,
            self.node.clock.now(),
        )
        self.node.drain()

    def _config(self, network: _Network, member: _Member) -> NetworkConfig:
        timestamp = self._timestamp()
        com = Com.issue(network.network_id, timestamp, CREDENTIAL_DELTA_MS, member.identity)
        signature = self._sign(com.signing_input())
        ipv6 = bytes([0xFD]) + network.network_id.to_bytes(8, "big") + b"\x99\x93"
        ipv6 += member.identity.address.to_bytes(5, "big")
        addresses: tuple[IpInterface, ...] = (
            IPv4Interface(f"10.147.{member.number >> 8}.{member.number & 0xFF}/16"),
            IPv6Interface((ipv6, 88)),
        )
        return NetworkConfig(
            network_id=network.network_id,
            timestamp=timestamp,
            credential_time_max_delta=CREDENTIAL_DELTA_MS,
            revision=1,
            issued_to=member.identity.address,
            flags=ConfigFlag.BROADCAST | ConfigFlag.NDP_EMULATION,
            multicast_limit=32,
            type=NetworkType.PRIVATE if network.is_private else NetworkType.PUBLIC,
            name=b"sim",
            com=replace(com, signer=self.node.address, signature=signature),
            routes=(Route(IPv4Interface("10.147.0.0/16")),),
            addresses=addresses,
            rules=(Rule(RuleType.ACTION_ACCEPT),),
        )

    def _chunks(self, network_id: NetworkId, text: bytes) -> list[bytes]:
        update_id = int.from_bytes(self.node.chance.randbytes(8), "big") | 1
        chunks: list[bytes] = []
        for index in range(0, len(text), CHUNK_SIZE):
            data = text[index : index + CHUNK_SIZE]
            chunk = ConfigChunk(
                network_id, data, update_id=update_id, total_size=len(text), index=index
            )
            chunks.append(replace(chunk, signature=self._sign(chunk.signed_bytes())).to_bytes())
        return chunks

    def _timestamp(self) -> int:
        """Return the wall clock's time, but never an earlier one than before."""
        self._last_timestamp = max(self._last_timestamp + 1, self.node.clock.now().unix_ms)
        return self._last_timestamp

    def _sign(self, message: bytes) -> bytes:
        return sign(self.node.identity, message)

    def _core(self) -> Core:
        core = self.node.core
        assert isinstance(core, Core)
        return core
