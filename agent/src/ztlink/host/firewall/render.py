"""The rules as text: one transaction that makes our table anew, whatever it was before.

How a packet is judged:

* What comes from the overlay is judged in `prerouting`, before others translate its destination:
  by the port that the peer named, not by the one that a NodePort or a hostPort stands for. For this
  machine, that is `services`; for others, `inward`. What was translated afterwards has passed, and
  `input` and `forward` let it through; they judge what was not translated a second time, so that
  nothing depends on one chain alone.
* Connections that are there, errors of ICMP and neighbour discovery pass first.
* What comes from elsewhere is none of our business, but for ports that are the overlay's alone and
  the agent's own HTTP port (`elsewhere`), and for what leaves into the overlay (`outward`).

`accept` ends the evaluation of our table only; what other tables drop stays dropped.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ztlink.host.desired import IpNetwork
from ztlink.host.firewall.matches import (
    anonymous,
    families,
    of_networks,
    of_ports,
    of_service,
    quoted,
)
from ztlink.host.firewall.wanted import (
    FirewallSettings,
    Forwarding,
    Guarded,
    HttpGuard,
    Masquerade,
    Service,
)
from ztlink.host.nft import FAMILY, removal

COUNTERS: Final = ("before_dnat", "input", "forward", "exclusive", "http")
"""What is dropped is counted by these names."""

_ERRORS: Final = "destination-unreachable, time-exceeded, parameter-problem"
_VITAL: Final = (
    f"icmp type {{ {_ERRORS} }} accept",
    f"icmpv6 type {{ {_ERRORS} }} accept",
    "icmpv6 type packet-too-big accept",
    "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit 255 accept",
)
_ESTABLISHED: Final = "ct state established,related accept"
_FROM: Final = "iifname @overlay"
_INTO: Final = "oifname @overlay"


def render(settings: FirewallSettings, devices: Iterable[Guarded]) -> str:
    """Return what `nft -f` is to load; ValueError where a device has an unspeakable name."""
    guarded = sorted(devices, key=lambda device: device.name)
    body = [
        *(f"counter {name} {{ }}" for name in COUNTERS),
        *_sets(settings, guarded),
        *_chain("prerouting", "before others translate destinations", _prerouting(settings)),
        *_chain("input", "what is for this machine", _input(settings)),
        *_chain("forward", "what passes through it", _forward(settings)),
        *_chain("arriving", "from the overlay, as the peer named it", _arriving()),
        *_chain("to_host", "from the overlay, once more", _to_host()),
        *_chain("vital", "without these nothing works", _VITAL),
        *_chain("services", "what the overlay may reach here", _services(settings, guarded)),
        *_chain("inward", "to what is behind", _passing(settings.from_overlay, "daddr")),
        *_chain("outward", "into the overlay", _passing(settings.to_overlay, "saddr")),
        *_chain("elsewhere", "refused on all other devices", _elsewhere(settings)),
    ]
    if settings.masquerade is not Masquerade.NONE:
        masquerading = _masquerading(settings.masquerade, guarded)
        body += _chain("postrouting", "under whose address it leaves", _postrouting())
        body += _chain("masquerading", "under this machine's, but for these", masquerading)
    table = f"table {FAMILY} {settings.table}"
    text = "\n".join(f"\t{line}" if line else "" for line in body)
    return f"{removal(settings.table)}{table} {{\n{text}\n}}\n"


# -- what the hooks call -------------------------------------------------------------------------


def _prerouting(settings: FirewallSettings) -> Iterator[str]:
    # Below dstnat, -100, and above connection tracking, -200.
    yield "type filter hook prerouting priority -110; policy accept;"
    yield f"{_FROM} goto arriving"
    if _has_elsewhere(settings):
        yield 'iifname != "lo" ct direction original fib daddr type local jump elsewhere'


def _input(settings: FirewallSettings) -> Iterator[str]:
    yield "type filter hook input priority 0; policy accept;"
    yield f"{_FROM} goto to_host"
    if _has_elsewhere(settings):
        yield 'iifname != "lo" ct direction original jump elsewhere'


def _forward(settings: FirewallSettings) -> Iterator[str]:
    yield "type filter hook forward priority 0; policy accept;"
    if settings.clamp_mss:
        # The route's MTU is the smaller one of both directions, and a clamp never raises.
        for device in (_FROM, _INTO):
            yield f"{device} tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu"
    yield f"{_FROM} {_ESTABLISHED}"
    yield f"{_INTO} {_ESTABLISHED}"
    yield f"{_FROM} jump vital"
    yield f"{_FROM} jump inward"
    yield f"{_INTO} jump vital"
    yield f"{_INTO} jump outward"


def _postrouting() -> Iterator[str]:
    yield "type nat hook postrouting priority 100; policy accept;"
    yield f"{_INTO} fib saddr type != local jump masquerading"


# -- what comes from the overlay -----------------------------------------------------------------


def _arriving() -> Iterator[str]:
    yield _ESTABLISHED
    yield "jump vital"
    yield "fib daddr type local jump services"
    yield "fib daddr type local counter name before_dnat drop"
    yield "fib daddr type { broadcast, multicast } accept"  # not translated: `input` judges
    yield "jump inward"


def _to_host() -> Iterator[str]:
    yield _ESTABLISHED
    yield "jump vital"
    yield "ct status dnat accept"  # `prerouting` has judged what the peer named
    yield "jump services"
    yield "counter name input drop"


def _services(settings: FirewallSettings, devices: Sequence[Guarded]) -> Iterator[str]:
    for service in (*settings.services, *settings.exclusive):
        for match in of_service(service, devices):
            yield f"{match} accept{_comment(service)}".lstrip()


def _passing(policy: Forwarding, word: str) -> Iterator[str]:
    """Yield what lets packets of others pass: those that go to, or come from, what is inside."""
    if policy is Forwarding.ALLOW:
        return
    yield f"{_FROM} ct status dnat return"  # `prerouting` has judged what the peer named
    if policy is Forwarding.DECLARED:
        yield f"ip {word} @inside4 return"
        yield f"ip6 {word} @inside6 return"
    yield "counter name forward drop"


# -- what comes from elsewhere -------------------------------------------------------------------


def _has_elsewhere(settings: FirewallSettings) -> bool:
    return bool(settings.exclusive) or settings.http is not None


def _elsewhere(settings: FirewallSettings) -> Iterator[str]:
    """Yield what other devices are refused; replies never come here."""
    for service in settings.exclusive:
        match = of_ports(service.protocol, service.ports)
        yield f"{match} counter name exclusive drop{_comment(service)}"
    if settings.http is not None:
        yield from _guard(settings.http)


def _guard(http: HttpGuard) -> Iterator[str]:
    port = f"tcp dport {http.port}"
    for match in of_networks("saddr", http.sources):
        yield f"{port} {match} return"
    yield f"{port} counter name http drop"


def _masquerading(kind: Masquerade, devices: Sequence[Guarded]) -> Iterator[str]:
    if kind is Masquerade.OUTSIDE_DECLARED:
        yield "ip daddr @outside4 return"
        yield "ip6 daddr @outside6 return"
        for device in devices:  # its members have a route to these, so they can answer
            for match in of_networks("saddr", device.behind):
                yield f"oifname {quoted(device.name)} {match} return"
    yield "masquerade"


# -- the text ------------------------------------------------------------------------------------


def _chain(name: str, purpose: str, rules: Iterable[str]) -> list[str]:
    return ["", f"# {purpose}", f"chain {name} {{", *(f"\t{rule}" for rule in rules), "}"]


def _sets(settings: FirewallSettings, devices: Sequence[Guarded]) -> Iterator[str]:
    yield from _set("overlay", "type ifname", [quoted(device.name) for device in devices])
    for name, networks in (("inside", settings.inside), ("outside", settings.outside)):
        yield from _network_sets(name, networks)


def _network_sets(name: str, networks: Sequence[IpNetwork]) -> Iterator[str]:
    v4, v6 = families(networks)
    yield from _set(f"{name}4", "type ipv4_addr; flags interval", v4)
    yield from _set(f"{name}6", "type ipv6_addr; flags interval", v6)


def _set(name: str, kind: str, elements: Sequence[object]) -> Iterator[str]:
    if not elements:
        yield f"set {name} {{ {kind}; }}"
        return
    yield f"set {name} {{"
    yield f"\t{kind}"
    yield f"\telements = {anonymous(elements)}"
    yield "}"


def _comment(service: Service) -> str:
    return f' comment "{service.name}"' if service.name else ""
