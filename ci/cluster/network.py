"""The network of a bench: a bridge in the control plane's namespace, a cable to each node.

Nothing of it is in the machine's own namespace. Nodes have 10.250.0.11 and on, their pods
10.244.<number>.0/24; the API server is 10.250.0.1, and 10.96.0.1 for who asks by its Service.
"""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ci.cluster.errors import ClusterError

API: Final = "10.250.0.1"
API_SERVICE: Final = "10.96.0.1"
SERVICES: Final = "10.96.0.0/16"
PODS: Final = "10.244.0.0/16"
BRIDGE: Final = "bridge"
CONTROL: Final = "control"
SERVER: Final = f"https://{API}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node is."""

    name: str
    number: int  # from 1

    @property
    def address(self) -> str:
        return f"10.250.0.{10 + self.number}"

    @property
    def pods(self) -> str:
        return f"10.244.{self.number}.0/24"


def places(names: Sequence[str]) -> list[Place]:
    """Give each node its number."""
    return [Place(name, number) for number, name in enumerate(names, 1)]


def control_plan(namespace: str) -> list[list[str]]:
    """Return the commands that make the control plane's namespace."""
    inside = ["ip", "-n", namespace]
    return [
        ["ip", "netns", "add", namespace],
        [*inside, "link", "set", "lo", "up"],
        [*inside, "link", "add", BRIDGE, "type", "bridge"],
        [*inside, "address", "add", f"{API}/24", "dev", BRIDGE],
        [*inside, "address", "add", f"{API_SERVICE}/32", "dev", BRIDGE],
        [*inside, "link", "set", BRIDGE, "up"],
        _forward(namespace),
    ]


def node_plan(
    control: str, namespace: str, place: Place, all_places: Sequence[Place]
) -> list[list[str]]:
    """Return the commands that make a node's namespace and plug it in."""
    inside, outside = ["ip", "-n", namespace], ["ip", "-n", control]
    peer = ["peer", "name", place.name, "netns", control]
    others = [other for other in all_places if other != place]
    return [
        ["ip", "netns", "add", namespace],
        ["ip", "link", "add", "eth0", "netns", namespace, "type", "veth", *peer],
        [*outside, "link", "set", "dev", place.name, "master", BRIDGE, "up"],
        [*inside, "link", "set", "lo", "up"],
        [*inside, "link", "set", "eth0", "up"],
        [*inside, "address", "add", f"{place.address}/24", "dev", "eth0"],
        [*inside, "route", "add", "default", "via", API],
        [*outside, "route", "add", place.pods, "via", place.address],
        *([*inside, "route", "add", other.pods, "via", other.address] for other in others),
        _forward(namespace),
    ]


def _forward(namespace: str) -> list[str]:
    return enter(namespace, "sysctl", "-qw", "net.ipv4.ip_forward=1")


def enter(namespace: str, *command: str) -> list[str]:
    """Return a command that runs in a network namespace, and sees the machine's /sys as it is.

    `ip netns exec` would mount another /sys, without control groups.
    """
    return ["nsenter", f"--net=/run/netns/{namespace}", *command]


def run(*command: str, timeout: float = 30.0) -> str:
    """Run a command and return what it printed; ClusterError with its complaint where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"no end after {timeout:.0f} s: {' '.join(command)}") from error
    except FileNotFoundError as error:
        raise ClusterError(f"{command[0]} is not in PATH") from error
    if done.returncode:
        complaint = (done.stderr or done.stdout).strip() or f"exit status {done.returncode}"
        raise ClusterError(f"{' '.join(command)}: {complaint}")
    return done.stdout
