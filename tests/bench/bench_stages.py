"""What a packet costs at each stage of the data lane, and an identity; engines side by side.

Prints microseconds per packet and the ratio of the plain engine to the portable one in the same
run; asserts nothing about time.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from ipaddress import ip_address

from ztlink.batch import CipherSuite, Gso, PacketBatch, Plan, SuperFrame
from ztlink.crypto.armor import armor, armor_one
from ztlink.crypto.kdf import PeerCipher, derive_session_keys
from ztlink.crypto.salsa import BACKENDS
from ztlink.crypto.work import generate, validate
from ztlink.ids import Address, Endpoint, SocketId
from ztlink.lane.engine import Engine
from ztlink.lane.plain import PlainEngine
from ztlink.lane.portable import PortableEngine
from ztlink.wire.packet import HEADER

ENGINES: dict[str, Engine] = {"plain": PlainEngine(), "portable": PortableEngine()}
SHAPES = ((1, 100), (22, 2814), (44, 1400))
SUITES = (CipherSuite.SALSA_POLY, CipherSuite.GMAC_SIV)
CIPHER = PeerCipher(derive_session_keys(bytes(range(48))))


def median_us(work: Callable[[], object], seconds: float) -> float:
    """Return the median microseconds of one call."""
    samples: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(samples) < 5:
        start = time.perf_counter()
        work()
        samples.append((time.perf_counter() - start) * 1e6)
    return statistics.median(samples)


def batch_of(count: int, size: int) -> PacketBatch:
    """Return packets that are yet to be sealed, one after the other."""
    batch = PacketBatch(memoryview(bytearray(count * size)))
    for index in range(count):
        HEADER.pack_into(
            batch.buffer, index * size, os.urandom(8), bytes(5), bytes(5), 0, bytes(8), 6
        )
        batch.append(index * size, size)
    return batch


def tcp_super_frame(segments: int, segment_size: int) -> SuperFrame:
    """Return a TCP super-frame as a TAP gives it."""
    ethernet = bytes(12) + b"\x08\x00"
    body = bytes(segments * segment_size)
    total = 40 + len(body)
    ipv4 = b"\x45\0" + (total & 0xFFFF).to_bytes(2, "big") + b"\0\0\x40\0\x40\x06\0\0" + bytes(8)
    tcp = bytes(12) + b"\x50\x10" + bytes(6)
    frame = memoryview(bytearray(ethernet + ipv4 + tcp + body))
    return SuperFrame(frame, Gso.TCPV4, 54, segment_size, True, 34, 16)


def plan_for(suite: CipherSuite, frames: int) -> Plan:
    """Return a plan for frames of a network."""
    return Plan(
        Address(1),
        Address(2),
        Endpoint(ip_address("10.0.0.1"), 9993),
        SocketId(1),
        1432,
        suite,
        b"\x06" + bytes(10),
        os.urandom(8 * frames),
    )


def reopen(sealed: PacketBatch, original: bytes, engine: Engine) -> None:
    """Open packets that were opened before: put back what opening them overwrote."""
    sealed.buffer[:] = original
    engine.inbound(sealed, CIPHER)


def opening(seconds: float) -> Iterator[str]:
    """Yield rows for opening packets."""
    for suite in SUITES:
        for count, size in SHAPES:
            sealed = batch_of(count, size)
            armor(sealed, CIPHER, suite)
            work = partial(reopen, sealed, bytes(sealed.buffer))
            figures = {
                name: median_us(partial(work, engine), seconds) / count
                for name, engine in ENGINES.items()
            }
            yield row(f"open {suite.name} {count} x {size}", figures)


def sending(seconds: float) -> Iterator[str]:
    """Yield rows for cutting, sealing and fragmenting super-frames."""
    for suite in SUITES:
        for segments, size in ((22, 2748), (44, 1348)):
            frame, plan = tcp_super_frame(segments, size), plan_for(suite, segments)
            figures = {
                name: median_us(partial(engine.outbound, frame, 14, CIPHER, plan), seconds)
                / segments
                for name, engine in ENGINES.items()
            }
            yield row(f"send {suite.name} {segments} x {size}", figures)


def row(what: str, figures: dict[str, float]) -> str:
    """Return a line of the table."""
    ratio = figures["plain"] / figures["portable"]
    cells = "  ".join(f"{name} {value:8.1f} us" for name, value in figures.items())
    return f"{what:34} {cells}  plain/portable {ratio:5.2f}"


def keystreams(seconds: float) -> Iterator[str]:
    """Yield rows for the sources of Salsa20/12."""
    arguments = [bytes(32)] * 22, [bytes(8)] * 22, [2850] * 22
    for name, backend in sorted(BACKENDS.items()):
        each = median_us(partial(backend, *arguments), seconds) / 22
        yield f"Salsa20/12 of 2850 bytes, {name:8} {each:8.1f} us"


def identities(count: int) -> Iterator[str]:
    """Yield rows for making and checking identities."""
    times = []
    for _ in range(count):
        start = time.perf_counter()
        made = generate(os.urandom)
        times.append(time.perf_counter() - start)
    start = time.perf_counter()
    validate(made.public)
    checked = time.perf_counter() - start
    median = statistics.median(times)
    yield f"make an identity: median of {count} {median:.2f} s, worst {max(times):.2f} s"
    yield f"check an identity: {checked:.3f} s"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.3, help="per figure")
    parser.add_argument("--identities", type=int, default=20)
    options = parser.parse_args()
    armor_one(bytearray(100), CIPHER, CipherSuite.GMAC_SIV)
    for rows in (
        opening(options.seconds),
        sending(options.seconds),
        keystreams(options.seconds),
        identities(options.identities),
    ):
        for line in rows:
            print(line, flush=True)


if __name__ == "__main__":
    main()
