"""The Internet checksum (RFC 1071)."""


def ones_sum(data: bytes | bytearray | memoryview) -> int:
    """Return the one's complement sum of 16-bit words, not complemented, folded to 16 bits."""
    if len(data) & 1:
        data = bytes(data) + b"\0"
    total = int.from_bytes(data, "big") % 0xFFFF
    return total if total or not any(data) else 0xFFFF


def fold(total: int) -> int:
    """Fold a sum to 16 bits."""
    total %= 0xFFFF
    return total


def checksum(data: bytes | bytearray | memoryview, start: int = 0) -> int:
    """Return the checksum of `data`, added to the sum `start`."""
    return 0xFFFF - fold(ones_sum(data) + start)
