"""Measurements: round trips, throughput, open ports, bytes on a wire."""

import json
import os
import re
import socket
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final, Literal

from tests.lab.errors import LabError
from tests.lab.lab import Host, Lab, Place
from tests.lab.namespace import run
from tests.lab.wait import Stopwatch, wait_until

_PING_COUNTS: Final = re.compile(r"(\d+) packets transmitted, (\d+) received")
_PING_TIMES: Final = re.compile(r"= ([\d.]+)/([\d.]+)/([\d.]+)/")
_PING_ANSWER: Final = re.compile(r"bytes from .*icmp_seq=(\d+) ")
_IPERF_PORT: Final = 5201
_IPERF_MARGIN: Final = 15.0
_DATAGRAM_INTERVAL: Final = 0.2


@dataclass(frozen=True, slots=True)
class Pings:
    """The outcome of a row of pings; times in milliseconds, NaN without an answer."""

    sent: int
    received: int
    shortest: float
    average: float
    longest: float

    @property
    def lost(self) -> int:
        """Pings without an answer."""
        return self.sent - self.received


@dataclass(frozen=True, slots=True)
class Throughput:
    """The outcome of an iperf3 run, as the receiver saw it."""

    bits_per_second: float
    size: int
    """Bytes received."""
    lost_percent: float
    """Of UDP datagrams."""
    by_second: tuple[float, ...] = ()
    """Bits that the sender got rid of in each second."""


def parse_pings(text: str) -> Pings:
    """Read the summary that `ping` prints."""
    counts = _PING_COUNTS.search(text)
    if counts is None:
        raise LabError(f"ping: no summary in {text[-300:]!r}")
    times = _PING_TIMES.search(text)
    nothing = float("nan")
    shortest, average, longest = map(float, times.groups()) if times else (nothing,) * 3
    return Pings(int(counts[1]), int(counts[2]), shortest, average, longest)


def parse_ended_pings(text: str) -> Pings:
    """Read what a `ping` printed that was ended, with a line for each answer.

    What was under way then is not lost: only what a later one was answered before is.
    """
    numbers = {int(number) for number in _PING_ANSWER.findall(text)}
    if not numbers:
        raise LabError(f"ping: no answer in {text[-300:]!r}")
    return replace(parse_pings(text), sent=max(numbers), received=len(numbers))


def ping(
    host: Host,
    target: str,
    *,
    count: int = 3,
    size: int = 56,
    interval: float = 0.2,
    wait: float = 1.0,
    source: str | None = None,
) -> Pings:
    """Ping from a host; `wait` is for each answer."""
    argv = ["ping", "-n", "-q", f"-c{count}", f"-s{size}", f"-i{interval}", f"-W{wait}"]
    argv += ["-I", source] if source else []
    return parse_pings(host.namespace.run(*argv, target, check=False))


def first_answer(host: Host, target: str, *, timeout: float, interval: float = 0.05) -> float:
    """Ping at once and again at short intervals; return the seconds until the first answer.

    Not done with `ping`, which gives up when the kernel reports an unresolved neighbour.
    """
    is_v6 = ":" in target
    family, protocol, kind, answer = (
        (socket.AF_INET6, socket.IPPROTO_ICMPV6, 128, 129)
        if is_v6
        else (socket.AF_INET, socket.IPPROTO_ICMP, 8, 0)
    )
    identifier = os.getpid() & 0xFFFF
    echo = _icmp(kind, identifier)
    watch = Stopwatch()
    with closing(host.namespace.open_socket(family, socket.SOCK_RAW, protocol)) as sock:
        sock.settimeout(interval)
        while watch.seconds() < timeout:
            with suppress(OSError):  # no route yet, or no neighbour yet
                sock.sendto(echo, (target, 0))
            if _is_answered(sock, answer, identifier, is_v6=is_v6, interval=interval):
                return watch.seconds()
    raise LabError(f"{host.name}: no answer from {target} within {timeout:g} s")


