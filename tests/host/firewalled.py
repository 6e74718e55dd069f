"""A node with an overlay, a LAN and pods, each of which is a namespace at the other end of a veth.

The node is the namespace of the test's thread. Its rules see devices by their names, so a veth does
for the overlay's TAP.
"""

import contextlib
import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_interface, ip_network
from typing import Final

from tests.host.machine import give_address, ip
from tests.lab.errors import LabError
from tests.lab.namespace import Namespace
from ztlink.host.firewall.manager import FirewallManager
from ztlink.host.firewall.wanted import FirewallSettings, PortRange, Protocol, Service
from ztlink.host.overlay import Overlay
from ztlink.ids import Address, NetworkId

NETWORK: Final = NetworkId(0x8056C2E21C000001)
DEVICE: Final = "zttest0"
NODE: Final = "10.147.17.1"
"""The node, as the overlay sees it."""
NODE6: Final = "fd17::1"
PEER: Final = "10.147.17.2"
PEER6: Final = "fd17::2"
SECOND: Final = "10.147.17.3"
"""Another address of the peer."""
BEHIND_PEER: Final = "10.20.0.5"
LAN: Final = "192.168.7.2"
NODE_ON_LAN: Final = "192.168.7.1"
POD: Final = "10.42.0.2"
NODE_TO_POD: Final = "10.42.0.1"
SERVICE: Final = "10.96.0.1"
OVERLAY_MTU: Final = 1400
REFUSED_WITHIN: Final = 0.4
"""Seconds without an answer that count as refused; one that comes, comes in a few milliseconds."""
CLUSTER: Final = (ip_network("10.42.0.0/16"), ip_network("10.96.0.0/12"))

OVERLAY: Final = Overlay(
    network_id=NETWORK,
    own=Address(0x0102030405),
    device=DEVICE,
    index=0,
    mtu=OVERLAY_MTU,
    addresses=(ip_interface("10.147.17.1/24"),),
)


@dataclass(frozen=True)
class Surroundings:
    """Who is around the node."""

    peer: Namespace
    lan: Namespace
    pod: Namespace


@contextlib.contextmanager
def surroundings() -> Iterator[Surroundings]:
    """Have neighbours, in namespaces that end with this."""
    made = [Namespace(f"ztfire{os.getpid()}{role}") for role in ("peer", "lan", "pod")]
    try:
        for one in made:
            one.create()
        around = Surroundings(*made)
        _wire(around)
        yield around
    finally:
        for one in made:
            one.delete()


def _wire(around: Surroundings) -> None:
    ip("link", "set", "lo", "up")
    _connect(DEVICE, around.peer, f"{NODE}/24", f"{PEER}/24")
    _connect("lan0", around.lan, f"{NODE_ON_LAN}/24", f"{LAN}/24")
    _connect("cni0", around.pod, f"{NODE_TO_POD}/24", f"{POD}/24")
    give_address(DEVICE, f"{NODE6}/64")
    give_address("e0", f"{PEER6}/64", around.peer.ip)
    around.peer.ip("address", "add", f"{SECOND}/24", "dev", "e0")
    around.peer.ip("address", "add", f"{BEHIND_PEER}/32", "dev", "lo")
    for target in ("10.42.0.0/16", "10.96.0.0/12", "192.168.7.0/24"):
        around.peer.ip("route", "add", target, "via", NODE)
    ip("route", "add", "10.20.0.0/16", "via", PEER)
    around.pod.ip("route", "add", "default", "via", NODE_TO_POD)
    around.lan.ip("route", "add", "default", "via", NODE_ON_LAN)
    sysctl("net.ipv4.ip_forward", 1)
    sysctl("net.ipv6.conf.all.forwarding", 1)


def _connect(device: str, other: Namespace, ours: str, theirs: str) -> None:
    ip("link", "add", device, "type", "veth", "peer", "name", "e0", "netns", other.name)
    ip("address", "add", ours, "dev", device)
    ip("link", "set", device, "up")
    other.ip("address", "add", theirs, "dev", "e0")
    other.ip("link", "set", "e0", "up")


def sysctl(key: str, value: int) -> None:
    """Change a setting of the node's kernel."""
    subprocess.run(("sysctl", "-q", "-w", f"{key}={value}"), check=True)


def nft(*arguments: str, given: str | None = None) -> str:
    """Run the machine's `nft` at the node."""
    done = subprocess.run(
        ("nft", *arguments), input=given, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def ruleset() -> str:
    """Return all rules of the node, without what counters say."""
    return nft("-s", "list", "ruleset")


def service(protocol: str, *ports: int, **limits: object) -> Service:
    """Return a service; `sources` are texts."""
    sources = tuple(ip_network(str(one)) for one in _texts(limits.get("sources")))
    networks = limits.get("networks", ())
    assert isinstance(networks, tuple)
    ranges = tuple(PortRange(port, port) for port in ports)
    return Service(Protocol(protocol), ranges, sources=sources, networks=networks)


def _texts(given: object) -> tuple[object, ...]:
    return given if isinstance(given, tuple) else ()


async def load(settings: FirewallSettings, overlay: Overlay = OVERLAY) -> FirewallManager:
    """Return a manager whose rules are in force."""
    manager = FirewallManager()
    await manager.use(settings)
    await manager.follow({overlay.network_id: overlay})
    assert manager.conditions()[0].cause == ""
    return manager


# -- traffic -------------------------------------------------------------------------------------


def open_socket(where: Namespace | None, family: int, kind: int) -> socket.socket:
    """Open a socket at a neighbour, or at the node."""
    return socket.socket(family, kind) if where is None else where.open_socket(family, kind)


def family_of(address: str) -> int:
    return int(socket.AF_INET6 if ":" in address else socket.AF_INET)


@contextlib.contextmanager
def listening(
    where: Namespace | None,
    port: int,
    address: str = "0.0.0.0",  # noqa: S104 - in a namespace of its own
) -> Iterator[socket.socket]:
    """Have somebody listen for TCP; the kernel answers, whether it is accepted or not."""
    with open_socket(where, family_of(address), socket.SOCK_STREAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, port))
        server.listen()
        server.settimeout(5)
        yield server


def connect(
    where: Namespace | None, address: str, port: int, source: str | None = None
) -> socket.socket | None:
    """Return a connection from a neighbour, or from the node; None where nobody answers."""
    client = open_socket(where, family_of(address), socket.SOCK_STREAM)
    client.settimeout(REFUSED_WITHIN)
    if source is not None:
        client.bind((source, 0))
    try:
        client.connect((address, port))
    except TimeoutError:
        client.close()
        return None
    client.settimeout(5)
    return client


def reaches(where: Namespace | None, address: str, port: int, source: str | None = None) -> bool:
    """Tell whether a connection comes about."""
    client = connect(where, address, port, source)
    if client is None:
        return False
    client.close()
    return True


def pings(where: Namespace, address: str) -> bool:
    """Tell whether an echo comes back."""
    try:
        where.run("ping", "-n", "-c", "1", "-W", "1", address)
    except LabError:
        return False
    return True


def datagram_arrives(
    where: Namespace, address: str, port: int, at: Namespace | None = None
) -> bool:
    """Tell whether a datagram from a neighbour is received."""
    family = family_of(address)
    with (
        open_socket(at, family, socket.SOCK_DGRAM) as server,
        open_socket(where, family, socket.SOCK_DGRAM) as client,
    ):
        server.bind((address, port))
        server.settimeout(REFUSED_WITHIN)
        client.sendto(b"hello", (address, port))
        try:
            return server.recv(16) == b"hello"
        except TimeoutError:
            return False
