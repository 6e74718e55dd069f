"""A small internet of network namespaces, private to one test and gone after it.

The middle is a switch: a namespace with a bridge and no way out. Public hosts and the outsides
of NAT routers hang on it with addresses of global scope, so that nodes treat them as they treat
the real internet; hosts behind a router have private ones. Names carry our process id: what a
killed run left behind is recognised by its dead process and swept by the next.
"""

import itertools
import os
import re
from collections.abc import Mapping
from contextlib import ExitStack
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from tests.lab.errors import LabError
from tests.lab.namespace import NETNS_DIRECTORY, Namespace, run
from tests.lab.process import Process
from tests.lab.rules import INSIDE, OUTSIDE, Nat, router_script, switch_script

PREFIX: Final = "ztlab"
_BRIDGE: Final = "br0"
_PUBLIC_V4: Final = IPv4Interface("44.1.0.0/16")
_PUBLIC_V6: Final = IPv6Interface("2001:db8:44::/64")
_STALE: Final = re.compile(rf"{PREFIX}(\d+)\.")
_MAX_NAME: Final = 10  # a device name has 15 characters, and ours add a few
_Interface = TypeVar("_Interface", IPv4Interface, IPv6Interface)
_lab_numbers = itertools.count(1)


class Place:
    """A namespace with a wire to the switch or to a router."""

    def __init__(self, name: str, namespace: Namespace, v4: IPv4Interface) -> None:
        self.name = name
        self.namespace = namespace
        self.v4 = v4
        self.v6: IPv6Interface | None = None

    @property
    def ips(self) -> tuple[IPv4Address | IPv6Address, ...]:
        """Its own addresses."""
        return (self.v4.ip,) if self.v6 is None else (self.v4.ip, self.v6.ip)


class Host(Place):
    """Where nodes run."""

    router: "Router | None" = None

    @property
    def public_ip(self) -> IPv4Address:
        """The IPv4 address that the others see."""
        return self.v4.ip if self.router is None else self.router.v4.ip


class Router(Place):
    """A NAT router: one public IPv4 address, hosts with private ones behind it."""

    def __init__(self, name: str, namespace: Namespace, v4: IPv4Interface, number: int) -> None:
        super().__init__(name, namespace, v4)
        self.inside = IPv4Interface(f"192.168.{number}.1/24")
        self.host_numbers = itertools.count(10)


