"""Steps of the test on a cluster: a TCP connection in the overlay outlives a rolling update."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import IO, Any, Final

from ci.cluster.errors import ClusterError, expect
from ci.deploy import CHART
from ci.e2e_bench import Bench
from ci.e2e_report import Agent
from ci.e2e_routes import STREAM_PORT, samples_of

GAP: Final = "zerotier_link_handover_gap_seconds"
LIMIT: Final = 60.0  # seconds that both ends may take to end
RECEIVE: Final = """\
import hashlib, json, socket, sys, time
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("listens", flush=True)
connection, _ = server.accept()
connection.settimeout(120)
digest, count, pause, last = hashlib.sha256(), 0, 0.0, time.monotonic()
while chunk := connection.recv(1 << 16):
    now = time.monotonic()
    pause, last = max(pause, now - last), now
    digest.update(chunk)
    count += len(chunk)
print(json.dumps({"bytes": count, "digest": digest.hexdigest(), "pause": pause}))
"""
# Paced: what counts is when data arrive, not how many. It ends when its input does. Beside that it
# tells how far TCP's timer went, and how long it was kept waiting for a processor.
SEND: Final = """\
import hashlib, json, os, select, socket, sys, time
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)
connection.setblocking(False)
digest, count, timer, late, before = hashlib.sha256(), 0, 0, 0.0, time.monotonic()
rest = b""
while not select.select([sys.stdin], [], [], 0.02)[0]:
    late = max(late, time.monotonic() - before - 0.02)
    if not rest:
        rest = os.urandom(1 << 14)
        digest.update(rest)
        count += len(rest)
    try:
        rest = rest[connection.send(rest):]
    except BlockingIOError:
        pass
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 12)
    timer = max(timer, int.from_bytes(info[8:12], sys.byteorder))  # microseconds
    before = time.monotonic()
connection.settimeout(120)
connection.sendall(rest)
connection.close()
told = {"bytes": count, "digest": digest.hexdigest(), "timer": timer / 1e6, "late": late}
print(json.dumps(told))
"""


@dataclass(frozen=True, slots=True)
class Transferred:
    """What came out of it: all bytes arrived."""

    count: int
    pause: float
    """The longest time without data at the receiver, in seconds."""
    timer: float
    """How far the sender's retransmission timer went: it doubles while nothing gets through."""
    late: float
    """How long the sender was kept waiting for a processor: that part is the machine's."""

    def __str__(self) -> str:
        return (
            f"{self.count / 1e6:.1f} MB, all there; longest pause {self.pause:.1f} s, "
            f"retransmission timer up to {self.timer:.1f} s, sender late by {self.late:.1f} s"
        )


class Transfer:
    """Bytes that one node sends another, all the time, over one connection."""

    def __init__(self, bench: Bench, sender: Agent, receiver: Agent) -> None:
        """Open the connection."""
        self.receiver = _start(bench, receiver, RECEIVE, receiver.ip)
        self._sender: subprocess.Popen[str] | None = None
        try:
            expect(_out(self.receiver).readline() == "listens\n", "the receiver does not listen")
            self._sender = _start(bench, sender, SEND, receiver.ip)
        except BaseException:
            self.end()
            raise

    def finish(self) -> Transferred:
        """Close it and compare both ends."""
        assert self._sender is not None
        sent, received = _last_word(self._sender), _last_word(self.receiver)
        same = all(sent[key] == received[key] for key in ("bytes", "digest"))
        expect(same, f"sent {sent['bytes']} bytes, received {received['bytes']}, or others")
        return Transferred(sent["bytes"], received["pause"], sent["timer"], sent["late"])

    def end(self) -> None:
        """End both sides, however far they are."""
        for process in (self._sender, self.receiver):
            if process is not None:
                process.kill()
                process.communicate()


def _start(bench: Bench, agent: Agent, script: str, ip: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, ip, str(STREAM_PORT)]
    return subprocess.Popen(
        [*bench.cluster.enter_network(agent.node), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _out(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdout is not None
    return process.stdout


def _last_word(process: subprocess.Popen[str]) -> dict[str, Any]:
    try:
        said, complaint = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"a side of the transfer does not end after {LIMIT:.0f} s") from error
    if process.returncode:
        raise ClusterError(f"the transfer broke: {complaint.strip().splitlines()[-1:]}")
    found: dict[str, Any] = json.loads(said)
    return found


def helm_upgrade(bench: Bench) -> str:
    """Upgrade to other pods, one by one: members stay who they are, a connection stays open."""
    before = {agent.node: agent for agent in bench.agents}
    first, *_, last = bench.agents
    begin = time.monotonic()
    transfer = Transfer(bench, last, first)
    try:
        options = ("--reuse-values", "--set=agent.podAnnotations.upgraded=yes")
        bench.helm_run("upgrade", bench.wish.release, str(CHART), *options)
        bench.wait_rolled_out(f"daemonset/{bench.wish.fullname}")
        bench.wait_agents()
        bench.ping_all(bench.agents)
        transferred = transfer.finish()
    finally:
        transfer.end()
    seconds = time.monotonic() - begin
    bench.expect_same(before)
    renewed = all(agent.pod != before[agent.node].pod for agent in bench.agents)
    expect(renewed, "a pod was not replaced, though its template has changed")
    gaps = [samples_of(bench, agent.node)[GAP] for agent in bench.agents]
    without = ", ".join(f"{gap:.1f}" for gap in gaps)
    return (
        f"all pods replaced, addresses kept, all pairs\n"
        f"TCP {last.node} to {first.node} in {seconds:.0f} s: {transferred}; "
        f"devices without a process for {without} s"
    )
