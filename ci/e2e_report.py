"""What the test on a cluster reads out of tools, and what it says of each step."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

CHART_NAME: Final = "zerotier-k8s-link"
# What belongs to the machine, to its pods or to kube-proxy, and may come and go.
FOREIGN_LINKS: Final = re.compile(r"lo|eth0|veth.*")
FOREIGN_TABLES: Final = frozenset({"ip kube-proxy", "ip6 kube-proxy"})


@dataclass(frozen=True, slots=True)
class Step:
    """What has come out of a step."""

    name: str
    seconds: float
    is_passed: bool
    detail: str

    def __str__(self) -> str:
        verdict = "ok" if self.is_passed else "FAILED"
        first, *rest = self.detail.splitlines() or [""]
        head = f"{self.seconds:6.1f} s  {verdict:6}  {self.name}"
        lines = [f"{head}: {first}" if first else head, *(f"{'':18}{line}" for line in rest)]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent's pod, and who it is in the network."""

    node: str
    pod: str
    address: str
    """Of ZeroTier."""
    ip: str
    """In the network."""
    device: str


def read_network(text: str) -> tuple[str, str] | None:
    """Return IP and device out of `ztlink networks --json`; None while it has not both.

    Of several networks the first counts: the chart's own.
    """
    networks = json.loads(text)
    if not networks:
        return None
    first = networks[0]
    ips = [address.partition("/")[0] for address in first["assignedAddresses"]]
    fours = [ip for ip in ips if ":" not in ip]
    device = first["portDeviceName"]
    return (fours[0], device) if first["status"] == "OK" and fours and device else None


def pairs(agents: Sequence[Agent]) -> list[tuple[Agent, Agent]]:
    """Return everybody with everybody else, in both directions."""
    return [(one, other) for one in agents for other in agents if one != other]


def read_ping(text: str) -> float | None:
    """Return the mean round trip in milliseconds; None where an answer is missing."""
    if not re.search(r"\b0% packet loss", text):
        return None
    found = re.search(r"min/avg/max[^=]*= [\d.]+/([\d.]+)/", text)
    return float(found[1]) if found else None


def read_samples(text: str) -> dict[str, float]:
    """Return the samples of a page in Prometheus's text format, by name and labels.

    ValueError where a line is none.
    """
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def read_status(text: str) -> dict[str, str]:
    """Return the fields of a /proc/PID/status."""
    split = (line.partition(":") for line in text.splitlines())
    return {name: value.strip() for name, _, value in split}


def containers(pod: Mapping[str, Any], name: str) -> tuple[str, int]:
    """Return id and restarts of a pod's container; the id is empty while it does not run."""
    for status in pod["status"].get("containerStatuses", []):
        if status["name"] == name:
            running = "running" in status["state"]
            container = status.get("containerID", "").rpartition("/")[2]
            return (container if running else "", status["restartCount"])
    return ("", 0)


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Say whether Kubernetes counts a pod as ready, and not as about to end."""
    conditions = pod["status"].get("conditions", [])
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def foreign_state(
    links: Sequence[Mapping[str, Any]],
    rules: Sequence[Mapping[str, Any]],
    routes: Sequence[Mapping[str, Any]],
    tables: Mapping[str, Any],
) -> frozenset[str]:
    """Describe what a node's network has beyond its own: one sentence each, to be compared.

    Takes what `ip -j link`, `ip -j rule`, `ip -j route show table all` and
    `nft -j list tables` print.
    """
    return frozenset(
        [
            *_foreign_links(links),
            *(f"rule {_words(rule)}" for rule in rules),
            *(f"route {_words(route)}" for route in routes if not _is_foreign(route)),
            *_foreign_tables(tables),
        ]
    )


def _foreign_links(links: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for link in links:
        if not FOREIGN_LINKS.fullmatch(link["ifname"]):
            yield f"device {link['ifname']}"


def _is_foreign(route: Mapping[str, Any]) -> bool:
    return bool(FOREIGN_LINKS.fullmatch(route.get("dev", "lo")))


def _foreign_tables(tables: Mapping[str, Any]) -> Iterator[str]:
    for entry in tables["nftables"]:
        if table := entry.get("table"):
            name = f"{table['family']} {table['name']}"
            if name not in FOREIGN_TABLES:
                yield f"nftables {name}"


def _words(entry: Mapping[str, Any]) -> str:
    return " ".join(f"{key} {value}" for key, value in sorted(entry.items()) if value != [])
