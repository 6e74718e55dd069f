"""What is told of the firewall: for metrics, status and people."""

from dataclasses import dataclass

from ztlink.host.firewall.wanted import FirewallSettings, Service

MEANINGS = {
    "before_dnat": "from the overlay to this machine, no service of which was allowed",
    "input": "from the overlay to this machine, translated or by multicast",
    "forward": "between the overlay and what is behind this machine",
    "exclusive": "from elsewhere to ports that are the overlay's alone",
    "http": "from elsewhere to the agent's own HTTP port",
}


@dataclass(frozen=True, slots=True)
class FirewallRow:
    """A rule as a person reads it."""

    action: str
    """`allow`, `exclusive` or `drop`."""
    what: str
    name: str = ""
    packets: int | None = None
    """Where they are counted."""


def rows_of(settings: FirewallSettings, drops: tuple[tuple[str, int], ...]) -> list[FirewallRow]:
    """Return what is allowed, and what was dropped."""
    rows = [FirewallRow("allow", _described(one), one.name) for one in settings.services]
    rows += [FirewallRow("exclusive", _described(one), one.name) for one in settings.exclusive]
    return rows + [FirewallRow("drop", MEANINGS[name], name, count) for name, count in drops]


def _described(service: Service) -> str:
    ports = ",".join(
        str(p.first) if p.first == p.last else f"{p.first}-{p.last}" for p in service.ports
    )
    sources = ", ".join(map(str, service.sources))
    return f"{service.protocol} {ports}".strip() + (f" from {sources}" if sources else "")
