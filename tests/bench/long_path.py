"""A long path between two namespaces, for kernels without netem; and programs at its ends.

    python -m tests.bench.long_path A B DELAY LOSS

carries IP packets between a TUN device in either namespace, each so many seconds late, and drops a
share of them. The devices carry trains of datagrams in one piece (UDP_SEGMENT, UDP_GRO); a train
that loses some of its datagrams goes on as the pieces that are left.
"""

import fcntl
import os
import random
import select
import struct
import sys
import time
from collections import deque
from collections.abc import Iterator
from typing import Final

from tests.lab.namespace import Namespace
from ztlink.drivers.tap import (
    IFF_NO_PI,
    IFF_VNET_HDR,
    TUN_F_CSUM,
    TUNSETIFF,
    TUNSETOFFLOAD,
    VNET_HEADER,
    VNET_NEEDS_CSUM,
)
from ztlink.inet.checksum import checksum, fold, ones_sum

DEVICE: Final = "long0"
_IFF_TUN: Final = 0x0001
_TUN_F_USO: Final = 0x60
_GSO_UDP_L4: Final = 5
_SIZE_IP: Final = 20
_SIZE_HEADERS: Final = 28
_PROTOCOL_UDP: Final = 17
_MOST: Final = 1 << 16
_BUDGET: Final = 16
_CAPACITY: Final = 64 << 20
"""Bytes under way in one direction; what is more is lost."""


def open_tun() -> int:
    """Make the device in the namespace of this thread."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    flags = _IFF_TUN | IFF_NO_PI | IFF_VNET_HDR
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), flags))
    fcntl.ioctl(descriptor, TUNSETOFFLOAD, TUN_F_CSUM | _TUN_F_USO)
    return descriptor


def survivors(packet: bytes, loss: float) -> Iterator[bytes]:
    """Yield what is left of a packet, or of a train, with its virtio_net_hdr."""
    _, kind, _, step, _, _ = VNET_HEADER.unpack_from(packet)
    if not loss:
        yield packet
        return
    if kind != _GSO_UDP_L4:
        if random.random() >= loss:  # noqa: S311 - chance of a path
            yield packet
        return
    headers = packet[VNET_HEADER.size : VNET_HEADER.size + _SIZE_HEADERS]
    payload = memoryview(packet)[VNET_HEADER.size + _SIZE_HEADERS :]
    first = 0
    for start in range(0, len(payload), step):
        if random.random() < loss:  # noqa: S311
            if start > first:
                yield _train(headers, payload[first:start], step)
            first = start + step
    if first < len(payload):
        yield _train(headers, payload[first:], step)


def _train(headers: bytes, payload: memoryview, step: int) -> bytes:
    """Return datagrams of a train as a train of their own."""
    size = _SIZE_HEADERS + len(payload)
    ip = bytearray(headers[:_SIZE_IP])
    ip[2:4] = size.to_bytes(2, "big")
    ip[10:12] = bytes(2)
    ip[10:12] = checksum(ip).to_bytes(2, "big")
    udp_size = size - _SIZE_IP
    pseudo = fold(ones_sum(ip[12:20]) + _PROTOCOL_UDP + udp_size)
    udp = headers[_SIZE_IP : _SIZE_IP + 4] + struct.pack(">HH", udp_size, pseudo)
    is_train = len(payload) > step
    kind, step = (_GSO_UDP_L4, step) if is_train else (0, 0)
    head = VNET_HEADER.pack(VNET_NEEDS_CSUM, kind, _SIZE_HEADERS, step, _SIZE_IP, 6)
    return b"".join((head, ip, udp, payload))


class Direction:
    """One way of the path."""

    def __init__(self, source: int, target: int, delay: float, loss: float) -> None:
        self.source, self._target = source, target
        self._delay, self._loss = delay, loss
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._held = 0

    def read(self, now: float) -> None:
        """Take what comes in."""
        for _ in range(_BUDGET):
            try:
                packet = os.read(self.source, _MOST + VNET_HEADER.size)
            except BlockingIOError:
                return
            if self._held < _CAPACITY:
                for left in survivors(packet, self._loss):
                    self._waiting.append((now + self._delay, left))
                    self._held += len(left)

    def write(self, now: float) -> float | None:
        """Let out what has been under way long enough; return when there is more."""
        while self._waiting:
            due, packet = self._waiting[0]
            if due > now:
                return due
            self._waiting.popleft()
            self._held -= len(packet)
            try:
                os.write(self._target, packet)
            except OSError as error:  # the device is not up yet, or the host is behind
                print(f"lost at the end: {error}", file=sys.stderr)
        return None


def main(one: str, other: str, delay: str, loss: str) -> None:
    """Carry until the input ends."""
    first, second = (Namespace(name).within(open_tun) for name in (one, other))
    ways = [
        Direction(first, second, float(delay), float(loss)),
        Direction(second, first, float(delay), float(loss)),
    ]
    print("ready", flush=True)
    poll = select.epoll()
    for descriptor in (first, second, sys.stdin.fileno()):
        poll.register(descriptor, select.EPOLLIN)
    while True:
        now = time.monotonic()
        dues = [due for way in ways if (due := way.write(now)) is not None]
        wait = max(min(dues) - now, 0.0) if dues else 1.0
        ready = [descriptor for descriptor, _ in poll.poll(wait)]
        if sys.stdin.fileno() in ready:
            return
        for way in ways:
            if way.source in ready:
                way.read(time.monotonic())


if __name__ == "__main__":
    main(*sys.argv[1:])
