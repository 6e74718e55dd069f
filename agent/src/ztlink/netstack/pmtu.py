"""How large packets may be on the way to a destination (RFC 1191, RFC 8201)."""

from typing import Final

from ztlink.clock import Now
from ztlink.ids import IpAddress
from ztlink.netstack.ipv4 import MIN_PATH_MTU
from ztlink.netstack.ipv6 import MIN_MTU

LIFETIME: Final = 600.0
"""After which a larger MTU is tried again (RFC 8201 4)."""
MAX_PATHS: Final = 256


class PathMtus:
    """The destinations whose way carries less than the link."""

    def __init__(self, link_mtu: int) -> None:
        self.link_mtu = link_mtu
        self.paths: dict[IpAddress, tuple[int, float]] = {}
        """MTU, and when it is forgotten; the oldest first."""

    def get(self, destination: IpAddress) -> int:
        """Return the MTU to a destination."""
        if not self.paths:
            return self.link_mtu
        return min(self.paths.get(destination, (self.link_mtu,))[0], self.link_mtu)

    def lower(self, destination: IpAddress, mtu: int, now: Now) -> bool:
        """Take a report that was checked; False where it lowers nothing."""
        mtu = max(mtu, MIN_PATH_MTU if destination.version == 4 else MIN_MTU)
        if mtu >= self.get(destination):
            return False
        self.paths.pop(destination, None)
        if len(self.paths) >= MAX_PATHS:
            del self.paths[next(iter(self.paths))]
        self.paths[destination] = (mtu, now.mono + LIFETIME)
        return True

    def handle_timer(self, now: Now) -> None:
        """Forget what is old."""
        for destination, (_, deadline) in list(self.paths.items()):
            if deadline > now.mono:
                break
            del self.paths[destination]

    def get_timer(self) -> float | None:
        """Return when the oldest is to be forgotten."""
        for _, deadline in self.paths.values():
            return deadline
        return None
