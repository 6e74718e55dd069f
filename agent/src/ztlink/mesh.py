"""What the nodes of a mesh say of themselves and of each other, and what is wrong with it.

Pure: reports go in as the JSON of `ztlink status`, `networks` and `peers`; judgements come out.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

Json = dict[str, Any]

HIGH_LATENCY_MS: Final = 500


@dataclass(frozen=True, slots=True)
class NodeReport:
    """One agent: what the cluster says of its pod, and what it says itself."""

    pod: str
    machine: str
    """The cluster's node that it runs on."""
    phase: str = "Running"
    trouble: str = ""
    """Why it could not be asked; empty where it answered."""
    status: Json | None = None
    networks: Sequence[Json] = ()
    peers: Sequence[Json] = ()

    @property
    def address(self) -> str:
        """Its ZeroTier address; empty while it does not answer."""
        return str(self.status["address"]) if self.status else ""


class Sight(StrEnum):
    """How one node sees another."""

    SELF = "-"
    DIRECT = "direct"
    RELAYED = "relayed"
    UNSEEN = "unseen"
    """No traffic yet, or no way to find each other."""
    UNKNOWN = "?"
    """One of them does not answer."""


@dataclass(frozen=True, slots=True)
class View:
    """One node's view of another."""

    sight: Sight
    latency_ms: int = -1

    def __str__(self) -> str:
        if self.sight is Sight.DIRECT and self.latency_ms >= 0:
            return f"{self.latency_ms} ms"
        return self.sight.value


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong."""

    subject: str
    message: str
    remedy: str


def view(one: NodeReport, other: NodeReport) -> View:
    """Return how one node sees another."""
    if one.pod == other.pod:
        return View(Sight.SELF)
    if not one.address or not other.address:
        return View(Sight.UNKNOWN)
    peer = next((peer for peer in one.peers if peer["address"] == other.address), None)
    if peer is None:
        return View(Sight.UNSEEN)
    is_direct = any(path["active"] and not path["expired"] for path in peer["paths"])
    return View(Sight.DIRECT if is_direct else Sight.RELAYED, int(peer["latency"]))


def findings(nodes: Sequence[NodeReport], release: str) -> tuple[Finding, ...]:
    """Say what is wrong, the worst first; empty where all is well."""
    if not nodes:
        return (
            Finding(
                release,
                "there is no agent pod",
                "check --namespace and --release, and that machines match the nodeSelector",
            ),
        )
    found = [finding for node in nodes for finding in _of_node(node)]
    found += _of_all(nodes)
    found += [finding for one in nodes for other in nodes for finding in _of_pair(one, other)]
    return tuple(found)


def _of_node(node: NodeReport) -> Iterator[Finding]:
    if node.status is None:
        yield Finding(
            node.machine,
            f"the pod {node.pod} is {node.phase} and does not answer: {node.trouble}",
            f"look at 'kubectl describe pod {node.pod}' and 'kubectl logs {node.pod}'",
        )
        return
    if not node.status["online"]:
        yield Finding(
            node.machine,
            "no root answers",
            "let UDP out to the roots, and check that this is the world that names them",
        )
    if not node.networks:
        yield Finding(node.machine, "it is in no network", "name one in the values: networkId")
    for network in node.networks:
        yield from _of_network(node, network)


def _of_network(node: NodeReport, network: Json) -> Iterator[Finding]:
    name, status = network["id"], network["status"]
    if status != "OK":
        remedy = _REMEDIES.get(status, "look at the log of its pod").format(
            network=name, address=node.address
        )
        reason = network.get("statusReason") or status
        yield Finding(node.machine, f"network {name} is {status}: {reason}", remedy)
    elif network["allowManaged"] and not network["assignedAddresses"]:
        yield Finding(
            node.machine,
            f"network {name} has given it no address",
            "give the network an assignment pool, or the member an address",
        )


_REMEDIES: Final[Mapping[str, str]] = {
    "ACCESS_DENIED": (
        "authorise it: 'make authorize-nodes', or 'ztlink authorize {network} {address}' in the "
        "controller's pod"
    ),
    "NOT_FOUND": "check the network's id: its controller knows no such network",
    "REQUESTING_CONFIGURATION": "check that the network's controller runs and can be reached",
    "PORT_ERROR": "give the pod /dev/net/tun and NET_ADMIN; its log says more",
    "CLIENT_TOO_OLD": "upgrade the image",
    "AUTHENTICATION_REQUIRED": "exempt it from single sign-on at the controller",
}


def _of_all(nodes: Sequence[NodeReport]) -> Iterator[Finding]:
    answering = [node for node in nodes if node.status is not None]
    addresses = Counter(node.address for node in answering)
    for address, count in sorted(addresses.items()):
        if count > 1:
            machines = ", ".join(node.machine for node in answering if node.address == address)
            yield Finding(
                machines,
                f"they share the identity {address}: neither can be reached reliably",
                "a disk was cloned: remove identity.* from the state folder of all but one of them",
            )
    yield from _of_worlds(answering)
    versions = sorted({str(node.status["version"]) for node in answering if node.status})
    if len(versions) > 1:
        yield Finding(
            "mesh",
            f"versions differ: {', '.join(versions)}",
            "wait for the roll-out to end: 'kubectl rollout status'",
        )


def _of_worlds(answering: Sequence[NodeReport]) -> Iterator[Finding]:
    worlds: dict[tuple[int, int], list[str]] = {}
    for node in answering:
        assert node.status is not None
        key = (node.status["planetWorldId"], node.status["planetWorldTimestamp"])
        worlds.setdefault(key, []).append(node.machine)
    if len({world_id for world_id, _ in worlds}) > 1:
        told = "; ".join(
            f"{world_id:016x} on {', '.join(m)}" for (world_id, _), m in worlds.items()
        )
        yield Finding(
            "mesh",
            f"nodes follow different worlds, so they cannot find each other: {told}",
            "restart the pods, so that all read the same world",
        )


def _of_pair(one: NodeReport, other: NodeReport) -> Iterator[Finding]:
    seen = view(one, other)
    who = f"{one.machine} -> {other.machine}"
    if seen.sight is Sight.RELAYED:
        yield Finding(
            who,
            "packets go through a root",
            "let UDP between the machines through, to and from the agents' port (9993)",
        )
    elif seen.sight is Sight.DIRECT and seen.latency_ms >= HIGH_LATENCY_MS:
        yield Finding(
            who, f"latency is {seen.latency_ms} ms", "look at the load of both, and at the way"
        )


def unseen(nodes: Sequence[NodeReport]) -> int:
    """Return how many pairs have not spoken yet: no fault, they meet at their first packet."""
    return sum(view(one, other).sight is Sight.UNSEEN for one in nodes for other in nodes)


def to_json(nodes: Sequence[NodeReport], found: Sequence[Finding]) -> Json:
    """Return all of it for a program."""
    return {
        "nodes": [
            {
                "pod": node.pod,
                "machine": node.machine,
                "address": node.address,
                "online": bool(node.status and node.status["online"]),
                "networks": [
                    {"id": n["id"], "status": n["status"], "addresses": n["assignedAddresses"]}
                    for n in node.networks
                ],
                "sees": {
                    other.machine: {"sight": seen.sight.name, "latencyMs": seen.latency_ms}
                    for other in nodes
                    if (seen := view(node, other)).sight is not Sight.SELF
                },
            }
            for node in nodes
        ],
        "findings": [
            {"subject": f.subject, "message": f.message, "remedy": f.remedy} for f in found
        ],
    }
