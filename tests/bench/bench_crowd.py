"""Measures how soon members join and hear of changes, at our controller beside the original.

    python -m tests.bench.bench_crowd [--members N,N...] [--rounds N] [--sides S] [--restart]

Run from the top of the repository, as root. Members are cores of ours, a socket each, all in one
process: they speak the real protocol over the laboratory's network. When a change reaches a member
is what the kernel says of its datagram; when it is applied depends on how busy that one process
is. Meanwhile a node with a device pings the controller over another of its networks, and somebody
asks its API. With ZEROTIER_ONE naming a built zerotier-one, the original is measured in the same
run. With --restart our controller, once it keeps its peers, most of whose proofs of work are still
to be checked, is killed and changes the network as soon as it is back; the original, as a root of
its own, forgets its members for minutes then. The machine is what it is: compare columns, not
tables.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Final

from tests.bench.controlled import (
    NETWORK,
    TIMEOUT,
    Figures,
    Impatient,
    Pinging,
    Place,
    controller,
    sides_of,
    table,
)
from tests.bench.swarm import Swarm
from tests.lab.measure import ping
from tests.lab.mesh import Side, Workshop
from tests.lab.wait import Stopwatch, wait_until

_HELLO_TIMEOUT: Final = 600.0
"""Proofs of work are checked meanwhile, one by one."""
_QUIET = NETWORK | {
    "name": "quiet",
    "routes": [{"target": "10.9.0.0/24"}],
    "ipAssignmentPools": [{"ipRangeStart": "10.9.0.1", "ipRangeEnd": "10.9.0.9"}],
}
"""Where nothing changes."""


def measure_joining(place: Place, swarm: Swarm, network_id: str) -> Figures:
    """Let members that the controller has never seen join all at once."""
    count, process = len(swarm.members), place.node.running
    cpu, watch = process.cpu_seconds(), Stopwatch()
    swarm.join(int(network_id, 16), TIMEOUT)
    seconds = watch.seconds()
    swarm.check_addresses()
    return {
        f"{count} join at once, s": seconds,
        "join, ms CPU each": (process.cpu_seconds() - cpu) / count * 1000,
    }


def measure_change(place: Place, swarm: Swarm, network_id: str, mtu: int, when: str) -> Figures:
    """Change the network; say when the members were reached, and what else had to wait."""
    count, process = len(swarm.members), place.node.running
    cpu = process.cpu_seconds()
    quiet = place.node.ipv4(_quiet_network(place))
    with Pinging(place.member.host, quiet) as pinging, Impatient(place.node) as impatient:
        reached, applied = swarm.time_push(
            lambda wanted: place.node.update_network(network_id, {"mtu": wanted}), mtu, TIMEOUT
        )
    assert pinging.pings is not None
    return {
        f"{when}: first member reached, ms": reached[0] * 1000,
        f"{when}: all {count} reached, ms": reached[-1] * 1000,
        f"{when}: all {count} applied, ms": applied[-1] * 1000,
        f"{when}: ms CPU each": (process.cpu_seconds() - cpu) / count * 1000,
        f"{when}: longest ping, ms": pinging.pings.longest,
        f"{when}: pings lost": pinging.pings.lost,
        f"{when}: longest GET /status, ms": impatient.longest * 1000,
    }


def _quiet_network(place: Place) -> str:
    """Return the network that the controller has joined."""
    return str(place.node.api.get_list("/network")[0]["id"])


def _join_quiet(place: Place) -> None:
    """Have the controller and a node with a device join a network, and talk."""
    network_id = place.node.create_network(_QUIET)
    place.member.start()
    for node in (place.node, place.member):
        node.join(network_id)
    for node in (place.node, place.member):
        node.wait_status(network_id, "OK")
    target = place.node.ipv4(network_id)
    _wait_ping(place, target)


def _wait_ping(place: Place, target: str) -> None:
    wait_until(
        lambda: ping(place.member.host, target, count=1).received,
        timeout=TIMEOUT,
        what="first ping",
    )


def _wait_back(place: Place) -> None:
    """Wait until the controller can be pinged again."""
    wait_until(place.node.answers, timeout=TIMEOUT, what="first answer")
    place.node.wait_status(_quiet_network(place), "OK")
    _wait_ping(place, place.node.ipv4(_quiet_network(place)))


def measure_restart(place: Place, swarm: Swarm, network_id: str) -> Figures:
    """Kill the controller, and have it change the network when it is back."""
    peers, count = place.node.home / "peers.d", len(swarm.members)
    swarm.run_during(
        lambda: wait_until(
            lambda: len(list(peers.iterdir())) > count, timeout=_HELLO_TIMEOUT, what="peers kept"
        ),
        _HELLO_TIMEOUT,
    )
    place.node.kill()
    place.node.launch()  # by this thread: with the one that starts it, a process ends
    swarm.run_during(lambda: _wait_back(place), TIMEOUT)
    return measure_change(place, swarm, network_id, 1500, "after kill -9")


def measure_side(side: Side, workshop: Workshop, count: int, *, restart: bool) -> Figures:
    """Measure one kind of controller."""
    with controller(side, workshop) as place:
        _join_quiet(place)
        network_id = place.node.create_network(NETWORK)
        with Swarm(place.beside, place.planet, place.node.identity.public, count) as swarm:
            swarm.say_hello(_HELLO_TIMEOUT)
            figures = measure_joining(place, swarm, network_id)
            swarm.run_during(lambda: None, TIMEOUT)
            figures |= measure_change(place, swarm, network_id, 1400, "change")
            if restart and side is Side.OURS:
                figures |= measure_restart(place, swarm, network_id)
    return figures


def main(arguments: Sequence[str]) -> int:
    """Measure and print a table for each number of members."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--members", default="100,1000")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--sides", default="ztlink,reference")
    parser.add_argument("--restart", action="store_true")
    options = parser.parse_args(arguments)
    workshop, sides = sides_of(options.sides)
    for count in map(int, options.members.split(",")):
        rounds: dict[Side, list[Figures]] = {side: [] for side in sides}
        for _ in range(options.rounds):
            for side in sides:
                measured = measure_side(side, workshop, count, restart=options.restart)
                rounds[side].append(measured)
                sys.stderr.write(f"{side.value}: {measured}\n")
        sys.stdout.write(table(rounds))
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
