"""A running controller: answers requests, keeps records, pushes changes at once."""

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, Final, Protocol, TypeVar

from ztlink.clock import Now
from ztlink.controller.decide import Request, chunks_of, decide, endorse, revoke
from ztlink.controller.fields import FieldError
from ztlink.controller.records import MemberRecord, NetworkRecord
from ztlink.controller.store import ControllerStore
from ztlink.drivers.chance import random_bytes
from ztlink.errors import WireError
from ztlink.ids import (
    Address,
    IpAddress,
    NetworkId,
    PacketId,
    format_address,
    format_network_id,
)
from ztlink.node.core import Core
from ztlink.node.events import ConfigRequested
from ztlink.wire.identity import SecretIdentity
from ztlink.wire.verbs import ErrorCode

logger = logging.getLogger(__name__)

ONLINE_WINDOW: Final = 120.0
MIN_REQUEST_INTERVAL: Final = 1.0
"""Seconds between requests of one member for one network that are answered; pushes are exempt."""
CEILING_STEP: Final = 10_000
"""Milliseconds by which the time up to which credentials may be issued is kept ahead on disk."""
MAX_STRANGERS: Final = 10_000
"""Records of members that nobody authorised, in all: every stranger could make one."""

T = TypeVar("T")


class CorePort(Protocol):
    """What the controller needs of the pump."""

    def submit(self, command: Callable[[Core, Now], T]) -> "Future[T]":
        """Run a command on the core."""


