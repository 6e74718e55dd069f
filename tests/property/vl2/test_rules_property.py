"""Random tables on random frames: the engine says what its plain twin says, and never raises."""

from ipaddress import IPv4Address, IPv6Address

from hypothesis import given
from hypothesis import strategies as st

from tests.property.vl2.plain_rules import PlainDecision, PlainTable, Scene, decide
from ztlink.ids import Address, Mac
from ztlink.inet.flow import parse_frame
from ztlink.vl2.rule_context import FrameContext, LocalParty, RemoteParty
from ztlink.vl2.rules import Decision, Program, decide_inbound, decide_outbound
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
    TagMatch,
    Tos,
)

OWN, PEER, THIRD, FOURTH = 0x1111111111, 0x2222222222, 0x3333333333, 0x4444444444
MACS = [bytes.fromhex(text) for text in ("020000000001", "020000000002", "ffffffffffff")]
IPV4 = [bytes((10, 0, 0, 1)), bytes((10, 0, 1, 2))]
IPV6 = [bytes.fromhex("fd" + "00" * 14 + "01"), bytes.fromhex("fc11223344" + "00" * 10 + "01")]
PORTS = [0, 22, 80, 443]
SMALL = st.integers(0, 3)

forwards = st.builds(
    Forward,
    st.sampled_from([OWN, PEER, THIRD, FOURTH, 0]).map(Address),
    st.just(0),
    st.sampled_from([0, 20, 60]),
)
ranges = st.tuples(st.sampled_from(PORTS), st.sampled_from(PORTS)).map(lambda p: Range(*p))
FIELDS: dict[int, st.SearchStrategy[Field]] = {
    **dict.fromkeys((0, 1, 5, 6), st.none()),
    **dict.fromkeys((2, 3, 4), forwards),
    9: st.just(Opaque()),
    20: st.just(Opaque()),
    **dict.fromkeys((24, 25), st.sampled_from([OWN, PEER, 0]).map(Number)),
    **dict.fromkeys((26, 27, 28), st.integers(0, 1).map(Number)),
    **dict.fromkeys((29, 30), st.sampled_from(MACS).map(lambda mac: MacMatch(Mac(mac)))),
    **dict.fromkeys(
        (31, 32),
        st.builds(Prefix, st.sampled_from(IPV4).map(IPv4Address), st.integers(0, 32)),
    ),
    **dict.fromkeys(
        (33, 34),
        st.builds(Prefix, st.sampled_from(IPV6).map(IPv6Address), st.integers(0, 128)),
    ),
    35: st.builds(Tos, st.sampled_from([0xFF, 0xFC]), st.just(0), st.sampled_from([0, 0x10])),
    36: st.sampled_from([1, 6, 17, 58]).map(Number),
    37: st.sampled_from([0x0800, 0x0806, 0x86DD]).map(Number),
    38: st.builds(Icmp, st.sampled_from([8, 135]), st.integers(0, 1), st.integers(0, 1)),
    **dict.fromkeys((39, 40), ranges),
    41: st.sampled_from([1 << bit for bit in (63, 62, 61, 60, 59, 11, 4, 1, 0)]).map(Number),
    42: st.builds(Range, st.integers(0, 80), st.integers(0, 80)),
    43: st.sampled_from([0, 7, 2**32 - 1]).map(Number),
    **dict.fromkeys(range(44, 51), st.builds(TagMatch, st.integers(1, 2), SMALL)),
    51: st.builds(
        IntegerRange,
        st.integers(0, 2**64 - 1) | SMALL,
        st.integers(0, 2**64 - 1) | st.just(255),
        st.integers(0, 70),
        st.integers(0, 255),
    ),
}
rules = st.sampled_from(sorted(FIELDS)).flatmap(
    lambda kind: st.builds(Rule, st.just(kind), FIELDS[kind], st.booleans(), st.booleans())
)
tables = st.lists(rules, max_size=8).map(tuple)


@st.composite
def ipv4_payloads(draw: st.DrawFn) -> bytes:
    protocol = draw(st.sampled_from([1, 6, 17, 47]))
    first = draw(st.sampled_from([0x45, 0x45, 0x45, 0x46, 0x40, 0x4F]))
    tos = draw(st.sampled_from([0, 0x10]))
    header = bytes([first, tos, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0])
    addresses = draw(st.sampled_from(IPV4)) + draw(st.sampled_from(IPV4))
    return header + addresses + draw(l4_bytes())


@st.composite
def ipv6_payloads(draw: st.DrawFn) -> bytes:
    following = draw(st.sampled_from([58, 6, 17, 0, 60, 44]))
    header = bytes([0x61, 0, 0, 0, 0, 0, following, 64])
    addresses = draw(st.sampled_from(IPV6)) + draw(st.sampled_from(IPV6))
    extension = draw(st.sampled_from([b"", bytes([6, 0]) + bytes(6), bytes([17, 1]) + bytes(14)]))
    return header + addresses + extension + draw(l4_bytes())


