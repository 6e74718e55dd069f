"""A root, a controller and members, of either kind, on one network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final

from tests.lab.api import JsonObject
from tests.lab.errors import LabError
from tests.lab.lab import Host, Lab, Router
from tests.lab.measure import first_answer
from tests.lab.node import DEFAULT_PORT, START_TIMEOUT, LabNode, Role, fresh_identity
from tests.lab.ours import ZtlinkNode
from tests.lab.planet import make_planet
from tests.lab.reference import ReferenceNode
from tests.lab.wait import wait_until

NETWORK: Final[JsonObject] = {
    "name": "lab",
    "private": False,
    "v4AssignMode": {"zt": True},
    "v6AssignMode": {"rfc4193": True, "6plane": True},
    "routes": [{"target": "10.77.0.0/24"}],
    "ipAssignmentPools": [{"ipRangeStart": "10.77.0.10", "ipRangeEnd": "10.77.0.200"}],
}
"""A public network that gives addresses of every kind."""

PRIVATE_NETWORK: Final[JsonObject] = {**NETWORK, "private": True}
"""The same, where each member waits to be authorised."""

TALKING_TIMEOUT: Final = 20.0
"""Seconds from being configured to the first answer of another member."""
DIRECT_TIMEOUT: Final = 60.0
CONFIG_TIMEOUT: Final = 75.0
"""A pushed configuration may be lost; the reference asks again after 60 s."""


class Side(Enum):
    """Which kind of node."""

    OURS = "ztlink"
    REFERENCE = "reference"


@dataclass(frozen=True, slots=True)
class Layout:
    """Who plays which part."""

    root: Side
    controller: Side
    members: tuple[Side, ...]

    def __str__(self) -> str:
        members = "+".join(side.value for side in self.members)
        return f"{members} under {self.root.value} root, {self.controller.value} controller"


@dataclass(frozen=True, slots=True)
class Workshop:
    """Makes nodes of both kinds."""

    zerotier_one: Path | None = None
    substitutes: Mapping[Side, Side] = field(default_factory=dict)
    """Sides to play for others: so tests are tried out with one kind of node alone."""

    def make(self, lab: Lab, host: Host, side: Side, role: Role = "node") -> LabNode:
        """Make a node of that side on a host; it is not started."""
        identity = fresh_identity(lab)
        if self.substitutes.get(side, side) is Side.OURS:
            return ZtlinkNode(lab, host, role, identity)
        if self.zerotier_one is None:
            raise LabError("a reference node is wanted, and no zerotier-one was named")
        return ReferenceNode(lab, host, role, identity, zerotier_one=self.zerotier_one)


@dataclass(slots=True)
class Mesh:
    """Nodes under one root, and a network of one controller."""

    lab: Lab
    root: LabNode
    controller: LabNode
    members: list[LabNode]
    other_roots: list[LabNode] = field(default_factory=list)
    network_id: str = ""

    @property
    def roots(self) -> list[LabNode]:
        """All roots."""
        return [self.root, *self.other_roots]

    def planet(self) -> bytes:
        """Return a planet file that names the roots."""
        return make_planet([(root.identity, root.host, DEFAULT_PORT) for root in self.roots])

    def start(self) -> None:
        """Start all nodes and wait until they are online."""
        planet = self.planet()
        others = [self.controller, *self.members]
        for node in (*self.roots, *others):
            node.prepare(planet)
        for root in self.roots:
            root.start()  # first, so that the others' first HELLO is answered
        for node in others:
            node.launch()
        for node in others:
            wait_until(node.answers, timeout=START_TIMEOUT, what=f"{node!r}: API")
            node.wait_online()

    def create_network(self, fields: JsonObject) -> None:
        """Make the network; members are not joined yet."""
        self.network_id = self.controller.create_network(fields)

    def begin(self, fields: JsonObject = NETWORK) -> None:
        """Start all nodes and have all members be in a network."""
        self.start()
        self.create_network(fields)
        self.join_all()

    def begin_talking(self, *, timeout: float = TALKING_TIMEOUT) -> tuple[LabNode, LabNode]:
        """Begin, let the first ping through, and return the first two members."""
        self.begin()
        one, other = self.members[:2]
        first_answer(one.host, self.ip(other), timeout=timeout)
        return one, other

    def begin_directly(self, *, timeout: float = DIRECT_TIMEOUT) -> tuple[LabNode, LabNode]:
        """Begin, and wait until the first two members have direct paths to each other."""
        one, other = self.begin_talking(timeout=timeout)

        def is_direct() -> bool:
            first_answer(one.host, self.ip(other), timeout=timeout)
            return bool(one.direct_paths(other)) and bool(other.direct_paths(one))

        wait_until(is_direct, timeout=timeout, what="direct path")
        return one, other

    def authorise(self, member: LabNode, *, authorised: bool = True) -> None:
        """Let a member in, or out again."""
        self.controller.update_member(self.network_id, member, {"authorized": authorised})

    def join_all(self) -> None:
        """Join all members, and wait until they are configured."""
        for member in self.members:
            member.join(self.network_id)
        for member in self.members:
            self.wait_configured(member)

    def wait_configured(self, member: LabNode) -> None:
        """Wait until a member is OK and has its addresses."""
        member.wait_status(self.network_id, "OK")
        wait_until(
            lambda: member.ips(self.network_id),
            timeout=CONFIG_TIMEOUT,
            what=f"{member!r}: managed addresses",
        )

    def ip(self, member: LabNode) -> str:
        """Return a member's managed IPv4 address."""
        return member.ipv4(self.network_id)

    def device(self, member: LabNode) -> str:
        """Return the name of a member's TAP device."""
        return member.device(self.network_id)

    def apply(self, fields: JsonObject) -> None:
        """Change the network, and wait until all members have the new configuration."""
        self.controller.update_network(self.network_id, fields)
        path = f"/controller/network/{self.network_id}"
        revision = self.controller.api.get(path)["revision"]
        for member in self.members:
            self._wait_revision(member, revision)

    def _wait_revision(self, member: LabNode, revision: int) -> None:
        wait_until(
            lambda: member.network(self.network_id)["netconfRevision"] >= revision,
            timeout=CONFIG_TIMEOUT,
            what=f"{member!r}: revision {revision}",
        )


def build_mesh(
    lab: Lab,
    layout: Layout,
    workshop: Workshop,
    *,
    names: Sequence[str] = ("a", "b", "c", "d"),
    routers: Mapping[str, Router] | None = None,
    roots: int = 1,
) -> Mesh:
    """Make hosts and nodes; nothing is started, so links may still be changed."""
    behind = routers or {}
    hosts = [lab.host(f"root{number or ''}") for number in range(roots)]
    root, *others = [workshop.make(lab, host, layout.root, "root") for host in hosts]
    controller = workshop.make(lab, lab.host("control"), layout.controller, "controller")
    members = [
        workshop.make(lab, lab.host(name, router=behind.get(name)), side)
        for name, side in zip(names, layout.members, strict=False)
    ]
    return Mesh(lab, root, controller, members, others)
