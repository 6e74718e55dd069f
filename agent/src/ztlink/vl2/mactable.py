"""Which member a MAC address is behind: computed for members, learned for hosts behind bridges."""

from typing import Final

from ztlink.ids import Address, Mac, NetworkId, first_mac_byte, is_multicast, member_mac

MAX_ROUTES: Final = 65_536


class MacTable:
    """MACs of hosts behind bridges, the last speaker wins.

    The least recently learned goes first.
    """

    def __init__(self, network_id: NetworkId, own: Address) -> None:
        self._own_mac = member_mac(own, network_id)
        self._first_byte = first_mac_byte(network_id)
        self._routes: dict[Mac, Address] = {}

    def learn(self, mac: Mac, bridge: Address) -> None:
        """Remember the bridge that a host's frame came through.

        Members' own MACs are never learned.
        """
        if mac == self._own_mac or is_multicast(mac) or mac[0] == self._first_byte:
            return
        self._routes.pop(mac, None)
        if len(self._routes) >= MAX_ROUTES:
            del self._routes[next(iter(self._routes))]
        self._routes[mac] = bridge

    def bridge_for(self, mac: Mac) -> Address | None:
        """Return the bridge that a host was last seen behind."""
        return self._routes.get(mac)

    def __len__(self) -> int:
        return len(self._routes)
