"""The plain twin of the rules engine: the wire document's text, step by step, for one frame.

It compiles nothing, shares nothing with the engine and reads the frame anew for every match.
"""

from dataclasses import dataclass, field

from ztlink.wire.rules import (
    Forward,
    Icmp,
    IntegerRange,
    MacMatch,
    Number,
    Prefix,
    Range,
    Rule,
    TagMatch,
    Tos,
)

Answer = tuple[bool, bool]
"""Whether it matches, and whether that is hard: final, with NOT or without."""

HARD_NO: Answer = (False, True)
HARD_YES: Answer = (True, True)


def soft(value: bool) -> Answer:
    return value, False


@dataclass
class Scene:
    """A frame and who it goes between."""

    ethertype: int
    payload: bytes
    source_mac: bytes
    destination_mac: bytes
    is_inbound: bool
    own: int
    source: int
    destination: int
    own_tags: dict[int, int] = field(default_factory=dict)
    peer_tags: dict[int, int] = field(default_factory=dict)
    own_things: frozenset[tuple[int, bytes]] = frozenset()
    peer_things: frozenset[tuple[int, bytes]] = frozenset()
    trusted_prefixes: tuple[bytes, ...] = ()
    unknown_matches: bool = False
    chance: int = 0

    @property
    def is_ipv4(self) -> bool:
        return self.ethertype == 0x0800 and len(self.payload) >= 20

    @property
    def is_ipv6(self) -> bool:
        return self.ethertype == 0x86DD and len(self.payload) >= 40

    def ipv6_payload(self) -> tuple[int, int] | None:
        position, protocol = 40, self.payload[6]
        while protocol in (0, 43, 60, 135):
            if len(self.payload) < position + 8:
                return None
            protocol, size = self.payload[position], self.payload[position + 1]
            position += size * 8 + 8
            if position > len(self.payload):
                return None
        return protocol, position

    def l4(self) -> tuple[int, int] | None:
        """Protocol and offset; None where there are none."""
        if self.is_ipv4:
            return self.payload[9], (self.payload[0] & 15) * 4
        return self.ipv6_payload() if self.is_ipv6 else None


