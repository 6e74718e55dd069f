"""What a controller answers: records and a request in.

A configuration or a refusal out (wire.adoc#controller).

Pure: no storage, no clock, no chance of its own. Who stores and who sends is none of its business.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_interface
from typing import Final

from ztlink.controller.records import MAX_ASSIGNMENTS, MemberRecord, NetworkRecord, Pool
from ztlink.crypto.identity import sign
from ztlink.derive import rfc4193_address, sixplane_address
from ztlink.errors import WireError
from ztlink.ids import Address, IpAddress, IpInterface, NetworkId
from ztlink.wire.credentials import (
    Capability,
    CertificateOfOwnership,
    Com,
    CredentialType,
    Custody,
    Revocation,
    Tag,
    Thing,
)
from ztlink.wire.dictionary import Dictionary
from ztlink.wire.identity import Identity, SecretIdentity
from ztlink.wire.netconf import (
    MAX_ADDRESSES,
    MAX_CONFIG_SIZE,
    MAX_SPECIALISTS,
    MAX_TAGS,
    ConfigFlag,
    Dns,
    NetworkConfig,
    NetworkType,
    Route,
    Specialist,
    SpecialistRole,
)
from ztlink.wire.network import ConfigChunk
from ztlink.wire.rules import Rule, RuleType
from ztlink.wire.verbs import ErrorCode

CREDENTIAL_MAX_DELTA: Final = 1_800_000
"""Milliseconds by which the certificates of two members may differ in age, unless the network says
otherwise; between the two that follow."""
LEAST_MAX_DELTA: Final = 300_000
MOST_MAX_DELTA: Final = 7_200_000
CHUNK_SIZE: Final = 9_740
MAX_TRIALS: Final = 1_000
MAX_THINGS: Final = 16
REVOKE_COM: Final = 0
FAST_PROPAGATE: Final = 1
_LAST_OCTET: Final = 0xFF
_ACCEPT: Final = (Rule(RuleType.ACTION_ACCEPT),)


@dataclass(frozen=True, slots=True)
class Request:
    """What a member says of itself."""

    identity: Identity
    version: tuple[int, int, int] = (0, 0, 0)
    protocol: int = 0
    has_rules_engine: bool = False
    token: str | None = None

    @classmethod
    def decode(cls, identity: Identity, metadata: bytes) -> "Request":
        """Read the dictionary of a request; nothing in it can be wrong enough to matter."""
        entries = Dictionary.decode(metadata)
        join_token = entries.get_bytes("a") or b""
        kind, _, secret = join_token.decode(errors="replace").partition(":")
        return cls(
            identity,
            (entries.get_uint("majv"), entries.get_uint("minv"), entries.get_uint("revv")),
            entries.get_uint("pv"),
            entries.get_uint("revr") >= 1,
            secret if kind == "token" and secret else None,
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What becomes of a request: the member's new record, and its configuration or the refusal."""

    member: MemberRecord
    config: NetworkConfig | None
    refusal: ErrorCode | None = None


def decide(
    network: NetworkRecord,
    member: MemberRecord | None,
    request: Request,
    used: Collection[IpAddress],
    bridges: Sequence[Address],
    unix_ms: int,
    random_bytes: Callable[[int], bytes],
) -> Answer:
    """Judge a request; `used` are the addresses that members of the network have."""
    record = _introduced(network, member, request, unix_ms)
    if record is None:
        assert member is not None
        return Answer(member, None, ErrorCode.NETWORK_ACCESS_DENIED)
    record = _authorize(network, record, request, unix_ms)
    if _must_log_in(network, record, unix_ms):
        return Answer(record, None, ErrorCode.NETWORK_AUTHENTICATION_REQUIRED)
    if not record.authorized:
        return Answer(record, None, ErrorCode.NETWORK_ACCESS_DENIED)
    record = _with_tags(network, record)
    record = _assign(network, record, used, random_bytes)
    return Answer(record, _config(network, record, request, bridges, unix_ms))


def _introduced(
    network: NetworkRecord, member: MemberRecord | None, request: Request, unix_ms: int
) -> MemberRecord | None:
    """Return the member's record with what it says of itself; None where it is another node."""
    identity, version, protocol = str(request.identity), request.version, request.protocol
    if member is None:
        return MemberRecord(
            network.network_id,
            request.identity.address,
            unix_ms,
            identity=identity,
            version=version,
            protocol=protocol,
            capabilities=tuple(c.capability_id for c in network.capabilities if c.is_default),
        )
    if member.identity and member.identity != identity:
        return None
    if (member.identity, member.version, member.protocol) == (identity, version, protocol):
        return member
    return replace(member, identity=identity, version=version, protocol=protocol)


