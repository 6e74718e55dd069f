"""The way in: runs of packets found and joined, opened, and their frames joined.

The twins are `lane.gather`, `crypto.armor.dearmor` and `inet.coalesce`.
"""

from ztlink.lane.kernel.memory import (
    copy,
    fold,
    get_16,
    get_32,
    is_equal,
    kernel,
    load_8,
    load_32,
    ones_sum,
    put_16,
    store_8,
    store_32,
    store_64,
)
from ztlink.lane.kernel.suites import SALSA, SIV, open_salsa, open_siv

MAX_PACKET = 10_024
HEADER = 28
FRAGMENT_HEADER = 16
FRAME = 0x06
MARKER = 0xFF
SECOND_OF_TWO = 0x21
FRAGMENTED = 0x40
PREFIX = 11
"""Verb, network id, ethertype."""
NOT_OURS = 2
"""A verdict: a suite that these kernels do not open."""


@kernel
def _suite(packet: int) -> int:
    return load_8(packet + 18) >> 3 & 7


@kernel
def gather(
    buffer: int, total: int, stride: int, start: int, me: int, spans: int, most: int, result: int
) -> int:
    """Write starts and sizes to `spans`, `most` of each; end and datagrams to `result`."""
    first, count, datagrams = start, 0, 0
    while start < total and count < most:
        end = min(start + stride, total)
        size = end - start
        packet = buffer + start
        if (
            size < HEADER
            or size > MAX_PACKET
            or load_8(packet + 13) == MARKER
            or (_suite(packet) != SALSA and _suite(packet) != SIV)
            or (get_32(packet + 8) << 8 | load_8(packet + 12)) != me
            or not is_equal(packet + 13, buffer + first + 13, 5)
        ):
            break
        used = 1
        if load_8(packet + 18) & FRAGMENTED:
            after = min(end + stride, total)
            fragment = buffer + end
            piece = after - end - FRAGMENT_HEADER
            if (
                piece <= 0
                or size + piece > MAX_PACKET
                or load_8(fragment + 13) != MARKER
                or load_8(fragment + 14) != SECOND_OF_TWO
                or not is_equal(fragment, packet, 13)
            ):
                break
            copy(fragment, fragment + FRAGMENT_HEADER, piece)
            size += piece
            end = after
            used = 2
        store_32(spans + 4 * count, start)
        store_32(spans + 4 * (most + count), size)
        count += 1
        datagrams += used
        start = end
    store_64(result, start)
    store_64(result + 8, datagrams)
    return count


@kernel
def open_all(
    buffer: int, starts: int, sizes: int, count: int, verdicts: int, ciphers: int, scratch: int
) -> int:
    """Open packets in place; a verdict of `NOT_OURS` leaves a packet as it was."""
    others = 0
    for index in range(count):
        packet = buffer + load_32(starts + 4 * index)
        size = load_32(sizes + 4 * index)
        suite = _suite(packet)
        if size < HEADER:
            store_8(verdicts + index, 0)
        elif suite == SIV:
            store_8(verdicts + index, open_siv(packet, size, ciphers, scratch))
        elif suite == SALSA:
            store_8(verdicts + index, open_salsa(packet, size, ciphers, scratch))
        else:
            store_8(verdicts + index, NOT_OURS)
            others += 1
    return others


@kernel
def run_length(buffer: int, total: int, starts: int, count: int, verdicts: int, first: int) -> int:
    """Count frames of a kind from one packet on; see `lane.gather.run_length`."""
    at = load_32(starts + 4 * first)
    packet = buffer + at
    if load_8(packet + 27) != FRAME or _suite(packet) == 0 or load_8(verdicts + first) == 0:
        return 0
    index = first + 1
    if at + 27 + PREFIX > total:
        return 1
    while index < count and load_8(verdicts + index):
        other_at = load_32(starts + 4 * index)
        other = buffer + other_at
        if (
            other_at + 27 + PREFIX > total
            or (load_8(other + 18) ^ load_8(packet + 18)) & 7
            or _suite(other) == 0
            or not is_equal(other + 27, packet + 27, PREFIX)
        ):
            break
        index += 1
    return index - first


# -- joining ---------------------------------------------------------------------------------

ETHERNET = 14
TCP = 6
TCP_SIZE = 20
FIN, SYN, RST, PSH, ACK, URG, CWR = 1, 2, 4, 8, 16, 32, 128
LONE_FLAGS = SYN | RST | URG
JOINED_FLAGS = FIN | PSH | CWR
MAX_TOTAL = 65_535


