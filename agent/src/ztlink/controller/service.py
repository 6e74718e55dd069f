"""A running controller: answers requests, keeps records, pushes changes at once."""

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from ztlink.clock import Now
from ztlink.controller.asked import Askers
from ztlink.controller.decide import Request, chunks_of, decide, endorse, revoke
from ztlink.controller.fields import FieldError
from ztlink.controller.push import Command, CorePort, Key, PushQueue
from ztlink.controller.records import MemberRecord, NetworkRecord
from ztlink.controller.store import ControllerStore, Seen
from ztlink.controller.tally import Tally
from ztlink.drivers.chance import random_bytes
from ztlink.errors import ConfigError, WireError
from ztlink.ids import (
    Address,
    IpAddress,
    NetworkId,
    PacketId,
    format_address,
    format_network_id,
    is_reserved,
)
from ztlink.node.core import Core
from ztlink.node.events import ConfigRequested
from ztlink.wire.credentials import Revocation
from ztlink.wire.identity import Identity, SecretIdentity
from ztlink.wire.verbs import ErrorCode

logger = logging.getLogger(__name__)

CEILING_STEP: Final = 10_000
"""Milliseconds by which the time up to which credentials may be issued is kept ahead on disk."""
MAX_STRANGERS: Final = 10_000
"""Records of members that nobody authorised, in all: every stranger could make one."""
SEEN_INTERVAL: Final = 5.0
"""Seconds after which it is written who asked, with the next request."""
SEEN_BATCH: Final = 16
"""Members after which it is written at any rate."""
SEEN_LIFETIME_MS: Final = 300_000
"""Milliseconds for which a member is taken to be online still when the controller starts anew."""
REVOCATION_SLICE: Final = 16
"""Members that are told of a revocation by one command."""


def _at_once(run: Callable[[], None]) -> None:
    run()


