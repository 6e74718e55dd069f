"""The way out: a super-frame cut, each piece sealed behind header and prefix, and fragmented.

The twins are `inet.segment` and `lane.plain`.
"""

from ztlink.lane.kernel.memory import (
    copy,
    copy_up,
    fold,
    get_16,
    get_32,
    kernel,
    load_8,
    load_64,
    ones_sum,
    put_16,
    put_32,
    store_8,
    store_64,
)
from ztlink.lane.kernel.suites import SALSA, SIV, TRUSTED, seal_salsa, seal_siv

FRAGMENT_HEADER = 16
BEFORE_VERB = 27
ETHERNET = 14
TCP = 6
NOT_FIRST, NOT_LAST = 0xFF ^ 0x80, 0xFF ^ 0x09
"""TCP flags without CWR; without FIN and PSH."""
NONE, TCPV4, TCPV6 = 0, 1, 4
REFUSED = -1
MAX_HEADERS = 256
"""Bytes of a piece before its part of the payload, as there is room for."""
MAX_FRAGMENTS = 7
MIN_MTU = 64

# What a job says: words, by their place; `lane.jit` packs them.
FRAME, FRAME_SIZE, GSO, SEGMENT, CHECKSUM_START, CHECKSUM_OFFSET, NEEDS_CHECKSUM = range(0, 56, 8)
PAYLOAD_OFFSET, PREFIX, PREFIX_SIZE, IDS, COUNT, OUT, PATH_MTU = range(56, 112, 8)
SUITE, TRUSTED_ID, DESTINATION, SOURCE = range(112, 144, 8)


@kernel
def _l3_offset(frame: int, size: int) -> int:
    offset = ETHERNET
    if size < offset + 20:
        return 0
    ethertype = get_16(frame + 12)
    while ethertype == 0x8100 or ethertype == 0x88A8:
        ethertype = get_16(frame + offset + 2)
        offset += 4
        if size < offset + 20:
            return 0
    return offset


@kernel
def _header_end(frame: int, size: int, gso: int, l3: int, l4: int) -> int:
    """Return where TCP's payload begins; 0 where the super-frame cannot be cut."""
    if l3 == 0:
        return 0
    version = load_8(frame + l3) >> 4
    if version == 4:
        if gso == TCPV6 or l4 != l3 + (load_8(frame + l3) & 15) * 4 or l4 < l3 + 20:
            return 0
    elif version != 6 or gso == TCPV4 or l4 < l3 + 40:
        return 0
    if l4 + 20 > size:
        return 0
    after = l4 + max(20, (load_8(frame + l4 + 12) >> 4) * 4)
    return after if after <= size else 0


@kernel
def _mend(
    piece: int, size: int, l3: int, l4: int, index: int, position: int, is_last: bool
) -> None:
    """Write the fields that are a piece's own; the others are the super-frame's."""
    ip, tcp = piece + l3, piece + l4
    length = size - l3
    if load_8(ip) >> 4 == 4:
        put_16(ip + 2, length)
        put_16(ip + 4, get_16(ip + 4) + index)
        put_16(ip + 10, 0)
        put_16(ip + 10, 0xFFFF - ones_sum(ip, l4 - l3))
        addresses = ones_sum(ip + 12, 8)
    else:
        put_16(ip + 4, length - 40)
        addresses = ones_sum(ip + 8, 32)
    put_32(tcp + 4, get_32(tcp + 4) + position)
    flags = load_8(tcp + 13)
    if index:
        flags &= NOT_FIRST
    if not is_last:
        flags &= NOT_LAST
    store_8(tcp + 13, flags)
    put_16(tcp + 16, 0)
    total = addresses + TCP + size - l4 + ones_sum(tcp, size - l4)
    put_16(tcp + 16, 0xFFFF - fold(total))


@kernel
def _complete(piece: int, size: int, first: int, field: int) -> None:
    """Complete a checksum that was left to the card; zero would say "none" to UDP."""
    if first < 0 or field + 2 > size:
        return
    checksum = 0xFFFF - ones_sum(piece + first, size - first)
    put_16(piece + field, checksum if checksum else 0xFFFF)


@kernel
def _fragments(packet: int, size: int, count: int) -> None:
    """Lay a sealed packet out as datagrams of one size but the last."""
    datagram = (size + FRAGMENT_HEADER * (count - 1) + count - 1) // count
    part = datagram - FRAGMENT_HEADER
    for number in range(count - 1, 0, -1):
        source = datagram + (number - 1) * part
        place = packet + number * datagram
        copy_up(place + FRAGMENT_HEADER, packet + source, min(part, size - source))
        copy(place, packet, 13)
        store_8(place + 13, 0xFF)
        store_8(place + 14, count << 4 | number)
        store_8(place + 15, 0)


