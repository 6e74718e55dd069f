"""Groups of networks that a root or controller serves without being a member (wire.adoc#like).

Anybody may tell a root what it listens to, on any network, and nothing shows that there is such a
network. So each node takes up a bounded part of the memory for that, and is not heard beyond; where
all of it is taken, it is by many nodes, and the network not heard of for the longest time goes.
"""

from typing import Final

from ztlink.clock import Now
from ztlink.ids import Address, MulticastGroup, NetworkId
from ztlink.vl2.multicast import GroupTable

MAX_NETWORKS: Final = 16_384
MAX_NETWORKS_PER_PEER: Final = 128
MAX_LIKES: Final = 500_000
"""Some 100 bytes each."""
MAX_LIKES_PER_PEER: Final = 4096
SWEEP_INTERVAL: Final = 60.0


class ForeignGroups:
    """Who listens to what on other people's networks."""

    def __init__(self, own: Address) -> None:
        self._own = own
        self.tables: dict[NetworkId, GroupTable] = {}
        """The one not heard of for the longest time first."""
        self._networks: dict[Address, dict[NetworkId, None]] = {}
        """Of which networks a node spoke since the last sweep, and of which it is kept."""
        self._likes: dict[Address, int] = {}
        self._size = 0
        self._last_sweep = float("-inf")

    def find(self, network_id: NetworkId) -> GroupTable | None:
        """Return what is known of a network; to ask makes nothing known."""
        return self.tables.get(network_id)

    def add(self, network_id: NetworkId, group: MulticastGroup, member: Address, now: Now) -> bool:
        """Note what a node says that it listens to; False where it said too much already."""
        table = self._speak(network_id, member)
        if table is None:
            return False
        before = table.size
        if not table.has(group, member) and self._likes.get(member, 0) >= MAX_LIKES_PER_PEER:
            return False
        table.add(group, member, now)
        self._likes[member] = self._likes.get(member, 0) + table.size - before
        self._size += table.size - before
        return True

    def bound(self, now: Now) -> None:
        """Forget what aged, once a minute, and what is too much."""
        if now.mono - self._last_sweep >= SWEEP_INTERVAL:
            self._last_sweep = now.mono
            self._sweep(now)
        while self._size > MAX_LIKES:
            self._forget(next(iter(self.tables)))

    def _speak(self, network_id: NetworkId, member: Address) -> GroupTable | None:
        networks = self._networks.setdefault(member, {})
        if network_id not in networks and len(networks) >= MAX_NETWORKS_PER_PEER:
            return None
        networks[network_id] = None
        table = self.tables.pop(network_id, None)
        if table is None:
            if len(self.tables) >= MAX_NETWORKS:
                self._forget(next(iter(self.tables)))
            table = GroupTable(self._own)
        self.tables[network_id] = table
        return table

    def _sweep(self, now: Now) -> None:
        for network_id, table in list(self.tables.items()):
            if table.expire(now) is None:
                del self.tables[network_id]
        self._size = sum(table.size for table in self.tables.values())
        self._networks.clear()
        self._likes.clear()
        for network_id, table in self.tables.items():
            for member, count in table.counts.items():
                self._networks.setdefault(member, {})[network_id] = None
                self._likes[member] = self._likes.get(member, 0) + count

    def _forget(self, network_id: NetworkId) -> None:
        self._size -= self.tables.pop(network_id).size