def _config(
    network: NetworkRecord,
    record: MemberRecord,
    request: Request,
    bridges: Sequence[Address],
    unix_ms: int,
) -> NetworkConfig:
    rules = network.rules if request.has_rules_engine else _ACCEPT
    return NetworkConfig(
        network_id=network.network_id,
        timestamp=unix_ms,
        credential_time_max_delta=max_delta(network),
        revision=network.revision,
        issued_to=record.address,
        trace_target=record.trace_target or network.trace_target or Address(0),
        trace_level=record.trace_level or network.trace_level,
        flags=_flags(network, record),
        multicast_limit=network.multicast_limit,
        type=NetworkType.PRIVATE if network.private else NetworkType.PUBLIC,
        name=network.name.encode(),
        mtu=network.mtu,
        specialists=tuple(
            Specialist(bridge, SpecialistRole.ACTIVE_BRIDGE) for bridge in bridges[:MAX_SPECIALISTS]
        ),
        routes=tuple([Route(route.target, route.via) for route in network.routes]),
        addresses=managed_addresses(network, record),
        rules=rules,
        dns=Dns(network.dns_domain.encode(), network.dns_servers),
    )


def max_delta(network: NetworkRecord) -> int:
    """Return by how many milliseconds certificates of the network may differ."""
    wanted = network.credential_window_ms or CREDENTIAL_MAX_DELTA
    return min(max(wanted, LEAST_MAX_DELTA), MOST_MAX_DELTA)


def _must_log_in(network: NetworkRecord, record: MemberRecord, unix_ms: int) -> bool:
    """Tell whether single sign-on is wanted: nobody gets in by it, as there is no provider here."""
    return network.sso_enabled and not record.sso_exempt and record.authentication_expiry <= unix_ms


def _authorize(
    network: NetworkRecord, record: MemberRecord, request: Request, unix_ms: int
) -> MemberRecord:
    if record.authorized:
        return record
    if not network.private:
        return record.stamped(True, "public", None, unix_ms)
    expiry = dict(network.auth_tokens).get(request.token or "")
    if request.token and expiry is not None and (expiry == 0 or expiry > unix_ms):
        return record.stamped(True, "token", request.token, unix_ms)
    return record


def _with_tags(network: NetworkRecord, record: MemberRecord) -> MemberRecord:
    tags = dict(record.tags)
    for tag in network.tags:
        if tag.default is not None and len(tags) < MAX_TAGS:
            tags.setdefault(tag.tag_id, tag.default)
    if len(tags) == len(record.tags):
        return record
    return replace(record, tags=tuple(sorted(tags.items())))


def _flags(network: NetworkRecord, record: MemberRecord) -> ConfigFlag:
    flags = ConfigFlag(0)
    if network.enable_broadcast:
        flags |= ConfigFlag.BROADCAST
    if (network.v6_rfc4193 or network.v6_sixplane) and not record.no_auto_assign_ips:
        flags |= ConfigFlag.NDP_EMULATION
    return flags


# -- addresses -----------------------------------------------------------------------------------


def managed_addresses(network: NetworkRecord, record: MemberRecord) -> tuple[IpInterface, ...]:
    """Return a member's addresses with their prefixes: derived ones first, then assigned ones."""
    addresses: list[IpInterface] = []
    if not record.no_auto_assign_ips:
        if network.v6_rfc4193:
            addresses.append(rfc4193_address(network.network_id, record.address))
        if network.v6_sixplane:
            addresses.append(sixplane_address(network.network_id, record.address))
    for ip in record.ip_assignments:
        bits = _prefix_of(network, ip)
        if bits is not None:
            addresses.append(ip_interface((ip, bits)))
    return tuple(addresses[:MAX_ADDRESSES])


def _prefix_of(network: NetworkRecord, ip: IpAddress) -> int | None:
    """Return the longest prefix length among the routes that an address lies in."""
    lengths = [
        route.target.network.prefixlen
        for route in network.routes
        if route.target.version == ip.version and ip in route.target.network
    ]
    return max(lengths, default=None)


def _assign(
    network: NetworkRecord,
    record: MemberRecord,
    used: Collection[IpAddress],
    random_bytes: Callable[[int], bytes],
) -> MemberRecord:
    """Give a member an address of each family that it has none of, where the network wants so."""
    if record.no_auto_assign_ips:
        return record
    for version, wanted in ((6, network.v6_zt), (4, network.v4_zt)):
        has_one = any(
            ip.version == version and _prefix_of(network, ip) is not None
            for ip in record.ip_assignments
        )
        if not wanted or has_one or len(record.ip_assignments) >= MAX_ASSIGNMENTS:
            continue
        pools = [pool for pool in network.pools if pool.start.version == version]
        for pool in pools:
            found = (
                _free_v4(network, pool, record.address, used)
                if version == 4
                else _free_v6(network, pool, record.address, used, random_bytes)
            )
            if found is not None:
                record = replace(record, ip_assignments=(*record.ip_assignments, found))
                break
    return record


