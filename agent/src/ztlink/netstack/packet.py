"""An IP packet that came in, as the protocols above see it."""

from dataclasses import dataclass

from ztlink.ids import IpAddress, Mac


@dataclass(slots=True)
class Packet:
    """A whole packet for us, whose headers are good; its buffers are borrowed."""

    source: IpAddress
    destination: IpAddress
    protocol: int
    hop_limit: int
    payload: memoryview
    quote: memoryview
    """The packet from its IP header on, as far as an ICMP error may quote it."""
    link_source: Mac
    is_to_group: bool = False
    """To a group or to all, by the IP address or by the MAC."""
    is_verified: bool = False
    """The checksum of what is above IP need not be looked at."""
