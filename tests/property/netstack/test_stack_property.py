"""Whatever comes in raises nothing, keeps within bounds, and leaves what was there unharmed.

Random bytes alone stop at the first checksum: so valid frames are changed somewhere, and their
checksums are made good again.
"""

import random
from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from tests.scale import scaled
from tests.unit.netstack.ether import (
    ANY_4,
    ANY_6,
    OTHER,
    OWN_4,
    PEER_4,
    PEER_6,
    START,
    THEM,
    US,
    Alone,
    Ether,
    arp_frame,
    at,
    events_of,
    make_stack,
    pair,
)
from tests.unit.netstack.packets import (
    FRAGMENT,
    advertisement,
    fragment_header,
    icmp_4,
    icmp_6,
    solicitation,
    udp_4,
    udp_6,
    v4,
    v6,
)
from ztlink.batch import Gso, SuperFrame
from ztlink.inet.arp import ARP_REPLY, ARP_REQUEST
from ztlink.inet.checksum import checksum, ones_sum
from ztlink.netstack.events import ConnectionId, DatagramReceived
from ztlink.netstack.stack import Stack

FRAMES = scaled(1_000_000)
PAST = 17 << 20
_CHECKSUM_AT = {1: 2, 6: 16, 17: 6, 58: 2}


def templates() -> list[bytes]:
    """Return valid frames of every kind that a stack looks at."""
    alone = Alone().knows()
    alone.say(solicitation())
    for ip in (PEER_4, PEER_6):
        alone.stack.connect(at(ip, 80), START)
        alone.stack.ping(ip_address(ip), 16, START)
    ours = alone.hear()
    theirs = [US + THEM + frame[12:] for frame in ours]
    quoted = [frame[14:] for frame in ours]
    return [
        *theirs,
        *[icmp_4(kind, code, body=quoted[0]) for kind in (3, 11, 12) for code in (0, 1, 4)],
        *[icmp_6(kind, code, body=quoted[-1]) for kind in (1, 2, 3, 4) for code in (0, 1)],
        arp_frame(ARP_REQUEST, THEM, PEER_4, OWN_4),
        arp_frame(ARP_REPLY, THEM, PEER_4, OWN_4),
        solicitation(),
        advertisement(),
        udp_4(53, b"hello"),
        udp_6(53, b"hello"),
        v4(17, bytes(64), fragment=0x2000),
        v4(17, bytes(64), fragment=8),
        v6(FRAGMENT, fragment_header(17, 0, more=True) + bytes(64)),
        v6(FRAGMENT, fragment_header(17, 64, more=False) + bytes(64)),
        v6(0, bytes([60, 0, 1, 4, 0, 0, 0, 0, 43, 0, 1, 4, 0, 0, 0, 0, 58, 0, 0, 0, 0, 0, 0, 0])),
    ]


def with_good_checksums(frame: bytearray) -> bytearray:
    """Make the checksums of a frame good, as far as its headers can be read."""
    kind = bytes(frame[12:14])
    if kind == b"\x08\x00" and len(frame) >= 34:
        start = 14 + (frame[14] & 15) * 4
        frame[24:26] = bytes(2)
        frame[24:26] = checksum(bytes(frame[14:start])).to_bytes(2, "big")
        protocol, ends = frame[23], bytes(frame[26:34])
    elif kind == b"\x86\xdd" and len(frame) >= 54:
        start, protocol, ends = 54, frame[20], bytes(frame[22:54])
    else:
        return frame
    at_byte = start + _CHECKSUM_AT.get(protocol, len(frame))
    if at_byte + 2 <= len(frame):
        frame[at_byte : at_byte + 2] = bytes(2)
        l4 = bytes(frame[start:])
        pseudo = 0 if protocol == 1 else ones_sum(ends) + protocol + len(l4)
        frame[at_byte : at_byte + 2] = checksum(l4, pseudo).to_bytes(2, "big")
    return frame


def mutated(chance: random.Random, frame: bytes) -> bytearray:
    """Return a frame with some bytes changed, cut off or doubled, and good checksums."""
    data = bytearray(frame)
    for _ in range(chance.randrange(4)):
        place = chance.randrange(12, len(data))
        data[place] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
    match chance.randrange(8):
        case 0:
            del data[chance.randrange(len(data) + 1) :]
        case 1:
            data += data[chance.randrange(len(data)) :]
    return with_good_checksums(data)


def give(
    link: Ether, sender: Stack, end: ConnectionId, taker: Stack, other: ConnectionId, data: bytes
) -> bytes:
    """Send over a connection until all has arrived; return what did."""
    left, got = memoryview(data), bytearray()
    while len(got) < len(data):
        left = left[sender.tcp.write(end, left, link.now) :]
        link.wait(0.001)
        got += taker.tcp.read(other, 1 << 22, link.now)
    return bytes(got)


