"""Which multicast groups a device listens to: the kernel's list and what its addresses imply."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ztlink.derive import group_for_ip
from ztlink.ids import IpAddress, Mac, MulticastGroup, is_multicast

DEV_MCAST: Final = Path("/proc/net/dev_mcast")
MAX_GROUPS: Final = 1024


def parse_dev_mcast(text: str, name: str) -> frozenset[MulticastGroup]:
    """Return the link-layer groups of one device from the kernel's table."""
    groups: set[MulticastGroup] = set()
    for line in text.splitlines():
        fields = line.split()
        if len(fields) >= 5 and fields[1] == name and len(fields[4]) == 12:
            mac = Mac(bytes.fromhex(fields[4]))
            if is_multicast(mac):
                groups.add(MulticastGroup(mac))
    return frozenset(sorted(groups)[:MAX_GROUPS])


def groups_of(name: str, addresses: Iterable[IpAddress]) -> frozenset[MulticastGroup]:
    """Return all groups of a device: what it listens to, and what resolves its addresses."""
    listened = parse_dev_mcast(DEV_MCAST.read_text(), name)
    return listened | {group_for_ip(ip) for ip in addresses}
