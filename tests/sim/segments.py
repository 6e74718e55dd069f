"""Cuts what a core delivers into the frames that a machine sees."""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

from tests.sim.packets import PROTOCOL_UDP, checksum, covered, ip_packet
from ztlink.batch import Delivery, Gso, SuperFrame

_ETHERNET: Final = 14


def frames_of(delivery: Delivery) -> Iterator[bytes]:
    """Return copies of the frames of a delivery; UDP super-frames are cut as a kernel would."""
    frame = delivery.frame
    data = bytes(frame.buffer)
    if frame.gso is Gso.NONE:
        yield _complete(data, frame) if frame.needs_checksum else data
        return
    assert frame.gso is Gso.UDP_L4, "the machines of the simulation speak no TCP"
    header, payload = data[: frame.header_size], data[frame.header_size :]
    for start in range(0, len(payload), frame.segment_size):
        yield _udp_frame(header, payload[start : start + frame.segment_size])


def _complete(data: bytes, frame: SuperFrame) -> bytes:
    """Compute the checksum over the pseudo header's sum, which is in its place, and the rest."""
    start = frame.checksum_start
    place = start + frame.checksum_offset
    total = checksum(data[start:])
    return data[:place] + (total or 0xFFFF).to_bytes(2, "big") + data[place + 2 :]


def _udp_frame(header: bytes, payload: bytes) -> bytes:
    ip, is_ipv4 = _ETHERNET, header[_ETHERNET] >> 4 == 4
    udp = header[-8:-4] + (len(payload) + 8).to_bytes(2, "big") + bytes(2) + payload
    span = slice(ip + 12, ip + 20) if is_ipv4 else slice(ip + 8, ip + 40)
    addresses = header[span]
    half = len(addresses) // 2
    source, destination = ip_address(addresses[:half]), ip_address(addresses[half:])
    total = checksum(covered(source, destination, PROTOCOL_UDP, udp)) or 0xFFFF
    udp = udp[:6] + total.to_bytes(2, "big") + payload
    return header[:ip] + ip_packet(source, destination, PROTOCOL_UDP, udp)
