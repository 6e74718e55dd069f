"""Measures a controller with ten thousand members, ours beside the original, in one run.

    python -m tests.bench.bench_controller [--members N] [--joining N] [--rounds N] [--sides S]

Run from the top of the repository, as root. With ZEROTIER_ONE naming a built zerotier-one, the
original is measured in the same run, rounds interleaved, and the last column is what ours takes of
what the original takes. Medians are shown. The machine is what it is: compare columns, not tables.
"""

import argparse
import http.client
import json
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.bench.swarm import Swarm
from tests.lab.api import JsonObject
from tests.lab.background import Background
from tests.lab.errors import LabError
from tests.lab.lab import Host, Lab
from tests.lab.mesh import Side, Workshop
from tests.lab.node import LabNode
from tests.lab.planet import make_planet
from tests.lab.wait import Stopwatch, wait_until

Figures = dict[str, float]
_MEGABYTE: Final = 1 << 20
_TIMEOUT: Final = 120.0
_HELLO_TIMEOUT: Final = 600.0
"""Proofs of work are checked meanwhile, one by one."""
_PAUSE: Final = 0.02
"""Seconds between two questions of somebody impatient, so that they cost little themselves."""
_NETWORK: Final[JsonObject] = {
    "name": "bench",
    "private": False,
    "v4AssignMode": {"zt": True},
    "v6AssignMode": {"rfc4193": True},
    "routes": [{"target": "10.64.0.0/10"}],
    "ipAssignmentPools": [{"ipRangeStart": "10.64.0.1", "ipRangeEnd": "10.127.255.254"}],
}


class Keeper:
    """A client that keeps its connection for as long as the other side does.

    A request is one segment, and what comes is acknowledged at once: a second segment would wait
    for the delayed acknowledgement of the first, and 40 ms would be measured that are nobody's.
    """

    def __init__(self, node: LabNode) -> None:
        self._node = node
        self._token = (node.home / "authtoken.secret").read_text().strip()
        self._socket: socket.socket | None = None

    def ask(self, method: str, path: str, body: JsonObject | None = None) -> bytes:
        """Send a request; return the body of the answer."""
        text = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nX-ZT1-Auth: {self._token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
        )
        for _ in range(2):
            try:
                return self._exchange(head.encode() + text, f"{method} {path}")
            except (ConnectionError, http.client.HTTPException):
                self.close()  # it was closed between two requests
        raise LabError(f"{method} {path}: no answer")

    def _exchange(self, request: bytes, what: str) -> bytes:
        sock = self._socket or self._connect()
        sock.sendall(request)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        answer = http.client.HTTPResponse(sock)
        answer.begin()
        content = answer.read()
        if answer.will_close:
            self.close()
        if answer.status != 200:
            raise LabError(f"{what}: {answer.status} {content[:200]!r}")
        return content

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self) -> socket.socket:
        sock = self._node.host.namespace.open_socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.settimeout(_TIMEOUT)
        sock.connect(("127.0.0.1", self._node.port))
        self._socket = sock
        return sock


class Impatient(Background):
    """A context that asks for the status again and again, and keeps how long that took at most.

    The answer takes the thread of the API and that of the packets: both must be free.
    """

    def __init__(self, node: LabNode) -> None:
        super().__init__()
        self.longest = 0.0
        self._keeper = Keeper(node)

    def step(self) -> None:
        """Ask once, after a pause."""
        time.sleep(_PAUSE)
        self.longest = max(self.longest, _time(lambda: self._keeper.ask("GET", "/status")))

    def close(self) -> None:
        """Close the connection."""
        self._keeper.close()


@contextmanager
def controller(side: Side, workshop: Workshop) -> Iterator[tuple[LabNode, Host, bytes]]:
    """Run a controller that is its own root; yield it, a host beside it, and the planet."""
    with tempfile.TemporaryDirectory() as directory, Lab(Path(directory)) as lab:
        node = workshop.make(lab, lab.host("control"), side, "controller")
        beside = lab.host("members")
        planet = make_planet([(node.identity, node.host, node.port)])
        node.prepare(planet)
        node.start()
        yield node, beside, planet