class ControllerService:
    """One controller; for one thread."""

    def __init__(
        self,
        identity: SecretIdentity,
        store: ControllerStore,
        pump: CorePort,
        read_clock: Callable[[], Now],
        random_bytes: Callable[[int], bytes] = random_bytes,
    ) -> None:
        self.identity = identity
        self._store = store
        self._pump = pump
        self._read_clock = read_clock
        self._random_bytes = random_bytes
        self._last_timestamp = self._ceiling = store.ceiling()
        self.networks: dict[NetworkId, NetworkRecord] = {}
        self.members: dict[NetworkId, dict[Address, MemberRecord]] = {}
        self._used: dict[NetworkId, dict[IpAddress, Address]] = {}
        self._requests: dict[tuple[NetworkId, Address], tuple[float, Request]] = {}
        """When each member last asked, and what it said; the longest silent first."""
        self._active_bridges: dict[NetworkId, set[Address]] = {}
        self._strangers = 0
        for network in store.networks():
            self._keep_network(network)
        for member in store.members():
            if member.network_id in self.networks:
                self._keep_member(member)

    def close(self) -> None:
        """Close the database."""
        self._store.close()

    # -- requests ----------------------------------------------------------------------------

    def request(self, event: ConfigRequested) -> None:
        """Answer a member that asks for its configuration."""
        now = self._read_clock()
        address = event.member.address
        key = (event.network_id, address)
        last = self._requests.get(key)
        if last is not None and now.mono - last[0] < MIN_REQUEST_INTERVAL:
            return
        request = Request.decode(event.member, event.metadata)
        self._requests.pop(key, None)
        self._requests[key] = (now.mono, request)
        self._forget_silent(now)
        network = self.networks.get(event.network_id)
        if network is None:
            self._refuse(event.network_id, address, event.packet_id, ErrorCode.OBJ_NOT_FOUND)
            return
        self._answer(network, request, event.packet_id)

    def _forget_silent(self, now: Now) -> None:
        """Drop those that no push would reach any more; they stand first."""
        while self._requests:
            key, (time, _) = next(iter(self._requests.items()))
            if now.mono - time <= ONLINE_WINDOW:
                return
            del self._requests[key]

    def _is_authorized(self, network_id: NetworkId, address: Address) -> bool:
        member = self.members[network_id].get(address)
        return member is not None and member.authorized

    def _answer(
        self, network: NetworkRecord, request: Request, in_reply_to: PacketId | None
    ) -> None:
        address = request.identity.address
        known = self.members[network.network_id].get(address)
        answer = decide(
            network,
            known,
            request,
            self._used[network.network_id],
            sorted(self._active_bridges[network.network_id]),
            self._timestamp(),
            self._random_bytes,
        )
        has_room = known is not None or self._strangers < MAX_STRANGERS
        if answer.member != known and (answer.member.authorized or has_room):
            self._save_member(answer.member)
        if answer.config is None:
            code = answer.refusal or ErrorCode.NETWORK_ACCESS_DENIED
            self._refuse(network.network_id, address, in_reply_to, code)
            return
        update_id = int.from_bytes(self._random_bytes(8), "big") or 1
        try:
            config = endorse(answer.config, network, answer.member, request, self.identity)
            chunks = chunks_of(config, update_id, self.identity)
        except WireError as error:
            logger.warning(
                "network=%s member=%s cannot be configured error=%s",
                format_network_id(network.network_id),
                format_address(address),
                error,
            )
            self._refuse(network.network_id, address, in_reply_to, ErrorCode.OBJ_NOT_FOUND)
            return
        self._pump.submit(
            lambda core, now: core.send_config(
                address, network.network_id, chunks, in_reply_to, now
            )
        )

    def _refuse(
        self,
        network_id: NetworkId,
        member: Address,
        in_reply_to: PacketId | None,
        code: ErrorCode,
    ) -> None:
        if in_reply_to is not None:
            self._pump.submit(
                lambda core, now: core.send_config_error(member, network_id, in_reply_to, code, now)
            )

    def _timestamp(self) -> int:
        """Return the time for credentials: it never goes back.

        Or peers would refuse them as old.
        """
        timestamp = max(self._last_timestamp + 1, self._read_clock().unix_ms)
        if timestamp > self._ceiling:
            self._store.raise_ceiling(timestamp + CEILING_STEP)
            self._ceiling = timestamp + CEILING_STEP
        self._last_timestamp = timestamp
        return timestamp

    # -- changes -----------------------------------------------------------------------------

    def create_network(self, network_id: NetworkId | None, body: dict[str, Any]) -> NetworkRecord:
        """Make a network; None draws a number for it."""
        while network_id is None or network_id in self.networks:
            number = int.from_bytes(self._random_bytes(3), "big") or 1
            network_id = NetworkId(self.identity.address << 24 | number)
        bare = NetworkRecord(network_id, self._read_clock().unix_ms)
        network = bare.updated(body)
        self._store.put_network(network)
        self._keep_network(network)
        return network

    def update_network(self, network_id: NetworkId, body: dict[str, Any]) -> NetworkRecord:
        """Change a network and tell its members; made where there is none."""
        known = self.networks.get(network_id)
        if known is None:
            return self.create_network(network_id, body)
        network = known.updated(body)
        if network != known:
            network = replace(network, revision=known.revision + 1)
            self._store.put_network(network)
            self._keep_network(network)
            self._push(network, list(self.members[network_id]))
        return network

    def delete_network(self, network_id: NetworkId) -> NetworkRecord | None:
        """Forget a network; its members' certificates are revoked."""
        network = self.networks.get(network_id)
        if network is None:
            return None
        self._store.delete_network(network_id)
        for address, member in self.members.pop(network_id).items():
            if member.authorized:  # the certificates of others are void already
                self._revoke(network, address)
            self._strangers -= not member.authorized
        del self.networks[network_id], self._used[network_id], self._active_bridges[network_id]
        return network

    def update_member(
        self, network_id: NetworkId, address: Address, body: dict[str, Any]
    ) -> MemberRecord:
        """Change a member, made where there is none, and tell whom it concerns at once."""
        network = self.networks[network_id]
        unix_ms = self._timestamp()
        known = self.members[network_id].get(address)
        record = known or MemberRecord(network_id, address, unix_ms)
        changed = record.updated(body, unix_ms)
        self._check_assignments(changed)
        if changed == known:
            return changed
        if known is not None:
            changed = replace(changed, revision=known.revision + 1)
        self._save_member(changed)
        if record.authorized and not changed.authorized:
            self._revoke(network, address)
        if changed.active_bridge != record.active_bridge:
            self._push(network, list(self.members[network_id]))
        else:
            self._push(network, [address])
        return changed

    def delete_member(self, network_id: NetworkId, address: Address) -> MemberRecord | None:
        """Forget a member; its certificate is revoked if it had one."""
        known = self.members[network_id].get(address)
        if known is None:
            return None
        self._store.delete_member(network_id, address)
        del self.members[network_id][address]
        self._strangers -= not known.authorized
        for ip in known.ip_assignments:
            self._used[network_id].pop(ip, None)
        network = self.networks[network_id]
        if known.authorized:
            self._revoke(network, address)
        if known.active_bridge:
            self._active_bridges[network_id].discard(address)
            self._push(network, list(self.members[network_id]))
        return known

    def _check_assignments(self, member: MemberRecord) -> None:
        for ip in member.ip_assignments:
            holder = self._used[member.network_id].get(ip)
            if holder is not None and holder != member.address:
                raise FieldError(f"ipAssignments: {ip} belongs to {format_address(holder)}")

    # -- telling -----------------------------------------------------------------------------

    def _online(self, network_id: NetworkId) -> list[Address]:
        """Return the nodes that asked for the network lately."""
        self._forget_silent(self._read_clock())
        return [address for network, address in self._requests if network == network_id]

    def _push(self, network: NetworkRecord, addresses: Iterable[Address]) -> None:
        """Send fresh configurations to those of the members that are online and authorised."""
        self._forget_silent(self._read_clock())
        for address in addresses:
            asked = self._requests.get((network.network_id, address))
            if asked is not None and self._is_authorized(network.network_id, address):
                self._answer(network, asked[1], None)

    def _revoke(self, network: NetworkRecord, member: Address) -> None:
        revocation = revoke(
            network,
            member,
            int.from_bytes(self._random_bytes(4), "big"),
            self._timestamp(),
            self.identity,
        )
        members = list(self._online(network.network_id))
        self._pump.submit(lambda core, now: core.send_revocation(members, revocation, now))
        self._pump.submit(
            lambda core, now: core.send_config_error(
                member,
                network.network_id,
                PacketId(0),
                ErrorCode.NETWORK_ACCESS_DENIED,
                now,
            )
        )

    # -- records -----------------------------------------------------------------------------

    def _keep_network(self, network: NetworkRecord) -> None:
        self.networks[network.network_id] = network
        self.members.setdefault(network.network_id, {})
        self._used.setdefault(network.network_id, {})
        self._active_bridges.setdefault(network.network_id, set())

    def _save_member(self, member: MemberRecord) -> None:
        self._store.put_member(member)  # first: what cannot be kept does not count
        self._keep_member(member)

    def _keep_member(self, member: MemberRecord) -> None:
        members, used = self.members[member.network_id], self._used[member.network_id]
        known = members.get(member.address)
        for ip in known.ip_assignments if known else ():
            used.pop(ip, None)
        for ip in member.ip_assignments:
            used[ip] = member.address
        self._strangers += (not member.authorized) - (known is not None and not known.authorized)
        bridges = self._active_bridges[member.network_id]
        (bridges.add if member.active_bridge else bridges.discard)(member.address)
        members[member.address] = member
