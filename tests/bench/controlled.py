"""What the benchmarks of controllers share: the controller, its clients, and a table of figures."""

import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.lab.api import JsonObject
from tests.lab.background import Background
from tests.lab.errors import LabError
from tests.lab.lab import Host, Lab
from tests.lab.measure import Pings, parse_ended_pings
from tests.lab.mesh import Side, Workshop
from tests.lab.node import LabNode
from tests.lab.ours import ZtlinkNode
from tests.lab.planet import make_planet

Figures = dict[str, float]
TIMEOUT: Final = 120.0
_PAUSE: Final = 0.02
"""Seconds between two questions of somebody impatient, so that they cost little themselves."""
NETWORK: Final[JsonObject] = {
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
        sock.settimeout(TIMEOUT)
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
        self.longest = max(self.longest, time_of(lambda: self._keeper.ask("GET", "/status")))

    def close(self) -> None:
        """Close the connection."""
        self._keeper.close()


@dataclass(slots=True)
class Pinging:
    """A context in which a host pings an address two hundred times a second."""

    host: Host
    target: str
    pings: Pings | None = None
    """The outcome, once the context has ended."""
    _process: "subprocess.Popen[str] | None" = None

    def __enter__(self) -> Self:
        argv = (*self.host.namespace.entry, "ping", "-n", "-i0.005", self.target)
        self._process = subprocess.Popen(  # noqa: S603 - ours
            argv, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)  # it says what it has seen
        self.pings = parse_ended_pings(self._process.communicate(timeout=TIMEOUT)[0])


@dataclass(frozen=True, slots=True)
class Place:
    """A controller that is its own root, and what there is beside it."""

    node: LabNode
    beside: Host
    """For members."""
    member: LabNode
    """A node with a device, not started."""
    planet: bytes


@contextmanager
def controller(side: Side, workshop: Workshop) -> Iterator[Place]:
    """Run a controller, which may be a member too."""
    with tempfile.TemporaryDirectory() as directory, Lab(Path(directory)) as lab:
        node = workshop.make(lab, lab.host("control"), side)
        if isinstance(node, ZtlinkNode):
            node.options = ("--controller",)
        member = workshop.make(lab, lab.host("member"), side)
        beside = lab.host("members")
        planet = make_planet([(node.identity, node.host, node.port)])
        for one in (node, member):
            one.prepare(planet)
        node.start()
        yield Place(node, beside, member, planet)


def time_of(work: Callable[[], object]) -> float:
    """Return the seconds that something takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


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


def sides_of(names: str) -> tuple[Workshop, list[Side]]:
    """Return the sides that were named and can be made here, and who makes them."""
    reference = os.environ.get("ZEROTIER_ONE")
    workshop = Workshop(Path(reference) if reference else None)
    named = [Side(name) for name in names.split(",")]
    return workshop, [side for side in named if reference or side is Side.OURS]
