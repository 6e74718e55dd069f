"""Neighbouring frames of one flow joined to super-frames."""

from collections.abc import Iterator

from ztlink.batch import PacketBatch, SuperFrame


def coalesce(payloads: PacketBatch, header: bytes, *, per_frame: bool) -> Iterator[SuperFrame]:
    """Yield frames, each behind the Ethernet header."""
    for start, size in zip(payloads.starts, payloads.sizes, strict=True):
        yield SuperFrame(memoryview(bytearray(header + payloads.buffer[start : start + size])))