class Lab:
    """A context with hosts, routers and processes; everything is removed at its end."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        """Logs, and the homes of nodes."""
        self._stem = f"{PREFIX}{os.getpid()}.{next(_lab_numbers)}"
        self._cleanup = ExitStack()
        self._numbers = itertools.count(1)
        self._router_numbers = itertools.count(1)
        self._log_numbers = itertools.count(1)
        self._blocked: list[tuple[str, str]] = []
        self._losses: dict[str, int] = {}
        self.switch = Namespace(f"{self._stem}.switch")
        self.hosts: dict[str, Host] = {}

    def __enter__(self) -> Self:
        sweep()
        with self._cleanup:
            self._own(self.switch)
            self.switch.ip("link", "add", _BRIDGE, "type", "bridge", "mcast_snooping", "0")
            self.switch.ip("link", "set", _BRIDGE, "up")
            self._cleanup = self._cleanup.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cleanup.close()

    def host(self, name: str, *, router: Router | None = None) -> Host:
        """Add a host: on the switch with IPv4 and IPv6, or behind a router with IPv4 alone."""
        namespace = self._namespace(name)
        if router is None:
            host = Host(name, namespace, self._public_v4())
            host.v6 = _nth(_PUBLIC_V6, int(host.v4.ip) & 0xFFFF)
            self._connect(name, namespace, self.switch, _BRIDGE)
        else:
            host = Host(name, namespace, _nth(router.inside, next(router.host_numbers)))
            host.router = router
            self._connect(name, namespace, router.namespace, INSIDE)
        self._address(host)
        if router is not None:
            namespace.ip("route", "add", "default", "via", str(router.inside.ip))
        self.hosts[name] = host
        return host

    def router(self, name: str, nat: Nat) -> Router:
        """Add a NAT router on the switch."""
        namespace = self._namespace(name)
        number = next(self._router_numbers)
        router = Router(name, namespace, self._public_v4(), number)
        self._connect(name, namespace, self.switch, _BRIDGE)
        self._address(router)
        namespace.ip("link", "add", INSIDE, "type", "bridge", "mcast_snooping", "0")
        namespace.ip("address", "add", str(router.inside), "dev", INSIDE)
        namespace.ip("link", "set", INSIDE, "up")
        namespace.sysctl("ipv4/ip_forward", "1")
        namespace.nft(router_script(nat))
        return router

    def block_udp(self, one: Place, other: Place) -> None:
        """Drop all UDP between two places, silently and in the middle of the net."""
        self._blocked.append((_port(one), _port(other)))
        self._apply()

    def unblock_udp(self) -> None:
        """Let all UDP pass again."""
        self._blocked.clear()
        self._apply()

    def lose(self, place: Place, percent: int) -> None:
        """Drop that share of what a place sends and of what it is sent, at random."""
        self._losses[_port(place)] = percent
        self._apply()

    def cut(self, place: Place) -> None:
        """Cut a place off; its own device sees nothing of it."""
        self.switch.run("bridge", "link", "set", "dev", _port(place), "state", "0")

    def restore(self, place: Place) -> None:
        """Undo `cut`."""
        self.switch.run("bridge", "link", "set", "dev", _port(place), "state", "3")

    def renumber(self, place: Place) -> None:
        """Give a public host or a router new addresses, as when it moves to another network."""
        place.namespace.ip("address", "flush", "dev", OUTSIDE, "scope", "global")
        place.v4 = self._public_v4()
        if place.v6 is not None:
            place.v6 = _nth(_PUBLIC_V6, int(place.v4.ip) & 0xFFFF)
        self._address(place)

    def rebind(self, router: Router) -> None:
        """Have a router forget all its mappings, as a box does that was restarted."""
        router.namespace.ip("link", "set", OUTSIDE, "down")
        router.namespace.ip("link", "set", OUTSIDE, "up")

    def forget_after(self, router: Router, seconds: int) -> None:
        """Have a router forget mappings that were not used for so long."""
        for key in ("nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"):
            router.namespace.sysctl(f"netfilter/{key}", str(seconds))

    def start(
        self,
        place: Place,
        *argv: str,
        log: str,
        environment: Mapping[str, str] | None = None,
    ) -> Process:
        """Start a process in a place; it is killed at the end at the latest."""
        file = self.directory / f"{next(self._log_numbers):02}-{place.name}-{log}.log"
        process = Process((*place.namespace.entry, *argv), file, environment=environment)
        self._cleanup.callback(process.kill)
        return process

    def _own(self, namespace: Namespace) -> None:
        self._cleanup.callback(namespace.delete)
        namespace.create()

    def _namespace(self, name: str) -> Namespace:
        if not re.fullmatch(rf"[a-z][a-z0-9]{{0,{_MAX_NAME - 1}}}", name):
            raise LabError(f"{name!r}: not a name of at most {_MAX_NAME} letters and digits")
        namespace = Namespace(f"{self._stem}.{name}")
        self._own(namespace)
        return namespace

    def _public_v4(self) -> IPv4Interface:
        return _nth(_PUBLIC_V4, next(self._numbers))

    def _connect(self, name: str, inner: Namespace, outer: Namespace, bridge: str) -> None:
        peer = ("peer", "name", name, "netns", outer.name)
        run("ip", "-n", inner.name, "link", "add", OUTSIDE, "type", "veth", *peer)
        outer.ip("link", "set", "dev", name, "master", bridge, "up")
        inner.ip("link", "set", OUTSIDE, "up")

    def _address(self, place: Place) -> None:
        place.namespace.ip("address", "add", str(place.v4), "dev", OUTSIDE)
        if place.v6 is not None:
            place.namespace.ip("address", "add", str(place.v6), "dev", OUTSIDE, "nodad")

    def _apply(self) -> None:
        self.switch.nft(switch_script(self._blocked, self._losses))


def sweep() -> None:
    """Remove the namespaces of labs whose process is gone."""
    for file in NETNS_DIRECTORY.glob(f"{PREFIX}*"):
        owner = _STALE.match(file.name)
        if owner and not Path(f"/proc/{owner[1]}").exists():
            Namespace(file.name).delete()


def _port(place: Place) -> str:
    """Return the port of the switch through which a place is reached."""
    if isinstance(place, Host) and place.router is not None:
        return place.router.name
    return place.name


def _nth(network: _Interface, number: int) -> _Interface:
    """Return the address of that number in a network."""
    first = int(network.network.network_address)
    return type(network)((first + number, network.network.prefixlen))