@kernel
def _payload_of(packet: int, size: int, ip_size: int) -> int:
    """Return the bytes of TCP payload in what may be joined, its checksums good; else 0."""
    tcp = packet + ip_size
    if size <= ip_size + TCP_SIZE:
        return 0
    if ip_size == 20:
        if (
            load_8(packet) != 0x45
            or load_8(packet + 9) != TCP
            or get_16(packet + 2) != size
            or load_8(packet + 6) & 0x3F
            or load_8(packet + 7)
            or ones_sum(packet, 20) != 0xFFFF
        ):
            return 0
        addresses = ones_sum(packet + 12, 8)
    else:
        if load_8(packet) >> 4 != 6 or load_8(packet + 6) != TCP or get_16(packet + 4) != size - 40:
            return 0
        addresses = ones_sum(packet + 8, 32)
    tcp_size = (load_8(tcp + 12) >> 4) * 4
    flags = load_8(tcp + 13)
    payload = size - ip_size - tcp_size
    if tcp_size < TCP_SIZE or payload <= 0 or flags & LONE_FLAGS or not flags & ACK:
        return 0
    total = addresses + TCP + size - ip_size + ones_sum(tcp, size - ip_size)
    return payload if fold(total) == 0xFFFF else 0


@kernel
def _has_same_headers(one: int, other: int, ip_size: int, headers: int) -> bool:
    """Tell whether headers differ only in what may differ within a run."""
    if ip_size == 20:
        if not (is_equal(one, other, 2) and is_equal(one + 6, other + 6, 4)):
            return False
        if not is_equal(one + 12, other + 12, 8):
            return False
    elif not (is_equal(one, other, 4) and is_equal(one + 6, other + 6, 34)):
        return False
    one, other = one + ip_size, other + ip_size
    return (
        is_equal(one, other, 4)
        and is_equal(one + 8, other + 8, 5)
        and not (load_8(one + 13) ^ load_8(other + 13)) & ~JOINED_FLAGS
        and is_equal(one + 14, other + 14, 2)
        and is_equal(one + 18, other + 18, headers - ip_size - 18)
    )


@kernel
def _identification_follows(
    begin: int, second: int, last: int, mine: int, number: int, is_atomic: bool
) -> bool:
    """See `inet.coalesce`: of the first two packets of a run, of the last, and of the next."""
    if mine == begin:
        return is_atomic and last == begin
    counts_up = number == 1 or second != begin
    return counts_up and mine == (begin + number) & 0xFFFF


@kernel
def _finish(first: int, ip_size: int, size: int, flags: int) -> None:
    """Make the first packet's headers those of all `size` bytes that were joined behind it."""
    tcp = first + ip_size
    store_8(tcp + 13, flags)
    if ip_size == 20:
        put_16(first + 2, size)
        put_16(first + 10, 0)
        put_16(first + 10, 0xFFFF - ones_sum(first, 20))
        pseudo = ones_sum(first + 12, 8)
    else:
        put_16(first + 4, size - 40)
        pseudo = ones_sum(first + 8, 32)
    put_16(tcp + 16, fold(pseudo + TCP + size - ip_size))


@kernel
def coalesce(
    buffer: int, starts: int, sizes: int, count: int, offset: int, header: int, out: int
) -> int:
    """Join frames where they lie; `out` takes start, size, header and segment size of each.

    The segment size is 0 where nothing was joined.
    """
    ethertype = get_16(header + 12)
    ip_size = 20 if ethertype == 0x0800 else 40 if ethertype == 0x86DD else 0
    frames = 0
    number = first = end = headers = segment = flags = 0  # of the run that may still grow
    last_payload = sequence = begin = second = last = 0
    for index in range(count):
        packet = buffer + load_32(starts + 4 * index) + offset
        size = load_32(sizes + 4 * index) - offset
        if size <= 0:
            continue
        payload = _payload_of(packet, size, ip_size) if ip_size else 0
        identification = get_16(packet + 4) if payload else 0
        if (
            payload
            and number
            and payload <= segment
            and last_payload == segment
            and size - payload == headers
            and get_32(packet + ip_size + 4) == sequence
            and not flags & (FIN | PSH)
            and not load_8(packet + ip_size + 13) & CWR
            and end - first + payload <= MAX_TOTAL
            and _has_same_headers(first, packet, ip_size, headers)
            and (
                ip_size == 40
                or _identification_follows(
                    begin, second, last, identification, number, load_8(packet + 6) & 0x40 != 0
                )
            )
        ):
            flags |= load_8(packet + ip_size + 13)
            copy(end, packet + headers, payload)
            end += payload
            number += 1
            if number == 2:
                second = identification
        else:
            if number > 1:
                _finish(first, ip_size, end - first, flags)
                _note(out + 16 * (frames - 1), end - first, headers, segment)
            copy(packet - ETHERNET, header, ETHERNET)
            store_32(out + 16 * frames, packet - buffer - ETHERNET)
            _note(out + 16 * frames, size, 0, 0)
            frames += 1
            number = 1 if payload else 0
            first, end, headers, segment = packet, packet + size, size - payload, payload
            flags = load_8(packet + ip_size + 13) if payload else 0
            begin = identification
            sequence = get_32(packet + ip_size + 4) if payload else 0
        last, last_payload = identification, payload
        sequence = (sequence + payload) & 0xFFFF_FFFF
    if number > 1:
        _finish(first, ip_size, end - first, flags)
        _note(out + 16 * (frames - 1), end - first, headers, segment)
    return frames


@kernel
def _note(entry: int, size: int, headers: int, segment: int) -> None:
    store_32(entry + 4, size + ETHERNET)
    store_32(entry + 8, headers + ETHERNET if segment else 0)
    store_32(entry + 12, segment)
