"""The way of a packet out: source, next hop, fragments, MAC; what waits for a neighbour.

What is ready is pulled by whoever has room for it. Only answers to others (ARP, ICMP) come in here
without being pulled; they are rate-limited where strangers cause them, and bounded.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from ztlink.batch import SuperFrame
from ztlink.clock import Now
from ztlink.ids import BROADCAST_MAC, IpAddress, Mac
from ztlink.inet.ether import ETHERTYPE_IPV4, ETHERTYPE_IPV6, group_mac
from ztlink.netstack.counters import Counters, Discard
from ztlink.netstack.ipv4 import write_ipv4
from ztlink.netstack.ipv6 import write_ipv6
from ztlink.netstack.neighbor import NeighborCache, Parcel
from ztlink.netstack.pmtu import PathMtus
from ztlink.netstack.route import RouteTable, Way
from ztlink.netstack.settings import StackSettings

MAX_READY: Final = 1024
"""Frames that nobody pulled; from there on answers to others are dropped."""

OnFailure = Callable[[Now], None]


class Egress:
    """Makes frames of what the protocols send."""

    def __init__(
        self,
        mac: Mac,
        routes: RouteTable,
        mtus: PathMtus,
        settings: StackSettings,
        counters: Counters,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._routes = routes
        self._mtus = mtus
        self._settings = settings
        self._counters = counters
        self._random_bytes = random_bytes
        self.ready: deque[SuperFrame] = deque()
        """Frames to be pulled."""
        self._mac = mac
        self._headers = {
            4: mac + ETHERTYPE_IPV4.to_bytes(2, "big"),
            6: mac + ETHERTYPE_IPV6.to_bytes(2, "big"),
        }
        """What follows the destination MAC, by the version of IP."""

    cache: NeighborCache
    """Set by the stack: the cache asks through us."""

    # -- frames ------------------------------------------------------------------------------

    def take_ready(self, limit: int) -> tuple[list[SuperFrame], int]:
        """Take frames of about `limit` bytes; return what is left of the limit, too."""
        frames: list[SuperFrame] = []
        ready = self.ready
        while ready and limit > 0:
            frame = ready.popleft()
            limit -= len(frame.buffer)
            frames.append(frame)
        return frames, limit

    def send_frame(self, frame: bytes) -> None:
        """Send a whole frame: ARP, neighbour discovery."""
        self._push(SuperFrame(memoryview(bytearray(frame))))

    def _push(self, frame: SuperFrame) -> None:
        if len(self.ready) >= MAX_READY:
            self._counters.discard(Discard.RATE_LIMITED)
            return
        self.ready.append(frame)

    # -- packets -----------------------------------------------------------------------------

    def send(
        self,
        way: Way,
        destination: IpAddress,
        protocol: int,
        payload: bytes,
        now: Now,
        *,
        hop_limit: int | None = None,
        on_failure: OnFailure | None = None,
    ) -> None:
        """Send an IP payload, in fragments if need be."""
        source, mtu = int(way.source), self._mtus.get(destination)
        hops = self._settings.hop_limit if hop_limit is None else hop_limit
        if destination.version == 4:
            packets = write_ipv4(
                source,
                int(destination),
                protocol,
                payload,
                ttl=hops,
                mtu=mtu,
                identification=int.from_bytes(self._random_bytes(2), "big"),
            )
        else:
            packets = write_ipv6(
                source,
                int(destination),
                protocol,
                payload,
                hop_limit=hops,
                mtu=mtu,
                identification=int.from_bytes(self._random_bytes(4), "big"),
            )
        header = self._headers[destination.version]
        frames = [
            SuperFrame(memoryview(bytearray().join((bytes(6), header, packet))))
            for packet in packets
        ]
        self.send_parcel(Parcel(frames, way.next_hop, on_failure), way, destination, now)

    def send_parcel(self, parcel: Parcel, way: Way, destination: IpAddress, now: Now) -> None:
        """Send frames whose destination MAC is to be found."""
        mac = self.mac_for(way, destination, now)
        if mac is None:
            self.cache.wait(parcel)
        else:
            self.release([parcel], mac)

    def mac_for(self, way: Way, destination: IpAddress, now: Now) -> Mac | None:
        """Return the MAC that frames go to; None where it is being asked for."""
        if way.is_own:
            return self._mac  # the node hands it back to us
        if not way.is_to_group:
            return self.cache.lookup(way.next_hop, now)
        return group_mac(destination) if destination.is_multicast else BROADCAST_MAC

    def header_for(self, version: int) -> bytes:
        """Return what follows the destination MAC in frames of a version of IP."""
        return self._headers[version]

    def release(self, parcels: list[Parcel], mac: Mac) -> None:
        """Send parcels whose next hop is known now."""
        for parcel in parcels:
            for frame in parcel.frames:
                frame.buffer[:6] = mac
                self._push(frame)