def _icmp(kind: int, identifier: int) -> bytes:
    """Return an echo request; its four words are summed by hand (the kernel does it for v6)."""
    words = (kind << 8, identifier, 1)
    total = sum(words)
    total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!HHHH", kind << 8, ~total & 0xFFFF, identifier, 1)


def _is_answered(
    sock: socket.socket, answer: int, identifier: int, *, is_v6: bool, interval: float
) -> bool:
    watch = Stopwatch()
    while watch.seconds() < interval:
        try:
            packet = sock.recv(2048)
        except OSError:  # nothing in time, or an error that the kernel reports for an earlier ping
            continue
        message = packet if is_v6 else packet[(packet[0] & 15) * 4 :]
        if message[0] == answer and message[4:6] == identifier.to_bytes(2, "big"):
            return True
    return False


def iperf(
    lab: Lab,
    sender: Host,
    receiver: Host,
    target: str,
    *,
    seconds: float = 5,
    protocol: Literal["tcp", "udp"] = "tcp",
    options: tuple[str, ...] = (),
) -> Throughput:
    """Send to `target` on the receiver for some seconds."""
    server = lab.start(receiver, "iperf3", "-s", "-1", "--forceflush", "-B", target, log="iperf3")
    wait_until(lambda: "listening" in server.output, timeout=5, what="iperf3: server")
    kind = ("-u",) if protocol == "udp" else ()
    client = (*sender.namespace.entry, "iperf3", "-J", "-c", target, f"-t{seconds:g}")
    try:
        report = json.loads(run(*client, *kind, *options, check=False))
        if "error" in report:
            raise LabError(f"iperf3 to {target}: {report['error']}")
        server.wait(_IPERF_MARGIN)
    finally:
        server.kill()
    received = report["end"]["sum" if protocol == "udp" else "sum_received"]
    by_second = tuple(part["sum"]["bits_per_second"] for part in report["intervals"])
    lost = received.get("lost_percent", 0.0)
    return Throughput(received["bits_per_second"], received["bytes"], lost, by_second)


@contextmanager
def listener(host: Host, ip: str, port: int) -> Iterator[None]:
    """Listen for TCP; the kernel completes handshakes by itself."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    with closing(host.namespace.open_socket(family, socket.SOCK_STREAM)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((ip, port))
        server.listen(16)
        yield


def connects(client: Host, ip: str, port: int, *, timeout: float = 2.5) -> bool:
    """Tell whether TCP connects in time; a refusal by the kernel is an error of the test."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    with closing(client.namespace.open_socket(family, socket.SOCK_STREAM)) as sock:
        sock.settimeout(timeout)
        try:
            sock.connect((ip, port))
        except TimeoutError:
            return False
        return True


def device_bytes(place: Place, device: str) -> tuple[int, int]:
    """Return the bytes received and sent by a device."""
    (link,) = json.loads(place.namespace.ip("-j", "-s", "link", "show", "dev", device))
    stats = link["stats64"]
    return stats["rx"]["bytes"], stats["tx"]["bytes"]


def datagram_arrives(
    sender: Host, receiver: Host, target: str, *, source: str = "", timeout: float = 2.0
) -> bool:
    """Tell whether one of a few UDP datagrams crosses: one way, nothing comes back."""
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    watch = Stopwatch()
    with (
        closing(receiver.namespace.open_socket(family, socket.SOCK_DGRAM)) as server,
        closing(sender.namespace.open_socket(family, socket.SOCK_DGRAM)) as client,
    ):
        server.bind((target, 0))
        server.settimeout(_DATAGRAM_INTERVAL)
        client.bind((source, 0))
        while watch.seconds() < timeout:
            with suppress(OSError):  # a neighbour that was not found is reported to the next send
                client.sendto(b"lab", (target, server.getsockname()[1]))
            with suppress(TimeoutError):
                return server.recv(64) == b"lab"
    return False
