"""Parts of rules: sets of ports and networks, and what a service's packets look like."""

import re
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from typing import Final

from ztlink.host.desired import IpNetwork
from ztlink.host.firewall.wanted import Guarded, PortRange, Protocol, Service

_DEVICE: Final = re.compile(r"[A-Za-z0-9_.@+=,~-]{1,15}")
"""What can stand between quotes and means itself: in rules, `*` at the end is a wildcard."""


def families(networks: Iterable[IpNetwork]) -> tuple[list[IPv4Network], list[IPv6Network]]:
    """Return the networks of each family, sorted, none inside another: as interval sets want."""
    given = list(networks)
    v4 = collapse_addresses(one for one in given if isinstance(one, IPv4Network))
    v6 = collapse_addresses(one for one in given if isinstance(one, IPv6Network))
    return list(v4), list(v6)


def anonymous(elements: Iterable[object]) -> str:
    """Return a set without a name."""
    return f"{{ {', '.join(map(str, elements))} }}"


def quoted(device: str) -> str:
    """Return a device's name as rules have it; ValueError where it would mean something else."""
    if not _DEVICE.fullmatch(device):
        raise ValueError(f"the device name {device!r} cannot be written in a rule")
    return f'"{device}"'


def of_networks(word: str, networks: Sequence[IpNetwork]) -> list[str]:
    """Return one match for each family that there is; `word` is `saddr` or `daddr`."""
    v4, v6 = families(networks)
    found = [f"ip {word} {anonymous(v4)}"] if v4 else []
    return found + ([f"ip6 {word} {anonymous(v6)}"] if v6 else [])


def of_ports(protocol: Protocol, ports: Sequence[PortRange]) -> str:
    """Return the match of a protocol that has ports."""
    numbers = anonymous(_merged(ports)) if ports else None
    if protocol is Protocol.ANY:
        return f"meta l4proto {{ tcp, udp }} th dport {numbers}"
    return f"{protocol} dport {numbers}" if numbers else f"meta l4proto {protocol}"


def of_service(service: Service, devices: Sequence[Guarded]) -> Iterator[str]:
    """Yield the matches of a service's packets; none where no network of it is there."""
    on = ""
    if service.networks:
        names = [quoted(d.name) for d in devices if d.network_id in service.networks]
        if not names:
            return
        on = f"iifname {anonymous(names)} "
    for source in of_networks("saddr", service.sources) or [""]:
        for content in _contents(service, source):
            parts = (on.strip(), source, content)
            yield " ".join(part for part in parts if part)


def _contents(service: Service, source: str) -> list[str]:
    if service.protocol is Protocol.ICMP:
        echo = [] if source.startswith("ip6 ") else ["icmp type echo-request"]
        return echo + ([] if source.startswith("ip ") else ["icmpv6 type echo-request"])
    if service.protocol is Protocol.ANY and not service.ports:
        return [""]
    return [of_ports(service.protocol, service.ports)]


def _merged(ports: Sequence[PortRange]) -> Iterator[str]:
    """Yield ranges that do not touch: the kernel refuses those that overlap."""
    last: PortRange | None = None
    for one in sorted(ports):
        if last is not None and one.first <= last.last + 1:
            last = PortRange(last.first, max(last.last, one.last))
            continue
        if last is not None:
            yield _range(last)
        last = one
    if last is not None:
        yield _range(last)


def _range(ports: PortRange) -> str:
    return str(ports.first) if ports.first == ports.last else f"{ports.first}-{ports.last}"
