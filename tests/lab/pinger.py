"""Pings without end from a host, to see when traffic stopped and when it went on.

Not done with `ping`, which gives up when a device goes away, and devices do when nodes restart.
"""

import os
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from tests.lab.background import Background
from tests.lab.lab import Host
from tests.lab.wait import wait_until

INTERVAL: Final = 0.05
ANSWER_TIME: Final = 1.0
"""Seconds that an answer may take; a ping without one is lost."""
ROW: Final = 20
"""Answered pings in a row that show that traffic goes on."""
_POLL: Final = 0.1
_ECHO_REQUEST, _ECHO_REPLY = 8, 0


@dataclass(slots=True)
class Sent:
    """One ping."""

    time: float
    is_answered: bool = False


@dataclass(slots=True)
class PingLog:
    """What was sent and answered; the sender appends while others read."""

    sent: list[Sent] = field(default_factory=list)

    def answered(self, number: int, now: float) -> None:
        """Note an answer to the ping with this number, of which 16 bits are known."""
        last = len(self.sent) - 1
        index = last - ((last - number) & 0xFFFF)
        if index >= 0 and now - self.sent[index].time <= ANSWER_TIME:
            self.sent[index].is_answered = True

    def lost(self, since: float, now: float) -> list[float]:
        """Return when the pings were sent that had time to be answered, and were not."""
        end = now - ANSWER_TIME
        pings = list(self.sent)
        return [p.time for p in pings if since <= p.time < end and not p.is_answered]

    def resumed(self, since: float) -> float | None:
        """Return when the first of a row of answered pings was sent; None while there is none."""
        row: list[Sent] = []
        for ping in list(self.sent):
            if ping.time >= since:
                row = [*row, ping] if ping.is_answered else []
                if len(row) >= ROW:
                    return row[0].time
        return None


class Pinger(Background):
    """A context in which a host pings an IPv4 address twenty times a second."""

    def __init__(self, host: Host, target: str) -> None:
        super().__init__()
        self._target = target
        self._identifier = (os.getpid() ^ id(self) >> 4) & 0xFFFF
        self._socket = host.namespace.open_socket(
            socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP
        )
        self._log = PingLog()
        self._following = time.monotonic()
        self._name = f"{host.name} -> {target}"

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def wait_flowing(self, timeout: float = 30.0) -> None:
        """Wait until pings that are sent from now on are answered."""
        self.wait_resumed(time.monotonic(), timeout=timeout)

    def wait_resumed(self, since: float, *, timeout: float) -> float:
        """Wait until traffic flows that was sent after `since`; return the seconds it took."""
        wait_until(
            lambda: self._log.resumed(since) is not None,
            timeout=timeout,
            what=f"{self._name}: answers",
            poll=_POLL,
        )
        return (self._log.resumed(since) or since) - since

    def interruption(self, since: float, *, settle: float, timeout: float) -> float:
        """Return how long what happened at `since` kept pings from being answered.

        An interruption that begins later than `settle` seconds after it is not waited for.
        """
        wait_until(
            lambda: self.lost(since) or time.monotonic() > since + settle,
            timeout=settle + ANSWER_TIME,
            what="settling",
            poll=_POLL,
        )
        lost = self._log.lost(since, time.monotonic())
        if not lost:
            return 0.0
        return lost[0] - since + self.wait_resumed(lost[0], timeout=timeout)

    def lost(self, since: float) -> int:
        """Count the pings since then that had time to be answered, and were not."""
        return len(self._log.lost(since, time.monotonic()))

    def step(self) -> None:
        """Ping where it is time to, and take what comes until then."""
        now = time.monotonic()
        if now >= self._following:
            self._send(now)
            self._following = max(self._following + INTERVAL, now)
        self._receive(max(self._following - time.monotonic(), 0.001))

    def _send(self, now: float) -> None:
        number = len(self._log.sent) & 0xFFFF
        echo = echo_request(self._identifier, number)
        self._log.sent.append(Sent(now))
        with suppress(OSError):  # no device, no route or no neighbour: it counts as lost
            self._socket.sendto(echo, (self._target, 0))

    def _receive(self, seconds: float) -> None:
        self._socket.settimeout(seconds)
        try:
            packet = self._socket.recv(2048)
        except OSError:
            return
        message = packet[(packet[0] & 15) * 4 :]
        kind, _, _, identifier, number = struct.unpack_from("!BBHHH", message)
        if (kind, identifier) == (_ECHO_REPLY, self._identifier):
            self._log.answered(number, time.monotonic())


def echo_request(identifier: int, number: int) -> bytes:
    """Return an ICMP echo request without a payload."""
    total = (_ECHO_REQUEST << 8) + identifier + number
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!HHHH", _ECHO_REQUEST << 8, ~total & 0xFFFF, identifier, number)
