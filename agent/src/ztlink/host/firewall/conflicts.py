"""Where our rules cannot hold: what others on this machine do to the same packets.

A table of ours cannot take back what another drops, nor see what never passes the kernel's hooks.
So this is looked for and told, with what helps; nothing of it is changed.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ztlink.conditions import Condition, Status
from ztlink.host.firewall.wanted import FirewallSettings
from ztlink.host.linkconf import index_of
from ztlink.host.nft import FAMILY, Nft
from ztlink.host.sysctls import SHOWN, forwarding, reverse_path

KIND: Final = "firewall"
HOOKS: Final = frozenset({"prerouting", "input", "forward"})
_FAMILIES: Final = frozenset({"inet", "ip", "ip6"})
_DEVICE_KEYS: Final = frozenset({"iifname", "oifname", "iif", "oif"})
_REFUSALS: Final = frozenset({"drop", "reject", "jump", "goto", "queue"})
_CILIUM_CONFIG: Final = "var/run/cilium/state/globals/node_config.h"
_LEGACY: Final = tuple(
    Path("/proc/thread-self/net") / f"{family}_tables_names" for family in ("ip", "ip6")
)
_LEGACY_ROUTING: Final = "set bpf.hostLegacyRouting=true in Cilium's Helm values"

Json = Mapping[str, Any]


def look_around(
    nft: Nft, settings: FirewallSettings, devices: frozenset[str], *, has_ipv6: bool
) -> tuple[Condition, ...]:
    """Return what on this machine may undo the rules."""
    foreign = [one for one in nft.base_chains() if is_foreign(one, settings.table)]
    return (
        *of_chains(
            foreign, lambda one: nft.rules(one["family"], one["table"], one["name"]), devices
        ),
        *of_legacy(_LEGACY),
        *of_cilium(lambda name: index_of(name) > 0),
        *of_kernel(settings, SHOWN, has_ipv6=has_ipv6),
    )


def is_foreign(chain: Json, table: str) -> bool:
    """Tell whether a base chain judges what ours do, and is not ours."""
    is_ours = (chain["family"], chain["table"]) == (FAMILY, table)
    return not is_ours and chain["family"] in _FAMILIES and chain["hook"] in HOOKS


def of_chains(
    chains: Iterable[Json],
    rules: Callable[[Json], Iterable[Json]],
    devices: Collection[str],
) -> Iterator[Condition]:
    """Yield what foreign base chains may do to the overlay's packets."""
    for chain in chains:
        where = f"{chain['family']} {chain['table']} {chain['name']}"
        hook = chain["hook"]
        if chain.get("policy") == "drop":
            yield _told(
                where,
                f"the chain {where} drops at the hook {hook} what it does not accept",
                f"see that {where} accepts what the overlay is to carry",
            )
        elif any(_names(rule, devices) and _refuses(rule) for rule in rules(chain)):
            yield _told(
                where,
                f"rules of the chain {where} name devices of the overlay and may refuse packets",
                f"look at them: nft list chain {where}",
            )


def of_legacy(listings: Iterable[Path]) -> Iterator[Condition]:
    """Yield whether there are rules that nftables does not show."""
    for listing in listings:
        try:
            tables = listing.read_text(encoding="ascii").split()
        except OSError:  # the kernel has none of that, or does not show it to us
            continue
        if tables:
            yield _told(
                listing.name.removesuffix("_tables_names"),
                f"iptables-legacy has the tables {', '.join(tables)}, which nft does not show",
                "look at their rules with iptables-legacy-save",
            )


def of_cilium(has_device: Callable[[str], bool], root: Path = Path("/")) -> Iterator[Condition]:
    """Yield whether Cilium takes the packets of pods past the kernel's hooks."""
    if not has_device("cilium_host"):
        return
    try:
        defines = (root / _CILIUM_CONFIG).read_text(errors="replace")
    except OSError:
        defines = ""
    is_sure = "#define ENABLE_HOST_ROUTING" in defines
    cause = "packets of pods pass by netfilter: toOverlay, masquerade and clampMss do not hold"
    yield Condition(
        KIND,
        Status.FAULT if is_sure else Status.UNKNOWN,
        "cilium",
        f"Cilium routes in eBPF, and {cause}"
        if is_sure
        else f"Cilium is here; where it routes in eBPF, {cause}",
        f"{_LEGACY_ROUTING}, or add the overlay's devices to its `devices`",
        is_required=False,
    )


def of_kernel(settings: FirewallSettings, shown: Path, *, has_ipv6: bool) -> Iterator[Condition]:
    """Yield settings of the whole machine that forwarding needs and that are not ours to change."""
    if not settings.wants_forwarding:
        return
    for one in forwarding(shown):
        if one.value == 0 and (has_ipv6 or one.family == "IPv4"):
            yield Condition(KIND, Status.FAULT, one.key, one.cause, one.remedy, is_required=False)
    strict = reverse_path(shown)
    if not strict.is_well:
        yield _told(strict.key, strict.cause, strict.remedy)


def _told(subject: str, cause: str, remedy: str) -> Condition:
    return Condition(KIND, Status.UNKNOWN, subject, cause, remedy, is_required=False)


def _names(rule: Json, devices: Collection[str]) -> bool:
    """Tell whether a rule matches one of the devices by name or, as `iif`, by index."""
    for statement in rule.get("expr", ()):
        match = statement.get("match") or {}
        left = match.get("left")
        if not isinstance(left, dict) or match.get("op") != "==":
            continue
        is_device = left.get("meta", {}).get("key") in _DEVICE_KEYS
        if is_device and any(_covers(match.get("right"), name) for name in devices):
            return True
    return False


def _covers(right: object, device: str) -> bool:
    if isinstance(right, dict):
        elements = right.get("set")
        return isinstance(elements, list) and any(_covers(one, device) for one in elements)
    if not isinstance(right, str):
        return False
    return device.startswith(right[:-1]) if right.endswith("*") else device == right


def _refuses(rule: Json) -> bool:
    """Tell whether a rule may refuse packets: here, or where it sends them to."""
    return any(_REFUSALS & statement.keys() for statement in rule.get("expr", ()))
