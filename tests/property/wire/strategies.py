"""Hypothesis strategies for every message, and the list of all decoders."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import TypeVar

from hypothesis import strategies as st

from ztlink.ids import Address, Endpoint, Mac, MulticastGroup, NetworkId, PacketId
from ztlink.wire.buffer import Reader
from ztlink.wire.compress import decompress
from ztlink.wire.control import (
    DirectPath,
    Echo,
    Error,
    Hello,
    HelloMoon,
    Nop,
    OkHeader,
    OkHello,
    OkWhois,
    PushDirectPaths,
    Rendezvous,
    Whois,
)
from ztlink.wire.credentials import (
    Capability,
    CertificateOfOwnership,
    Com,
    Custody,
    Qualifier,
    Revocation,
    Tag,
    Thing,
)
from ztlink.wire.dictionary import Dictionary
from ztlink.wire.identity import Identity
from ztlink.wire.inet_address import pull_endpoint, pull_interface
from ztlink.wire.known_peer import KnownPeer
from ztlink.wire.message import Message
from ztlink.wire.netconf import (
    MAX_MTU,
    MIN_MTU,
    ConfigFlag,
    Dns,
    NetworkConfig,
    NetworkType,
    Route,
    Specialist,
    SpecialistRole,
    Sso,
)
from ztlink.wire.network import (
    ConfigAck,
    ConfigChunk,
    ExtFrame,
    Frame,
    GatherResults,
    Like,
    MulticastFrame,
    MulticastGather,
    MulticastLike,
    NetworkConfigRequest,
    NetworkCredentials,
    OkExtFrame,
    OkMulticastFrame,
    OkMulticastGather,
)
from ztlink.wire.rules import (
    Field,
    Forward,
    Icmp,
    IntegerRange,
    MacMatch,
    Number,
    Opaque,
    Prefix,
    Range,
    Rule,
    RuleType,
    TagMatch,
    Tos,
    decode_rules,
)
from ztlink.wire.user import (
    PathNegotiationRequest,
    QosMeasurement,
    QosRecord,
    RemoteTrace,
    UserMessage,
)
from ztlink.wire.world import Root, World, WorldType

T = TypeVar("T")


def uints(size: int) -> st.SearchStrategy[int]:
    return st.integers(0, (1 << 8 * size) - 1)


def fixed(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


def tuples_of(values: st.SearchStrategy[T], most: int = 4) -> st.SearchStrategy[tuple[T, ...]]:
    return st.lists(values, max_size=most).map(tuple)


addresses = uints(5).map(Address)
some_addresses = st.integers(1, (1 << 40) - 1).map(Address)
network_ids = uints(8).map(NetworkId)
packet_ids = uints(8).map(PacketId)
macs = fixed(6).map(Mac)
groups = st.builds(MulticastGroup, macs, uints(4))
ips = st.one_of(uints(4).map(IPv4Address), uints(16).map(IPv6Address))
endpoints = st.builds(Endpoint, ips, uints(2))
interfaces = st.one_of(
    st.builds(lambda ip, bits: IPv4Interface((ip, bits)), uints(4), st.integers(0, 32)),
    st.builds(lambda ip, bits: IPv6Interface((ip, bits)), uints(16), st.integers(0, 128)),
)
versions = st.tuples(uints(1), uints(1), uints(2))
wide_versions = st.tuples(uints(2), uints(2), uints(2))
identities = st.builds(Identity, addresses, fixed(64))

# -- worlds and control messages -----------------------------------------------------------------

roots = st.builds(Root, identities, tuples_of(st.none() | endpoints))
worlds = st.builds(
    World,
    st.sampled_from(WorldType),
    uints(8),
    uints(8),
    fixed(64),
    fixed(96),
    tuples_of(roots, most=2),
)
full_hellos = st.builds(
    Hello, uints(1), versions, uints(8), identities, st.none() | endpoints, uints(8), uints(8)
)
short_hellos = st.builds(
    Hello, uints(1), versions, uints(8), identities, st.none() | endpoints, st.none(), st.just(0)
)
moons = st.lists(st.builds(HelloMoon, uints(8), uints(8)), max_size=5)
other_kinds = uints(1).filter(lambda kind: kind not in (4, 6))
direct_paths = st.one_of(
    st.builds(DirectPath, endpoints, uints(1), st.binary(max_size=8)),
    st.builds(
        DirectPath,
        st.none(),
        uints(1),
        st.binary(max_size=8),
        st.tuples(other_kinds, st.binary(max_size=20)),
    ),
)

# -- rules and credentials -----------------------------------------------------------------------

_NUMBERS: dict[int, int] = {24: 5, 25: 5, 26: 2, 27: 1, 28: 1, 36: 1, 37: 2, 41: 8, 43: 4}
_BYTES3 = (uints(1), uints(1), uints(1))


def _prefixes(version: int) -> st.SearchStrategy[Field]:
    if version == 4:
        return st.builds(Prefix, uints(4).map(IPv4Address), st.integers(0, 32))
    return st.builds(Prefix, uints(16).map(IPv6Address), st.integers(0, 128))


def _fields(number: int) -> st.SearchStrategy[Field]:
    if number in _NUMBERS:
        return st.builds(Number, uints(_NUMBERS[number]))
    strategies: dict[int, st.SearchStrategy[Field]] = {
        **dict.fromkeys((0, 1, 5, 6), st.none()),
        **dict.fromkeys((2, 3, 4), st.builds(Forward, uints(8).map(Address), uints(4), uints(2))),
        **dict.fromkeys((29, 30), st.builds(MacMatch, macs)),
        **dict.fromkeys((31, 32), _prefixes(4)),
        **dict.fromkeys((33, 34), _prefixes(6)),
        35: st.builds(Tos, *_BYTES3),
        38: st.builds(Icmp, *_BYTES3),
        **dict.fromkeys((39, 40, 42), st.builds(Range, uints(2), uints(2))),
        **dict.fromkeys(range(44, 51), st.builds(TagMatch, uints(4), uints(4))),
        51: st.builds(IntegerRange, uints(8), uints(8), uints(2), uints(1)),
    }
    return strategies.get(number, st.builds(Opaque, st.binary(max_size=20)))


def _rules_of(number: int) -> st.SearchStrategy[Rule]:
    known = number in set(RuleType)
    extra = st.binary(max_size=4) if known else st.just(b"")
    return st.builds(Rule, st.just(number), _fields(number), st.booleans(), st.booleans(), extra)


rules = st.integers(0, 63).flatmap(_rules_of)
signatures = st.just(b"") | fixed(96)
qualifiers = st.lists(
    st.builds(Qualifier, uints(8), uints(8), uints(8)),
    max_size=8,
    unique_by=lambda q: q.qualifier_id,
).map(lambda found: tuple(sorted(found, key=lambda q: q.qualifier_id)))
coms = st.one_of(st.builds(Com, qualifiers), st.builds(Com, qualifiers, some_addresses, fixed(96)))
tags = st.builds(Tag, network_ids, uints(8), uints(4), uints(4), addresses, addresses, signatures)
custodies = st.builds(Custody, some_addresses, addresses, signatures)
capabilities = st.builds(
    Capability,
    network_ids,
    uints(8),
    uints(4),
    tuples_of(rules),
    st.integers(3, 7),
    tuples_of(custodies, most=3),
)
coos = st.builds(
    CertificateOfOwnership,
    network_ids,
    uints(8),
    uints(8),
    uints(4),
    tuples_of(st.builds(Thing, uints(1), fixed(16))),
    addresses,
    addresses,
    signatures,
)
revocations = st.builds(
    Revocation,
    uints(4),
    network_ids,
    uints(4),
    uints(8),
    uints(8),
    addresses,
    addresses,
    uints(1),
    signatures,
)

# -- network messages ----------------------------------------------------------------------------


def _chunk(
    network_id: NetworkId, data: bytes, flags: int, update_id: int, index: int, signature: bytes
) -> ConfigChunk:
    if not signature:
        return ConfigChunk(network_id, data, total_size=len(data))
    return ConfigChunk(network_id, data, flags, update_id, index + len(data), index, signature)


chunks = st.builds(
    _chunk,
    network_ids,
    st.binary(max_size=50),
    uints(1),
    uints(8),
    st.integers(0, 1 << 20),
    signatures,
)
requests = st.one_of(
    st.builds(NetworkConfigRequest, network_ids, st.binary(max_size=50)),
    st.builds(NetworkConfigRequest, network_ids, st.binary(max_size=50), uints(8), uints(8)),
)
ext_frames = st.builds(
    ExtFrame,
    network_ids,
    uints(1).map(lambda flags: flags & 0xFE),
    st.none() | coms,
    macs,
    macs,
    uints(2),
    st.binary(max_size=50),
)
results = st.builds(GatherResults, uints(4), tuples_of(addresses))

MESSAGES: dict[type[Message], st.SearchStrategy[Message]] = {
    Capability: capabilities,
    CertificateOfOwnership: coos,
    Com: coms,
    ConfigAck: st.builds(ConfigAck, network_ids, uints(8)),
    ConfigChunk: chunks,
    DirectPath: direct_paths,
    Echo: st.builds(Echo, st.binary(max_size=50)),
    Error: st.builds(Error, uints(1), packet_ids, uints(1), st.binary(max_size=50)),
    ExtFrame: ext_frames,
    Frame: st.builds(Frame, network_ids, uints(2), st.binary(max_size=50)),
    GatherResults: results,
    Hello: full_hellos | short_hellos,
    KnownPeer: st.builds(KnownPeer, identities, uints(2), wide_versions, tuples_of(endpoints)),
    MulticastFrame: st.builds(
        MulticastFrame,
        network_ids,
        groups,
        uints(2),
        st.binary(max_size=50),
        st.none() | macs,
        st.none() | uints(4),
        st.booleans(),
        st.none() | coms,
    ),
    MulticastGather: st.builds(MulticastGather, network_ids, groups, uints(4), st.none() | coms),
    MulticastLike: st.builds(MulticastLike, tuples_of(st.builds(Like, network_ids, groups))),
    NetworkConfigRequest: requests,
    NetworkCredentials: st.builds(
        NetworkCredentials,
        tuples_of(coms, most=2),
        tuples_of(capabilities, most=2),
        tuples_of(tags, most=2),
        tuples_of(revocations, most=2),
        tuples_of(coos, most=2),
    ),
    Nop: st.builds(Nop, st.binary(max_size=50)),
    OkExtFrame: st.builds(OkExtFrame, network_ids),
    OkHeader: st.builds(OkHeader, uints(1), packet_ids),
    OkHello: st.builds(
        OkHello,
        packet_ids,
        uints(8),
        uints(1),
        versions,
        st.none() | endpoints,
        tuples_of(worlds, most=2),
    ),
    OkMulticastFrame: st.builds(
        OkMulticastFrame, network_ids, groups, st.none() | coms, st.none() | results
    ),
    OkMulticastGather: st.builds(OkMulticastGather, network_ids, groups, results),
    OkWhois: st.builds(OkWhois, packet_ids, tuples_of(identities)),
    PathNegotiationRequest: st.builds(PathNegotiationRequest, st.integers(-32768, 32767)),
    PushDirectPaths: st.builds(PushDirectPaths, tuples_of(direct_paths)),
    QosMeasurement: st.builds(
        QosMeasurement,
        st.lists(st.builds(QosRecord, uints(8), uints(2)), min_size=1, max_size=4).map(tuple),
    ),
    RemoteTrace: st.builds(
        RemoteTrace,
        tuples_of(st.binary(min_size=1, max_size=20).filter(lambda text: 0 not in text)),
    ),
    Rendezvous: st.builds(Rendezvous, addresses, endpoints),
    Revocation: revocations,
    Root: roots,
    Rule: rules,
    Tag: tags,
    UserMessage: st.builds(UserMessage, uints(8), st.binary(max_size=50)),
    Whois: st.builds(Whois, tuples_of(addresses)),
    World: worlds,
}
"""Every message, and values of it."""

# -- configurations ------------------------------------------------------------------------------

_SSO_TEXTS = [st.binary(max_size=60)] * 6
ssos = st.one_of(
    st.builds(Sso, uints(1)),
    st.builds(Sso, st.just(0), st.just(True), st.binary(max_size=60), uints(8)),
    st.builds(Sso, st.just(1), st.just(True), st.just(b""), st.just(0), *_SSO_TEXTS),
)
domains = st.binary(max_size=127).filter(lambda text: 0 not in text)
roles = st.sampled_from([SpecialistRole(number) for number in (0, 2, 4, 6, 8, 14)])
configs = st.builds(
    NetworkConfig,
    network_id=st.integers(1, (1 << 64) - 1).map(NetworkId),
    timestamp=uints(8),
    credential_time_max_delta=uints(8),
    revision=uints(8),
    issued_to=some_addresses,
    trace_target=addresses,
    trace_level=uints(8),
    flags=uints(1).map(ConfigFlag),
    multicast_limit=uints(8),
    type=st.sampled_from(NetworkType),
    name=st.binary(max_size=127),
    mtu=st.integers(MIN_MTU, MAX_MTU),
    com=st.none() | coms,
    capabilities=tuples_of(capabilities).map(
        lambda found: tuple(sorted(found, key=lambda c: c.capability_id))
    ),
    tags=tuples_of(tags).map(lambda found: tuple(sorted(found, key=lambda t: t.tag_id))),
    coos=tuples_of(coos),
    specialists=tuples_of(st.builds(Specialist, addresses, roles)),
    routes=tuples_of(st.builds(Route, interfaces, st.none() | ips, uints(2), uints(2))),
    addresses=tuples_of(interfaces),
    rules=tuples_of(rules),
    dns=st.builds(Dns, domains, tuples_of(ips)),
    sso=ssos,
)

# -- all decoders --------------------------------------------------------------------------------

DECODERS: dict[str, Callable[[bytes], object]] = {
    **{kind.__name__: kind.from_bytes for kind in MESSAGES},
    "Hello.decode_packet": Hello.decode_packet,
    "Hello.decode_tail": lambda data: Hello.decode_tail(Reader(data)),
    "Identity": lambda data: Identity.decode(Reader(data)),
    "NetworkConfig": NetworkConfig.decode,
    "Dictionary": Dictionary.decode,
    "decode_rules": decode_rules,
    "decompress": decompress,
    "pull_endpoint": lambda data: pull_endpoint(Reader(data)),
    "pull_interface": lambda data: pull_interface(Reader(data)),
}
"""Everything that reads remote bytes."""