@kernel
def _seal(
    packet: int,
    size: int,
    suite: int,
    trusted_id: int,
    is_fragmented: bool,
    ciphers: int,
    scratch: int,
) -> int:
    fragmented = 0x40 if is_fragmented else 0
    if suite == SIV:
        store_8(packet + 18, fragmented | SIV << 3)
        return seal_siv(packet, size, ciphers, scratch)
    if suite == SALSA:
        store_8(packet + 18, fragmented | 0x80 | SALSA << 3)
        return seal_salsa(packet, size, ciphers, scratch)
    store_8(packet + 18, fragmented | TRUSTED << 3)
    put_32(packet + 19, trusted_id >> 32)
    put_32(packet + 23, trusted_id)
    return 1


@kernel
def _put_address(place: int, address: int) -> None:
    store_8(place, address >> 32)
    put_32(place + 1, address)


@kernel
def _datagrams(size: int, mtu: int) -> int:
    """See `lane.layout.pieces`."""
    if size <= mtu:
        return 1
    return 1 + (size - FRAGMENT_HEADER - 1) // (mtu - FRAGMENT_HEADER)


@kernel
def _write(job: int, packet: int, index: int, pieces: int, l3: int, after: int) -> None:
    """Write a packet but for its flags: header, prefix, and a piece made good."""
    frame, total, offset = (
        load_64(job + FRAME),
        load_64(job + FRAME_SIZE),
        load_64(job + PAYLOAD_OFFSET),
    )
    prefix_size, l4 = load_64(job + PREFIX_SIZE), load_64(job + CHECKSUM_START)
    store_64(packet, load_64(load_64(job + IDS) + 8 * index))
    _put_address(packet + 8, load_64(job + DESTINATION))
    _put_address(packet + 13, load_64(job + SOURCE))
    copy(packet + BEFORE_VERB, load_64(job + PREFIX), prefix_size)
    piece = packet + BEFORE_VERB + prefix_size
    if after:
        headers, segment = after - offset, load_64(job + SEGMENT)
        position = index * segment
        part = min(segment, total - after - position)
        copy(piece, frame + offset, headers)
        copy(piece + headers, frame + after + position, part)
        is_last = index == pieces - 1
        _mend(piece, headers + part, l3 - offset, l4 - offset, index, position, is_last)
    else:
        copy(piece, frame + offset, total - offset)
        if load_64(job + NEEDS_CHECKSUM):
            first = l4 - offset
            _complete(piece, total - offset, first, first + load_64(job + CHECKSUM_OFFSET))


@kernel
def outbound(job: int, ciphers: int, scratch: int, result: int) -> int:
    """Do a job; write the size of its packets, of the last, and their datagrams to `result`.

    Packets lie end to end in OUT, each with room for the headers of its fragments. Returns their
    count, or REFUSED for what is left to the portable engine.
    """
    frame, total, offset = (
        load_64(job + FRAME),
        load_64(job + FRAME_SIZE),
        load_64(job + PAYLOAD_OFFSET),
    )
    segment, gso, mtu = load_64(job + SEGMENT), load_64(job + GSO), load_64(job + PATH_MTU)
    l3 = after = 0
    if gso != NONE and segment > 0:
        l3 = _l3_offset(frame, total)
        after = _header_end(frame, total, gso, l3, load_64(job + CHECKSUM_START))
    pieces = max(1, (total - after + segment - 1) // segment) if after else 1
    headers = after - offset if after else 0
    if (
        pieces != load_64(job + COUNT)
        or mtu < MIN_MTU
        or total < offset
        or not 0 <= headers <= MAX_HEADERS
        or (after and l3 < offset)
    ):
        return REFUSED
    packet = load_64(job + OUT)
    for index in range(pieces):
        part = min(segment, total - after - index * segment) if after else total - offset
        size = BEFORE_VERB + load_64(job + PREFIX_SIZE) + headers + part
        datagrams = _datagrams(size, mtu)
        if datagrams > MAX_FRAGMENTS:
            return REFUSED
        _write(job, packet, index, pieces, l3, after)
        if not _seal(
            packet,
            size,
            load_64(job + SUITE),
            load_64(job + TRUSTED_ID),
            datagrams > 1,
            ciphers,
            scratch,
        ):
            return REFUSED
        if datagrams > 1:
            _fragments(packet, size, datagrams)
        if index == 0:
            store_64(result, size)
            store_64(result + 8, datagrams)
        store_64(result + 16, size)
        store_64(result + 24, datagrams)
        packet += size + FRAGMENT_HEADER * (datagrams - 1)
    return pieces
