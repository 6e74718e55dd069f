"""What bench_user_space compares with: the kernel's TCP over two nodes with TAP devices.

Nodes are the original where ZEROTIER_ONE names it, else ours.
"""

import os
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab.lab import Lab
from tests.lab.measure import Throughput, iperf
from tests.lab.mesh import Layout, Mesh, Side, Workshop, build_mesh
from tests.lab.node import LabNode

_PORT = 7777


@dataclass
class NodePair:
    """Two nodes in namespaces of their own, which see each other directly."""

    mesh: Mesh
    name: str

    def stream(self, *, is_down: bool, count: int = 1, seconds: float = 1) -> tuple[float, float]:
        """Return Mbit/s, and the CPU seconds of both nodes for a gigabyte."""
        ends = self.mesh.members[:2]
        sender, receiver = reversed(ends) if is_down else ends
        before = [end.running.cpu_seconds() for end in ends]
        result = self._iperf(sender, receiver, count, seconds)
        spent = sum(end.running.cpu_seconds() for end in ends) - sum(before)
        return result.bits_per_second / 1e6, spent / (result.size / 1e9)

    def _iperf(self, sender: LabNode, receiver: LabNode, count: int, seconds: float) -> Throughput:
        mesh = self.mesh
        options = ("-P", str(count))
        return iperf(
            mesh.lab,
            sender.host,
            receiver.host,
            mesh.ip(receiver),
            seconds=seconds,
            options=options,
        )

    def ping_pong(self, count: int) -> list[float]:
        """Return milliseconds of round trips of one byte over TCP."""
        one, other = self.mesh.members[:2]
        with ExitStack() as stack:
            server = stack.enter_context(closing(_tcp(other)))
            server.bind((self.mesh.ip(other), _PORT))
            server.listen()
            threading.Thread(target=_echo, args=(server,), daemon=True).start()
            client = stack.enter_context(closing(_tcp(one)))
            client.connect((self.mesh.ip(other), _PORT))
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            times = []
            for _ in range(count):
                began = time.perf_counter()
                client.send(b"x")
                client.recv(1)
                times.append((time.perf_counter() - began) * 1000)
            return times

    def ping_pong_beside(self, count: int, seconds: float = 3) -> list[float]:
        """Return the same while a stream goes on."""
        one, other = self.mesh.members[:2]
        with ThreadPoolExecutor(max_workers=1) as pool:
            bulk = pool.submit(self._iperf, other, one, 1, seconds)
            time.sleep(0.5)
            times: list[float] = []
            until = time.monotonic() + seconds - 1
            while len(times) < count and time.monotonic() < until:
                times += self.ping_pong(20)
            bulk.result()
            return times


def _tcp(node: LabNode) -> socket.socket:
    opened = node.host.namespace.open_socket(socket.AF_INET, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return opened


def _echo(server: socket.socket) -> None:
    accepted, _ = server.accept()
    with accepted:
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := accepted.recv(4096):
            accepted.send(data)


@contextmanager
def node_pair() -> Iterator[NodePair | None]:
    """Bring the nodes up; None where this machine does not let us, which is said."""
    reference = os.environ.get("ZEROTIER_ONE")
    if os.geteuid() != 0:
        print("beside no node: namespaces need root")
        yield None
        return
    if not reference:
        print("beside our own nodes with TAP devices: ZEROTIER_ONE names no original")
    side = Side.REFERENCE if reference else Side.OURS
    workshop = Workshop(Path(reference) if reference else None)
    with tempfile.TemporaryDirectory() as directory, Lab(Path(directory)) as lab:
        mesh = build_mesh(lab, Layout(side, side, (side, side)), workshop)
        mesh.begin_directly()
        yield NodePair(mesh, "zerotier-one" if reference else "ztlink TAP")


def median(values: list[float]) -> float:
    """Return the median; NaN of nothing."""
    return statistics.median(values) if values else float("nan")