def _free_v4(
    network: NetworkRecord, pool: Pool, address: Address, used: Collection[IpAddress]
) -> IPv4Address | None:
    start, span = int(pool.start), int(pool.end) - int(pool.start)
    if start == 0:
        return None
    counter = address & 0xFFFF_FFFF
    for trial in range(min(MAX_TRIALS, span + 1)):
        ip = IPv4Address(start + ((counter + trial) % span if span else 0))
        if int(ip) & _LAST_OCTET == _LAST_OCTET or ip in used:
            continue
        if any(
            r.target.version == 4
            and r.target.network.prefixlen > 0
            and r.target.ip == r.target.network.network_address
            and ip in r.target.network
            for r in network.routes
        ):
            return ip
    return None


def _free_v6(
    network: NetworkRecord,
    pool: Pool,
    address: Address,
    used: Collection[IpAddress],
    random_bytes: Callable[[int], bytes],
) -> IPv6Address | None:
    mask = (1 << 64) - 1
    start, end = int(pool.start), int(pool.end)
    low_span = (end & mask) - (start & mask)
    for trial in range(MAX_TRIALS):
        if trial == 0 and low_span >= (1 << 40) - 1:
            ip = IPv6Address((start >> 64 << 64) | ((start & mask) + address & mask))
        else:
            high = _random_between(start >> 64, end >> 64, random_bytes)
            ip = IPv6Address(high << 64 | _random_between(start & mask, end & mask, random_bytes))
        in_route = any(
            r.via is None and r.target.version == 6 and ip in r.target.network
            for r in network.routes
        )
        if in_route and ip not in used:
            return ip
    return None


def _random_between(low: int, high: int, random_bytes: Callable[[int], bytes]) -> int:
    if high <= low:
        return low
    return low + int.from_bytes(random_bytes(8), "big") % (high - low)


# -- credentials and signatures ------------------------------------------------------------------


def endorse(
    config: NetworkConfig,
    network: NetworkRecord,
    member: MemberRecord,
    request: Request,
    signer: SecretIdentity,
) -> NetworkConfig:
    """Return the configuration with the member's credentials, freshly signed.

    A member without a rules engine gets no tags and no capabilities: it could not use them.
    """
    when, to, by = config.timestamp, member.address, signer.address
    bare_com = Com.issue(
        config.network_id, when, config.credential_time_max_delta, request.identity
    )
    com = Com(bare_com.qualifiers, by, sign(signer, bare_com.signing_input()))
    tags = []
    for number, value in member.tags if request.has_rules_engine else ():
        tag = Tag(config.network_id, when, number, value, to, by)
        tags.append(replace(tag, signature=sign(signer, tag.signing_input())))
    capabilities = []
    for entry in network.capabilities if request.has_rules_engine else ():
        if entry.capability_id in member.capabilities:
            bare = Capability(config.network_id, when, entry.capability_id, entry.rules)
            custody = Custody(to, by, sign(signer, bare.signing_input()))
            capabilities.append(replace(bare, custody=(custody,)))
    coos = []
    if config.addresses:
        things = tuple([Thing.of_ip(a.ip) for a in config.addresses[:MAX_THINGS]])
        coo = CertificateOfOwnership(config.network_id, when, 0, 1, things, to, by)
        coos.append(replace(coo, signature=sign(signer, coo.signing_input())))
    return replace(
        config, com=com, tags=tuple(tags), capabilities=tuple(capabilities), coos=tuple(coos)
    )


def chunks_of(config: NetworkConfig, update_id: int, signer: SecretIdentity) -> list[bytes]:
    """Return the signed pieces in which a configuration travels."""
    text = config.encode()
    if len(text) > MAX_CONFIG_SIZE:
        raise WireError(f"config: {len(text)} bytes, members take {MAX_CONFIG_SIZE}")
    bodies = []
    for index in range(0, len(text), CHUNK_SIZE):
        chunk = ConfigChunk(
            config.network_id,
            text[index : index + CHUNK_SIZE],
            update_id=update_id,
            total_size=len(text),
            index=index,
        )
        signed = replace(chunk, signature=sign(signer, chunk.signed_bytes()))
        bodies.append(signed.to_bytes())
    return bodies


def revoke(
    network_id: NetworkId,
    member: Address,
    revocation_id: int,
    unix_ms: int,
    signer: SecretIdentity,
) -> Revocation:
    """Return a revocation of a member's certificates up to now."""
    revocation = Revocation(
        revocation_id=revocation_id,
        network_id=network_id,
        credential_id=REVOKE_COM,
        threshold=unix_ms,
        flags=FAST_PROPAGATE,
        target=member,
        signer=signer.address,
        credential_type=CredentialType.COM,
    )
    return replace(revocation, signature=sign(signer, revocation.signing_input()))
