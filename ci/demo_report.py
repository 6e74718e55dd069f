"""What the demo makes of what it saw: numbers out of the output of tools, tables, a verdict."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

ROUND_TRIP: Final = re.compile(r"(?:rtt|round-trip) min/avg/max(?:/mdev)? = [\d.]+/([\d.]+)/")

COMPLAINT: Final = re.compile(r'"error":\s*"((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Member:
    """A node as the network knows it."""

    name: str
    address: str
    ipv4: str | None
    ipv6: str | None


@dataclass(frozen=True)
class Pair:
    """What one node found on the way to another; None where nothing came back."""

    source: str
    target: str
    endpoint: str | None  # where packets go directly; None: over the root
    ping4: float | None  # milliseconds
    ping6: float | None

    @property
    def name(self) -> str:
        return f"{self.source} to {self.target}"


def parse_ping(output: str) -> float | None:
    """Return the mean round trip in milliseconds; None where no answer came."""
    found = ROUND_TRIP.search(output)
    return float(found[1]) if found else None


def parse_iperf(output: str) -> float | None:
    """Return the bits per second that arrived; None where the test did not end well."""
    try:
        rate: float = json.loads(output)["end"]["sum_received"]["bits_per_second"]
    except (ValueError, KeyError, TypeError):
        return None
    return rate or None


def shorten(complaint: str) -> str:
    """Return what a tool complained of in one line; iperf3 has it in the midst of JSON."""
    return complaint_of(complaint) or complaint.strip().splitlines()[-1]


def complaint_of(output: str) -> str | None:
    """Return what iperf3 complains of in its JSON: it may do so and yet exit with 0."""
    found = COMPLAINT.search(output)
    complaint: str | None = json.loads(f'"{found[1]}"') if found else None
    return complaint


def endpoint_of(peers: Iterable[Mapping[str, Any]], address: str) -> str | None:
    """Return the endpoint through which a peer is reached directly; None where there is none."""
    for peer in peers:
        if peer["address"] == address:
            usable = [path for path in peer["paths"] if path["active"] and not path["expired"]]
            usable.sort(key=lambda path: not path["preferred"])
            return str(usable[0]["address"]) if usable else None
    return None


def split_families(assigned: Iterable[str]) -> tuple[str | None, str | None]:
    """Return the first IPv4 and the first IPv6 address of a list, without their prefix lengths."""
    addresses = [address.partition("/")[0] for address in assigned]
    ipv4 = next((address for address in addresses if ":" not in address), None)
    ipv6 = next((address for address in addresses if ":" in address), None)
    return ipv4, ipv6


def format_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay cells out in columns, two spaces apart."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def format_milliseconds(value: float | None) -> str:
    """Return a round trip for people; `lost` where there was none."""
    return "lost" if value is None else f"{value:.2f} ms"


def format_rate(bits: float) -> str:
    """Return bits per second with a unit that keeps the number short."""
    for unit, size in (("Gbit/s", 1e9), ("Mbit/s", 1e6)):
        if bits >= size:
            number = bits / size
            return f"{number:.1f} {unit}" if number < 10 else f"{number:.0f} {unit}"
    return f"{bits / 1e3:.0f} kbit/s"


def members_table(members: Iterable[Member]) -> str:
    """Return the table of who is in the network."""
    return format_table(
        ("node", "address", "IPv4", "IPv6"),
        [(each.name, each.address, each.ipv4 or "none", each.ipv6 or "none") for each in members],
    )


def pairs_table(pairs: Iterable[Pair]) -> str:
    """Return the table of who reaches whom, and how."""
    return format_table(
        ("from", "to", "path", "through", "ping IPv4", "ping IPv6"),
        [
            (
                pair.source,
                pair.target,
                "direct" if pair.endpoint else "relay",
                pair.endpoint or "the root",
                format_milliseconds(pair.ping4),
                format_milliseconds(pair.ping6),
            )
            for pair in pairs
        ],
    )


def find_problems(
    members: Iterable[Member], pairs: Iterable[Pair], rate: float | None
) -> list[str]:
    """Return what is not as it must be on a flat network; nothing where all is well."""
    pairs = list(pairs)
    checks = [
        ("no IPv4 address", [member.name for member in members if not member.ipv4]),
        ("no IPv6 address", [member.name for member in members if not member.ipv6]),
        ("no answer over IPv4", [pair.name for pair in pairs if pair.ping4 is None]),
        ("no answer over IPv6", [pair.name for pair in pairs if pair.ping6 is None]),
        ("no direct path", [pair.name for pair in pairs if pair.endpoint is None]),
    ]
    problems = [f"{what}: {', '.join(names)}" for what, names in checks if names]
    return problems if rate else [*problems, "no TCP throughput"]


def verdict(members: Sequence[Member], pairs: Sequence[Pair], rate: float | None) -> str:
    """Return the last line: that it went well and how fast, or what did not."""
    problems = find_problems(members, pairs, rate)
    if problems or rate is None:
        return f"demo: FAILED, {'; '.join(problems)}"
    return f"demo: OK, {len(members)} nodes, all pairs direct, {format_rate(rate)}"
