"""What nodes send to keep in touch while nobody uses them: bytes a minute, Ethernet and all."""

import time
from typing import Final

from tests.bench.recovery_cases import START_TIMEOUT, Bench, Figures
from tests.lab.lab import Host, Lab
from tests.lab.measure import device_bytes, first_answer
from tests.lab.rules import OUTSIDE
from tests.sim.link import Datagram
from tests.sim.mesh import endpoint_of
from tests.sim.private_mesh import PrivateMesh

SIMULATED_PEERS: Final = 50
SPAN: Final = 120.0
SETTLING: Final = 30.0
OVERHEAD: Final = 42
"""Ethernet, IPv4 and UDP headers."""


def idle(lab: Lab, bench: Bench) -> Figures:
    """Measure a member that is alone on its network."""
    mesh = bench.mesh(lab, members=1)
    mesh.begin()
    return {"bytes a minute, idle": _sent_per_minute(mesh.members[0].host)}


def active_peers(lab: Lab, bench: Bench) -> Figures:
    """Measure a member that has just exchanged something with each of its peers."""
    mesh = bench.mesh(lab, members=bench.peers + 1)
    one, _ = mesh.begin_talking(timeout=START_TIMEOUT)
    for other in mesh.members[1:]:
        first_answer(one.host, mesh.ip(other), timeout=START_TIMEOUT)
    return {f"bytes a minute, {bench.peers} active peers": _sent_per_minute(one.host)}


def _sent_per_minute(host: Host) -> float:
    time.sleep(SETTLING)
    before = device_bytes(host, OUTSIDE)[1]
    time.sleep(SPAN)
    return (device_bytes(host, OUTSIDE)[1] - before) * 60.0 / SPAN


def simulated(peers: int, *, span: float = SPAN) -> float:
    """Return the bytes a minute that one of ours sends that has so many active peers."""
    mesh = PrivateMesh(1)
    one = mesh.add_member("one")
    others = [mesh.add_member(f"peer {number}") for number in range(peers)]
    mesh.wait_joined(mesh.network)
    for other in others:
        mesh.ping(one, other, mesh.network)
        mesh.wait_direct(one, other)
    mesh.run(SETTLING)
    sent = 0
    source = endpoint_of(one)

    def count(datagram: Datagram) -> None:
        nonlocal sent
        if datagram.source == source:
            sent += len(datagram.payload) + OVERHEAD

    mesh.world.watch(count)
    mesh.run(span)
    return sent * 60.0 / span