def measure_rest(node: LabNode, count: int) -> Figures:
    """Make members one by one, and list them."""
    keeper = Keeper(node)
    network = json.loads(keeper.ask("POST", f"/controller/network/{node.address}______", _NETWORK))
    path = f"/controller/network/{network['id']}"
    cpu, watch = node.running.cpu_seconds(), Stopwatch()
    for number in range(count):
        address = f"{0x1000000000 + 7919 * number:010x}"
        keeper.ask("POST", f"{path}/member/{address}", {"authorized": True})
    seconds = watch.seconds()
    cpu = node.running.cpu_seconds() - cpu
    figures = {
        "create by REST, ms each": seconds / count * 1000,
        "create by REST, ms CPU each": cpu / count * 1000,
        "resident after creating, MB": node.running.resident_bytes() / _MEGABYTE,
    }
    for name, where in (("list", f"{path}/member"), ("full list", f"/unstable{path}/member")):
        times = [_time(lambda where=where: keeper.ask("GET", where)) for _ in range(5)]  # type: ignore[misc] # bound at once
        figures[f"{name}, ms"] = statistics.median(times) * 1000
    figures["resident at the peak, MB"] = _peak_bytes(node) / _MEGABYTE
    keeper.close()
    return figures


def measure_start(node: LabNode) -> Figures:
    """Stop it, start it again, and ask until it answers."""
    node.stop()
    watch = Stopwatch()
    node.launch()
    wait_until(node.answers, timeout=_TIMEOUT, what="first answer", poll=0.01)
    return {
        "start to first answer, s": watch.seconds(),
        "start to first answer, s CPU": node.running.cpu_seconds(),
    }


def measure_joining(node: LabNode, beside: Host, planet: bytes, count: int) -> Figures:
    """Let members that it has never seen join all at once."""
    network_id = node.create_network(_NETWORK)
    with Swarm(beside, planet, node.identity.public, count) as swarm:
        swarm.say_hello(_HELLO_TIMEOUT)
        cpu, watch = node.running.cpu_seconds(), Stopwatch()
        swarm.join(int(network_id, 16), _TIMEOUT)
        seconds = watch.seconds()
        cpu = node.running.cpu_seconds() - cpu
        swarm.check_addresses()
        figures = {
            f"{count} join at once, s": seconds,
            "join, ms CPU each": cpu / count * 1000,
        }
        cpu = node.running.cpu_seconds()
        with Impatient(node) as impatient:
            pushed = swarm.time_push(
                lambda: node.update_network(network_id, {"mtu": 1400}), _TIMEOUT
            )
        figures |= {
            "GET /status meanwhile, ms": impatient.longest * 1000,
            "change to first member, ms": pushed[0] * 1000,
            f"change to all {count}, ms each": pushed[1] / count * 1000,
            "change, ms CPU each": (node.running.cpu_seconds() - cpu) / count * 1000,
        }
    return figures


def _time(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _peak_bytes(node: LabNode) -> int:
    for line in Path(f"/proc/{node.running.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def measure_side(side: Side, workshop: Workshop, members: int, joining: int) -> Figures:
    """Measure one kind of controller."""
    with controller(side, workshop) as (node, _, _):
        figures = measure_rest(node, members) | measure_start(node)
    if joining:
        with controller(side, workshop) as (node, beside, planet):
            figures |= measure_joining(node, beside, planet, joining)
    return figures


def table(rounds: Mapping[Side, Sequence[Figures]]) -> str:
    """Return the medians as text: a line for each figure, a column for each side, and the ratio."""
    names = list(dict.fromkeys(name for sides in rounds.values() for one in sides for name in one))
    lines = [f"{'':32}" + "".join(f"{side.value:>12}" for side in rounds) + f"{'ratio':>10}"]
    for name in names:
        values = [statistics.median([one[name] for one in sides]) for sides in rounds.values()]
        cells = "".join(f"{value:12.2f}" for value in values)
        ratio = f"{values[0] / values[1]:10.2f}" if len(values) == 2 and values[1] else ""
        lines.append(f"{name:32}{cells}{ratio}")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--members", type=int, default=10_000)
    parser.add_argument("--joining", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--sides", default="ztlink,reference")
    options = parser.parse_args(arguments)
    reference = os.environ.get("ZEROTIER_ONE")
    workshop = Workshop(Path(reference) if reference else None)
    named = [Side(name) for name in options.sides.split(",")]
    sides = [side for side in named if reference or side is Side.OURS]
    rounds: dict[Side, list[Figures]] = {side: [] for side in sides}
    for _ in range(options.rounds):
        for side in sides:
            measured = measure_side(side, workshop, options.members, options.joining)
            rounds[side].append(measured)
            sys.stderr.write(f"{side.value}: {measured}\n")
    sys.stdout.write(table(rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