class PlainTable:
    """One evaluation of one table."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.skip_drop = False
        self.is_super = False
        self.redirected_to: int | None = None
        self.copy: tuple[int, int, bool] | None = None

    def run(self, rules: tuple[Rule, ...]) -> str:
        is_set = True
        for rule in rules:
            if rule.type >= 16:
                if not is_set and not rule.or_flag:
                    continue
                value, is_hard = self.match(rule)
                if rule.negate and not is_hard:
                    value = not value
                is_set = (is_set or value) if rule.or_flag else (is_set and value)
            elif is_set:
                verdict = self.act(rule)
                if verdict is not None:
                    return verdict
            else:
                if self.scene.is_inbound and rule.type in (2, 3, 4):
                    assert isinstance(rule.field, Forward)
                    self.is_super = self.is_super or rule.field.address == self.scene.own
                is_set = True
        return "NO_MATCH"

    def act(self, rule: Rule) -> str | None:
        if rule.type == 0:
            if self.skip_drop:
                self.skip_drop = False
                return None
            return "DROP"
        if rule.type == 1:
            return "SUPER_ACCEPT" if self.is_super else "ACCEPT"
        if rule.type == 6:
            return "ACCEPT"
        if rule.type == 5:
            return "NO_MATCH"
        if rule.type in (2, 3, 4):
            assert isinstance(rule.field, Forward)
            return self.forward(rule.type, rule.field)
        return None

    def forward(self, kind: int, to: Forward) -> str | None:
        scene = self.scene
        if to.address == scene.source:
            return None
        if to.address == scene.own:
            return "SUPER_ACCEPT" if scene.is_inbound else None
        if to.address == scene.destination:
            return None
        if kind == 4:
            self.redirected_to = to.address
            return "REDIRECT"
        size = len(scene.payload)
        self.copy = (to.address, min(size, to.length) if to.length else size, kind == 3)
        return None

    def match(self, rule: Rule) -> Answer:
        scene = self.scene
        match rule.field:
            case Number(value):
                return self.number(rule.type, value)
            case MacMatch(mac):
                held = scene.source_mac if rule.type == 29 else scene.destination_mac
                return soft(held == mac)
            case Prefix():
                return self.prefix(rule.type, rule.field)
            case Tos(mask, start, end):
                if scene.is_ipv4:
                    tos = scene.payload[1]
                elif scene.is_ipv6:
                    tos = (scene.payload[0] & 15) << 4 | scene.payload[1] >> 4
                else:
                    return HARD_NO
                return soft(start <= tos & mask <= end)
            case Icmp(kind, code, flags):
                return self.icmp(kind, code, flags)
            case Range(start, end):
                if rule.type == 42:
                    return soft(start <= len(scene.payload) <= end)
                return self.port(start, end, 0 if rule.type == 39 else 2)
            case TagMatch(tag_id, value):
                return self.tag(rule.type, tag_id, value)
            case IntegerRange():
                return self.integer(rule.field)
            case _:
                return soft(scene.unknown_matches)

    def number(self, kind: int, value: int) -> Answer:
        scene = self.scene
        if kind == 24:
            return soft(scene.source == value)
        if kind == 25:
            return soft(scene.destination == value)
        if kind in (26, 27, 28):
            return soft(value == 0)
        if kind == 36:
            l4 = scene.l4()
            return HARD_NO if l4 is None else soft(l4[0] == value)
        if kind == 37:
            return soft(scene.ethertype == value)
        if kind == 41:
            return soft(self.characteristics() & value != 0)
        assert kind == 43
        return soft(scene.chance <= value)

    def prefix(self, kind: int, prefix: Prefix) -> Answer:
        scene, wanted, bits = self.scene, prefix.ip.packed, prefix.bits
        if kind in (31, 32):
            if not scene.is_ipv4:
                return HARD_NO
            held = scene.payload[12:16] if kind == 31 else scene.payload[16:20]
            return soft(_bits(held)[:bits] == _bits(wanted)[:bits])
        if not scene.is_ipv6:
            return HARD_NO
        held = scene.payload[8:24] if kind == 33 else scene.payload[24:40]
        return soft(_bits(held)[:bits].ljust(128, "0") == _bits(wanted))

    def icmp(self, kind: int, code: int, flags: int) -> Answer:
        scene, l4 = self.scene, self.scene.l4()
        if l4 is None or l4[0] != (1 if scene.is_ipv4 else 0x3A):
            return HARD_NO
        message = scene.payload[l4[1] :]
        if len(message) < 2 or message[0] != kind:
            return HARD_NO
        return soft(message[1] == code) if flags & 1 else HARD_YES

    def port(self, start: int, end: int, offset: int) -> Answer:
        scene, l4 = self.scene, self.scene.l4()
        if l4 is None:
            return HARD_NO
        protocol, position = l4
        if protocol not in (6, 17, 132, 136) or len(scene.payload) <= position + 4:
            return soft(False)
        port = int.from_bytes(scene.payload[position + offset : position + offset + 2], "big")
        if scene.is_ipv6 and port == 0:
            return soft(False)
        return soft(start <= port <= end)

    def tag(self, kind: int, tag_id: int, value: int) -> Answer:
        scene = self.scene
        ours, theirs = scene.own_tags.get(tag_id), scene.peer_tags.get(tag_id)
        if kind in (49, 50):
            return self.one_sided(ours, theirs, value, is_sender=kind == 49)
        if ours is None:
            return HARD_NO
        if theirs is None:
            if scene.is_inbound and not self.is_super:
                return HARD_NO
            self.skip_drop = True
            return HARD_YES
        return soft(
            {
                44: abs(ours - theirs) <= value,
                45: ours & theirs == value,
                46: ours | theirs == value,
                47: ours ^ theirs == value,
                48: ours == value and theirs == value,
            }[kind]
        )

    def one_sided(
        self, ours: int | None, theirs: int | None, value: int, *, is_sender: bool
    ) -> Answer:
        if self.is_super:
            self.skip_drop = True
            return HARD_YES
        is_remote = self.scene.is_inbound if is_sender else not self.scene.is_inbound
        if not is_remote:
            return HARD_NO if ours is None else soft(ours == value)
        if theirs is not None:
            return soft(theirs == value)
        if is_sender:
            return HARD_NO
        self.skip_drop = True
        return HARD_YES

    def integer(self, integer: IntegerRange) -> Answer:
        payload, bits = self.scene.payload, (integer.format & 63) + 1
        size = -(-bits // 8)
        if integer.format & 0x80:
            data = payload[integer.index : integer.index + size]
            value = int.from_bytes(data, "little") >> (8 * size - bits)
        else:
            first = integer.index + 8 - size
            data = payload[first : first + size]
            value = int.from_bytes(data, "big") % 2**bits
        if len(data) < size:
            value = 0
        relative = (integer.end - integer.start) % 2**32
        return soft(integer.start <= value <= (integer.start + relative) % 2**64)

    def characteristics(self) -> int:
        scene = self.scene
        things = scene.peer_things if scene.is_inbound else scene.own_things
        bits = 2**63 if scene.is_inbound else 0
        bits += 2**62 if scene.destination_mac[0] % 2 else 0
        bits += 2**61 if scene.destination_mac == b"\xff" * 6 else 0
        bits += 2**60 if self.is_sender_ip_authenticated(things) else 0
        bits += 2**59 if (1, scene.source_mac) in things else 0
        return bits + self.tcp_bits()

    def is_sender_ip_authenticated(self, things: frozenset[tuple[int, bytes]]) -> bool:
        scene, payload = self.scene, self.scene.payload
        if scene.is_ipv4:
            return (2, payload[12:16]) in things
        if scene.ethertype == 0x0806 and len(payload) >= 28:
            return (2, payload[14:18]) in things
        if not scene.is_ipv6:
            return False
        ip = payload[8:24]
        if payload[6] == 0x3A and len(payload) >= 64:
            if payload[40] == 0x87:
                return True
            if payload[40] == 0x88:
                ip = payload[48:64]
        if scene.is_inbound and any(ip.startswith(p) for p in scene.trusted_prefixes):
            return True
        return (3, ip) in things

    def tcp_bits(self) -> int:
        scene, l4 = self.scene, self.scene.l4()
        if l4 is None or l4[0] != 6:
            return 0
        header = scene.payload[l4[1] :]
        if len(header) < (14 if scene.is_ipv4 else 15):
            return 0
        return header[13] + (header[12] & 15) * 256


def _bits(packed: bytes) -> str:
    return "".join(f"{byte:08b}" for byte in packed)


@dataclass
class PlainDecision:
    acceptance: int
    copies: list[tuple[int, int, int]]
    """Address, size, flags."""


def decide(
    scene: Scene,
    base: tuple[Rule, ...],
    capabilities: list[tuple[Rule, ...]],
    *,
    no_tee: bool = False,
) -> PlainDecision:
    """Decide for a whole network."""
    table = PlainTable(scene)
    verdict = table.run(base)
    if verdict == "DROP":
        return PlainDecision(0, [])
    redirected_to, base_copy, copies = table.redirected_to, table.copy, []
    if verdict == "NO_MATCH":
        for rules in capabilities:
            table = PlainTable(scene)
            verdict = table.run(rules)
            if verdict in ("ACCEPT", "REDIRECT", "SUPER_ACCEPT"):
                redirected_to = table.redirected_to
                if table.copy:
                    copies.append(table.copy)
                break
        else:
            return PlainDecision(0, [])
    if base_copy:
        copies.append(base_copy)
    tee, watch, redirect = (0x08, 0x1C, 0x0A) if scene.is_inbound else (0x02, 0x16, 0x04)
    sent = [] if no_tee else [(to, size, watch if w else tee) for to, size, w in copies if to]
    if redirected_to:
        return PlainDecision(0, [*sent, (redirected_to, len(scene.payload), redirect)])
    return PlainDecision(2 if verdict == "SUPER_ACCEPT" else 1, sent)