@st.composite
def l4_bytes(draw: st.DrawFn) -> bytes:
    ports = b"".join(draw(st.sampled_from(PORTS)).to_bytes(2, "big") for _ in range(2))
    neighbor = bytes([draw(st.sampled_from([0x87, 0x88])), 0]) + bytes(6) + IPV6[1]
    head = draw(st.sampled_from([ports, b"\x08\x00", b"\x08\x01", neighbor]))
    tail = draw(st.sampled_from([bytes(8) + b"\x50\x12" + bytes(10), b"", b"\0"]))
    return head + tail + draw(st.binary(max_size=20))


frames = st.one_of(
    st.tuples(st.just(0x0800), ipv4_payloads()),
    st.tuples(st.just(0x86DD), ipv6_payloads()),
    st.tuples(st.just(0x0806), st.just(bytes(14) + IPV4[0] + bytes(10))),
    st.tuples(st.sampled_from([0x0800, 0x86DD, 0x0806, 0x88B5]), st.binary(max_size=80)),
)
things = st.frozensets(
    st.sampled_from([(1, MACS[0]), (1, MACS[1]), (2, IPV4[0]), (3, IPV6[0])]), max_size=4
)
tags = st.dictionaries(st.integers(1, 2), SMALL, max_size=2)


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    ethertype, payload = draw(frames)
    is_inbound = draw(st.booleans())
    return Scene(
        ethertype,
        payload,
        draw(st.sampled_from(MACS)),
        draw(st.sampled_from(MACS)),
        is_inbound,
        own=OWN,
        source=PEER if is_inbound else OWN,
        destination=OWN if is_inbound else draw(st.sampled_from([PEER, 0])),
        own_tags=draw(tags),
        peer_tags=draw(tags),
        own_things=draw(things),
        peer_things=draw(things),
        trusted_prefixes=draw(st.sampled_from([(), (IPV6[1][:5],)])),
        unknown_matches=draw(st.booleans()),
        chance=draw(st.sampled_from([0, 7, 8])),
    )


def context_of(scene: Scene) -> FrameContext:
    header = scene.destination_mac + scene.source_mac + scene.ethertype.to_bytes(2, "big")
    frame = memoryview(header + scene.payload)
    return FrameContext(
        frame,
        parse_frame(frame),
        LocalParty(
            Address(scene.own),
            lambda size: scene.chance.to_bytes(size, "big"),
            scene.own_tags,
            scene.own_things,
            scene.trusted_prefixes,
            scene.unknown_matches,
        ),
        RemoteParty(scene.peer_tags, scene.peer_things),
        source=Address(scene.source),
        destination=Address(scene.destination),
        is_inbound=scene.is_inbound,
    )


@given(tables, scenes())
def test_a_program_says_what_its_plain_twin_says(table: tuple[Rule, ...], scene: Scene) -> None:
    context = context_of(scene)
    verdict = Program(table).evaluate(context)
    plain = PlainTable(scene)
    assert verdict.name == plain.run(table)
    copy = (context.copy_to, context.copy_size, context.copy_is_watch)
    assert (None if context.copy_to is None else copy) == plain.copy
    assert context.redirected_to == plain.redirected_to


@given(tables, st.lists(tables, max_size=3), scenes(), st.booleans())
def test_a_network_decides_what_its_plain_twin_decides(
    base: tuple[Rule, ...],
    capabilities: list[tuple[Rule, ...]],
    scene: Scene,
    no_tee: bool,
) -> None:
    no_tee = no_tee and not scene.is_inbound
    decision = _decide(base, capabilities, scene, no_tee=no_tee)
    copies = [(int(copy.address), copy.size, int(copy.kind)) for copy in decision.copies]
    plain = decide(scene, base, capabilities, no_tee=no_tee)
    assert PlainDecision(int(decision.acceptance), copies) == plain


def _decide(
    base: tuple[Rule, ...],
    capabilities: list[tuple[Rule, ...]],
    scene: Scene,
    *,
    no_tee: bool,
) -> Decision:
    programs = [Program(table) for table in capabilities]
    if scene.is_inbound:
        return decide_inbound(context_of(scene), Program(base), programs)
    return decide_outbound(context_of(scene), Program(base), programs, no_tee=no_tee)


EVERY_MATCH = [kind for kind in FIELDS if kind >= 16]


@given(
    st.binary(min_size=14, max_size=120),
    st.tuples(*(FIELDS[kind] for kind in EVERY_MATCH)),
    st.booleans(),
)
def test_no_frame_makes_a_match_raise(
    frame: bytes, fields: tuple[Field, ...], is_inbound: bool
) -> None:
    matches = [
        Rule(kind, value, or_flag=True) for kind, value in zip(EVERY_MATCH, fields, strict=True)
    ]
    local = LocalParty(Address(OWN), bytes, {1: 1, 2: 2})
    context = FrameContext(
        memoryview(frame),
        parse_frame(memoryview(frame)),
        local,
        source=Address(PEER),
        destination=Address(OWN),
        is_inbound=is_inbound,
    )
    program = Program([Rule(20, Opaque(), negate=True), *matches, Rule(1)])
    assert program.evaluate(context).name == "ACCEPT"