class Live:
    """Two stacks with a connection by each version of IP, and what was said on them.

    What was said is past: the sequence numbers have gone on by more than changes to all but the
    highest byte of a number can reach, so that no changed frame can be a good one by chance.
    """

    def __init__(self) -> None:
        self.link = pair()
        self.ours, self.theirs = self.link.stacks
        self.ends: list[tuple[ConnectionId, ConnectionId]] = []
        for ip, any_ip in ((PEER_4, ANY_4), (PEER_6, ANY_6)):
            listener = self.theirs.listen(at(any_ip, 80), 5, self.link.now)
            mine = self.ours.connect(at(ip, 80), self.link.now)
            self.link.settle()
            yours = self.theirs.tcp.accept(listener)
            assert yours is not None
            self.ends.append((mine, yours))
        self.exchange(b"hello" * 1000)
        said = [frame for frame in self.link.frames if frame[:6] == US and len(frame) < 8000]
        self.exchange(bytes(PAST))
        self.templates = templates() + said

    def exchange(self, data: bytes) -> bool:
        """Send something each way over each connection; tell whether it arrived."""
        link, ours, theirs = self.link, self.ours, self.theirs
        arrived = [
            (
                give(link, ours, mine, theirs, yours, data),
                give(link, theirs, yours, ours, mine, data),
            )
            for mine, yours in self.ends
        ]
        events_of(ours)
        events_of(theirs)
        return arrived == [(data, data)] * len(self.ends)


# -- anything --------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=200), max_size=8), st.sampled_from([b"", US + THEM]))
def test_random_bytes_raise_nothing(frames: list[bytes], head: bytes) -> None:
    alone = Alone()
    alone.say(*[head + frame for frame in frames])
    assert alone.stack.counters.frames_in == len(frames)


@given(
    st.binary(min_size=0, max_size=120),
    st.sampled_from(list(Gso)),
    st.booleans(),
    st.integers(0, 2000),
)
def test_super_frames_of_any_shape_raise_nothing(
    data: bytes, gso: Gso, needs_checksum: bool, segment_size: int
) -> None:
    stack = make_stack()
    for kind in (b"\x08\x00", b"\x86\xdd"):
        frame = bytearray(US + THEM + kind + data)
        stack.receive_frame(
            SuperFrame(memoryview(frame), gso, 54, segment_size, needs_checksum, 34, 16), START
        )
    assert stack.counters.frames_in == 2


def test_changed_frames_with_good_checksums_leave_live_connections_unharmed() -> None:
    chance = random.Random(7)  # noqa: S311  # the same in every run
    live = Live()
    alone = Alone(live.ours, live.link.now)
    for number in range(FRAMES):
        alone.say(bytes(mutated(chance, chance.choice(live.templates))))
        if number % 1000 == 0:
            alone.wait(1.0)
            alone.events()
    live.link.now = alone.now
    assert live.exchange(bytes(range(256)) * 400)


def test_a_socket_still_hears_after_changed_frames() -> None:
    chance = random.Random(8)  # noqa: S311  # the same in every run
    alone = Alone().knows()
    socket = alone.stack.bind_udp(at(ANY_4, 53))
    kinds = templates()
    for _ in range(2000):
        alone.say(bytes(mutated(chance, chance.choice(kinds))))
        alone.events()
    alone.say(udp_4(53, b"still here"))
    assert alone.events() == [DatagramReceived(socket, b"still here", at(PEER_4, 5000))]


# -- neighbours ------------------------------------------------------------------------------

CLAIMS = {
    "a question of another": arp_frame(ARP_REQUEST, OTHER, PEER_4, OWN_4),
    "an answer of another": arp_frame(ARP_REPLY, OTHER, PEER_4, OWN_4),
    "an announcement of another": arp_frame(ARP_REQUEST, OTHER, PEER_4, PEER_4),
    "a solicitation of another": solicitation(mac=OTHER, said=OTHER),
    "an advertisement of another": advertisement(mac=OTHER),
    "an unasked advertisement": advertisement(mac=OTHER, is_solicited=False),
}


@given(st.lists(st.tuples(st.sampled_from(sorted(CLAIMS)), st.floats(0, 20)), max_size=20))
def test_a_neighbour_that_answers_is_never_displaced(claims: list[tuple[str, float]]) -> None:
    alone = Alone().knows()
    alone.say(solicitation())

    def answered(frames: list[bytes]) -> None:
        for frame in frames:
            if frame[:6] == THEM and frame[12:14] == b"\x08\x06":
                alone.say(arp_frame(ARP_REPLY, THEM, PEER_4, OWN_4))
            elif frame[:6] == THEM and frame[54:55] == b"\x87":
                alone.say(advertisement())

    for claim, seconds in claims:
        answered(alone.say(CLAIMS[claim]))
        for _ in range(int(seconds * 2)):
            answered(alone.wait(0.5))
        for ip in (PEER_4, PEER_6):
            alone.stack.ping(ip_address(ip), 0, alone.now)
        frames = alone.hear()
        answered(frames)
        assert OTHER not in [frame[:6] for frame in frames]


@given(st.integers(0, 3), st.lists(st.floats(0.0, 5.0), max_size=20))
def test_timers_are_always_ahead_once_they_were_handled(seed: int, waits: list[float]) -> None:
    alone = Alone()
    for wait in waits:
        alone.stack.ping(ip_address(f"10.0.0.{3 + seed}"), 0, alone.now)
        alone.hear()
        alone.wait(wait)
        deadline = alone.stack.get_timer()
        assert deadline is None or deadline > alone.now.mono - 1e-9