class ControllerService:
    """One controller; for one thread."""

    def __init__(
        self,
        identity: SecretIdentity,
        store: ControllerStore,
        pump: CorePort,
        read_clock: Callable[[], Now],
        random_bytes: Callable[[int], bytes] = random_bytes,
        later: Callable[[Callable[[], None]], object] = _at_once,
    ) -> None:
        """Make it; `later` is called in the pump's thread, and calls back in that of ours."""
        self.identity = identity
        self.tally = Tally()
        self._store = store
        self._pump = pump
        self._read_clock = read_clock
        self._random_bytes = random_bytes
        self._last_timestamp = self._ceiling = store.ceiling()
        self._askers = Askers()
        self._pushes = PushQueue(pump, self._compose_push, later)
        self._seen: dict[Key, Seen] = {}
        """Who asked since that was last written."""
        self._seen_written = read_clock().mono
        self._load()
        self._assume_online()

    def _assume_online(self) -> None:
        """Have changes pushed to those that were online when the controller ended."""
        now = self._read_clock()
        for network_id, address, _, rules in self._store.seen_since(now.unix_ms - SEEN_LIFETIME_MS):
            member = self.members.get(network_id, {}).get(address)
            if member is not None and member.identity:
                with suppress(WireError):  # a file of the original may have had any text there
                    identity = Identity.from_text(member.identity)
                    request = Request(identity, member.version, member.protocol, rules)
                    self._askers.assume(network_id, request, now)

    def _note_seen(self, seen: Seen, now: Now, *, is_news: bool) -> None:
        """Note who asked, and write it: at once if it was not online, else with others."""
        self._seen[seen.network_id, seen.address] = seen
        is_due = now.mono - self._seen_written >= SEEN_INTERVAL
        if is_news or is_due or len(self._seen) >= SEEN_BATCH:
            self._write_seen()

    def _write_seen(self) -> None:
        """Keep who asked; without it, members would hear of changes a minute late after a start."""
        self._seen_written = self._read_clock().mono
        try:
            self._store.put_seen(self._seen.values())
        except ConfigError as error:
            logger.warning("it is not kept who is online error=%s", error)
        else:
            self._seen.clear()

    def _load(self) -> None:
        self.networks: dict[NetworkId, NetworkRecord] = {}
        self.members: dict[NetworkId, dict[Address, MemberRecord]] = {}
        self._used: dict[NetworkId, dict[IpAddress, Address]] = {}
        self._active_bridges: dict[NetworkId, set[Address]] = {}
        self._strangers = 0
        for network in self._store.networks():
            self._keep_network(network)
        for member in self._store.members():
            if member.network_id in self.networks:
                self._keep_member(self._with_own_addresses(member))

    def _with_own_addresses(self, member: MemberRecord) -> MemberRecord:
        """Return the record without addresses that another has: the original does not look."""
        used = self._used[member.network_id]
        own = tuple([ip for ip in member.ip_assignments if ip not in used])
        if len(own) == len(member.ip_assignments):
            return member
        logger.warning(
            "network=%s member=%s has addresses of others, which it loses addresses=%s",
            format_network_id(member.network_id),
            format_address(member.address),
            [str(ip) for ip in member.ip_assignments if ip in used],
        )
        changed = replace(member, ip_assignments=own, revision=member.revision + 1)
        self._store.put_member(changed)
        return changed

    def close(self) -> None:
        """Close the database."""
        self._write_seen()
        self._store.close()

    def waiting(self) -> int:
        """Return how many members wait for a configuration that they are to be sent unasked."""
        return len(self._pushes)

    def member_texts(self, network_id: NetworkId) -> list[str]:
        """Return the members of a network as JSON each, by address."""
        return self._store.member_texts(network_id)

    # -- requests ----------------------------------------------------------------------------

    def request(self, event: ConfigRequested) -> None:
        """Answer a member that asks for its configuration."""
        now = self._read_clock()
        network_id, address = event.network_id, event.member.address
        network = self.networks.get(network_id)
        if network is None:
            if self._askers.note_stray(network_id, address, now):
                self._refuse(network_id, address, event.packet_id, ErrorCode.OBJ_NOT_FOUND)
            return
        request = Request.decode(event.member, event.metadata)
        was_online = self._askers.last(network_id, address, now) is not None
        if self._askers.note(network_id, request, now):
            self.tally.requests += 1
            self._pump.submit(self._answer(network, request, event.packet_id))
            seen = Seen(network_id, address, now.unix_ms, request.has_rules_engine)
            self._note_seen(seen, now, is_news=not was_online)

    def _answer(
        self, network: NetworkRecord, request: Request, in_reply_to: PacketId | None
    ) -> Command:
        """Judge a request, keep what came of it, and return the command that tells the member."""
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
        if answer.member is not known and (answer.member.authorized or has_room):
            self._save_member(_revised(answer.member, known))
        if answer.config is None:
            code = answer.refusal or ErrorCode.NETWORK_ACCESS_DENIED
            return _refusal(network.network_id, address, in_reply_to, code)
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
            code = ErrorCode.OBJ_NOT_FOUND
            return _refusal(network.network_id, address, in_reply_to, code)
        return lambda core, now: core.send_config(
            address, network.network_id, chunks, in_reply_to, now
        )

    def _refuse(
        self, network_id: NetworkId, member: Address, in_reply_to: PacketId, code: ErrorCode
    ) -> None:
        self._pump.submit(_refusal(network_id, member, in_reply_to, code))

    def _timestamp(self) -> int:
        """Return the time for credentials; were it to go back, peers would refuse them."""
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
        self._save_network(network)
        return network

    def update_network(self, network_id: NetworkId, body: dict[str, Any]) -> NetworkRecord:
        """Change a network and tell its members; made where there is none."""
        known = self.networks.get(network_id)
        if known is None:
            return self.create_network(network_id, body)
        network = known.updated(body)
        if network != known:
            network = replace(network, revision=known.revision + 1)
            self._save_network(network)
            self._push_to_all(network_id)
        return network

    def delete_network(self, network_id: NetworkId) -> NetworkRecord | None:
        """Forget a network; its members' certificates are revoked."""
        network = self.networks.get(network_id)
        if network is None:
            return None
        self._store.delete_network(network_id)
        self.tally.network_changes += 1
        members = self.members.pop(network_id)
        del self.networks[network_id], self._used[network_id], self._active_bridges[network_id]
        self._strangers -= sum(not member.authorized for member in members.values())
        # The certificates of others are void already.
        self._revoke(network_id, [a for a, member in members.items() if member.authorized])
        self._askers.forget(network_id)
        return network

    def update_member(
        self, network_id: NetworkId, address: Address, body: dict[str, Any]
    ) -> MemberRecord:
        """Change a member, made where there is none, and tell whom it concerns at once."""
        if is_reserved(address):
            raise FieldError(f"address: {format_address(address)} is not one that a node may have")
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
            self._revoke(network_id, [address])
        if changed.active_bridge != record.active_bridge:
            self._push_to_all(network_id)
        else:
            self._pushes.push([(network_id, address)])
        return changed

    def delete_member(self, network_id: NetworkId, address: Address) -> MemberRecord | None:
        """Forget a member; its certificate is revoked if it had one."""
        known = self.members[network_id].get(address)
        if known is None:
            return None
        self._store.delete_member(network_id, address)
        self.tally.member_changed(known.authorized, False)
        del self.members[network_id][address]
        self._strangers -= not known.authorized
        for ip in known.ip_assignments:
            self._used[network_id].pop(ip, None)
        if known.authorized:
            self._revoke(network_id, [address])
        if known.active_bridge:
            self._active_bridges[network_id].discard(address)
            self._push_to_all(network_id)
        return known

    def restore(self, file: Path) -> None:
        """Take over the records of a copy, and tell members what that changes for them."""
        before = self.members
        self._store.restore(file)
        self._load()
        for network_id, members in before.items():
            now_in = self.members.get(network_id, {})
            out = [a for a, m in members.items() if m.authorized and not _is_in(now_in.get(a))]
            self._revoke(network_id, out)
        for network_id in self.networks:
            self._push_to_all(network_id)

    def _check_assignments(self, member: MemberRecord) -> None:
        for ip in member.ip_assignments:
            holder = self._used[member.network_id].get(ip)
            if holder is not None and holder != member.address:
                raise FieldError(f"ipAssignments: {ip} belongs to {format_address(holder)}")

    # -- telling -----------------------------------------------------------------------------

    def _push_to_all(self, network_id: NetworkId) -> None:
        """Send fresh configurations to the members that are online."""
        online = self._askers.online(network_id, self._read_clock())
        self._pushes.push([(network_id, address) for address in online])

    def _compose_push(self, key: Key) -> Command | None:
        """Return a member's configuration of now; None unless it is online and authorised."""
        network_id, address = key
        network = self.networks.get(network_id)
        request = self._askers.last(network_id, address, self._read_clock())
        if network is None or request is None or not _is_in(self.members[network_id].get(address)):
            return None
        return self._answer(network, request, None)

    def _revoke(self, network_id: NetworkId, targets: list[Address]) -> None:
        """Void certificates: the targets are told, and all that they could be shown to."""
        now = self._read_clock()
        online = self._askers.online(network_id, now)
        for target in targets:  # it believes only the answer to a question of its own
            self._askers.invite(network_id, target, now)
        # Of now: what is issued while the revocations wait for their turn is not meant.
        self._pushes.send(self._revocations(network_id, targets, self._timestamp(), online))

    def _revocations(
        self, network_id: NetworkId, targets: list[Address], unix_ms: int, online: list[Address]
    ) -> Iterator[Command]:
        code = ErrorCode.NETWORK_ACCESS_DENIED
        for target in targets:
            number = int.from_bytes(self._random_bytes(4), "big")
            revocation = revoke(network_id, target, number, unix_ms, self.identity)
            yield _refusal(network_id, target, PacketId(0), code)
            for index in range(0, len(online), REVOCATION_SLICE):
                told = online[index : index + REVOCATION_SLICE]
                yield partial(_send_revocation, told, revocation)

    # -- records -----------------------------------------------------------------------------

    def _save_network(self, network: NetworkRecord) -> None:
        self._store.put_network(network)
        self.tally.network_changes += 1
        self._keep_network(network)

    def _keep_network(self, network: NetworkRecord) -> None:
        self.networks[network.network_id] = network
        self.members.setdefault(network.network_id, {})
        self._used.setdefault(network.network_id, {})
        self._active_bridges.setdefault(network.network_id, set())

    def _save_member(self, member: MemberRecord) -> None:
        self._store.put_member(member)  # first: what cannot be kept does not count
        known = self.members[member.network_id].get(member.address)
        self.tally.member_changed(_is_in(known), member.authorized)
        self._keep_member(member)

    def _keep_member(self, member: MemberRecord) -> None:
        members, used = self.members[member.network_id], self._used[member.network_id]
        known = members.get(member.address)
        for ip in known.ip_assignments if known else ():
            del used[ip]
        for ip in member.ip_assignments:
            used[ip] = member.address
        self._strangers += (not member.authorized) - (known is not None and not known.authorized)
        bridges = self._active_bridges[member.network_id]
        (bridges.add if member.active_bridge else bridges.discard)(member.address)
        members[member.address] = member


def _is_in(member: MemberRecord | None) -> bool:
    return member is not None and member.authorized


def _revised(member: MemberRecord, known: MemberRecord | None) -> MemberRecord:
    return member if known is None else replace(member, revision=known.revision + 1)


def _refusal(
    network_id: NetworkId, member: Address, in_reply_to: PacketId | None, code: ErrorCode
) -> Command:
    """Return the command that refuses a request; who has not asked is told nothing."""
    if in_reply_to is None:
        return lambda core, now: None
    return lambda core, now: core.send_config_error(member, network_id, in_reply_to, code, now)


def _send_revocation(members: list[Address], revocation: Revocation, core: Core, now: Now) -> None:
    core.send_revocation(members, revocation, now)
