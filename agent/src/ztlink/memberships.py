"""Which networks a node is in when it starts: the configuration's, and those joined by hand."""

from collections.abc import Iterable
from typing import Final

from ztlink.drivers.store import Store, local_settings_key, network_key
from ztlink.ids import NetworkId, format_network_id, parse_network_id
from ztlink.settings import Settings
from ztlink.wire.netconf import NetworkConfig

DECLARED: Final = "networks.declared"
"""The file that remembers what the configuration named last time."""


def settle(store: Store, settings: Settings) -> dict[NetworkId, NetworkConfig | None]:
    """Return the networks to join, with the configuration kept of each.

    A network that the configuration named last time and names no more is forgotten; what was
    joined by hand stays.
    """
    kept = store.load_networks()
    wanted = tuple(membership.network_id for membership in settings.memberships)
    before = _read(store)
    for network_id in before - set(wanted):
        store.write(network_key(network_id), None)
        store.write(local_settings_key(network_id), None)
        kept.pop(network_id, None)
    if before != set(wanted):
        declare(store, wanted)
    return {**dict.fromkeys(wanted), **kept}


def declare(store: Store, network_ids: Iterable[NetworkId]) -> None:
    """Remember what the configuration names now."""
    lines = "".join(f"{format_network_id(network_id)}\n" for network_id in network_ids)
    store.write(DECLARED, lines.encode() or None, 0o644)


def _read(store: Store) -> set[NetworkId]:
    found = set()
    for line in (store.read(DECLARED) or b"").decode("ascii", errors="replace").split():
        try:
            found.add(parse_network_id(line))
        except ValueError:
            continue  # the file is ours and only helps to forget
    return found
