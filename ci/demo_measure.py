"""What the demo measures between its nodes: paths, round trips, throughput."""

import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from ci.demo_lab import DemoError, Lab, say, wait_for
from ci.demo_report import (
    Member,
    Pair,
    complaint_of,
    endpoint_of,
    parse_iperf,
    parse_ping,
    shorten,
)

TRANSFER: Final = 3  # seconds of TCP
LISTENING: Final = 5  # seconds that the receiver has to open its port

# Without iperf3: one end counts what comes and says how fast it came, the other sends.
RECEIVER: Final = """
import socket, sys, time
with socket.create_server((sys.argv[1], 5201)) as server:
    server.settimeout(15)
    stream, _ = server.accept()
    start, count = time.monotonic(), 0
    while data := stream.recv(1 << 20):
        count += len(data)
    print(count * 8 / (time.monotonic() - start))
"""
SENDER: Final = """
import socket, sys, time
with socket.create_connection((sys.argv[1], 5201), 5) as stream:
    end, data = time.monotonic() + float(sys.argv[2]), bytes(1 << 18)
    while time.monotonic() < end:
        stream.sendall(data)
"""


def ping(lab: Lab, source: str, target: str | None, *options: str) -> float | None:
    """Return the mean round trip; None where nothing comes back."""
    if target is None:
        return None
    command = ("ping", "-q", "-W", "1", *options, target)
    try:
        return parse_ping(lab.inside(source, *command))
    except DemoError:
        return None


def measure_pairs(lab: Lab, members: list[Member]) -> list[Pair]:
    """Let everyone ping everyone: first until the ways are direct, then to measure."""
    count = len(members)
    # In each round everyone asks one other, and is asked by one.
    rounds = [
        [(members[i], members[(i + step) % count]) for i in range(count)]
        for step in range(1, count)
    ]
    ways = [way for turn in rounds for way in turn]

    def look(source: Member, target: Member) -> str | None:
        return endpoint_of(lab.ztlink_json(source.name, "peers"), target.address)

    def all_direct() -> bool:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda way: ping(lab, way[0].name, way[1].ipv4, "-c1"), ways))
        return all(look(*way) for way in ways)

    try:
        wait_for("direct paths", all_direct)
        say("all pairs have found each other directly")
    except DemoError as error:
        say(str(error))  # the table tells which

    def measure(way: tuple[Member, Member]) -> Pair:
        source, target = way
        options = ("-c6", "-i0.2")
        ping4 = ping(lab, source.name, target.ipv4, *options)
        ping6 = ping(lab, source.name, target.ipv6, *options)
        return Pair(source.name, target.name, look(source, target), ping4, ping6)

    pairs: list[Pair] = []
    for turn in rounds:
        with ThreadPoolExecutor(count) as pool:
            pairs += pool.map(measure, turn)
    return sorted(pairs, key=lambda pair: pair.name)


def measure_throughput(lab: Lab, source: Member, target: Member) -> float | None:
    """Return the bits per second of one TCP connection; None where none came about."""
    if target.ipv4 is None:
        return None
    iperf = shutil.which("iperf3")
    tool = "iperf3" if iperf else "a sender of its own"
    say(f"TCP from {source.name} to {target.name} for {TRANSFER} s, by {tool}")
    log = lab.directory / f"{target.name}.tcp"
    if iperf:
        server = ["iperf3", "-s", "-1", "-B", target.ipv4]
        client = ["iperf3", "-J", "-t", str(TRANSFER), "-c", target.ipv4]
    else:
        server = [sys.executable, "-c", RECEIVER, target.ipv4]
        client = [sys.executable, "-c", SENDER, target.ipv4, str(TRANSFER)]
    serving = lab.start(target.name, *server, log=log)
    deadline = time.monotonic() + LISTENING
    while True:
        try:
            output = lab.inside(source.name, *client)
            if iperf and (complaint := complaint_of(output)):
                raise DemoError(complaint)
            break
        except DemoError as error:
            if time.monotonic() > deadline:
                say(f"  nothing came: {shorten(str(error))}")
                return None
            time.sleep(0.2)
            if serving.poll() is not None:  # it takes one connection, and that one went wrong
                serving = lab.start(target.name, *server, log=log)
    if iperf:
        return parse_iperf(output)
    try:
        return float(log.read_text()) if serving.wait(5) == 0 else None
    except subprocess.TimeoutExpired:
        return None
