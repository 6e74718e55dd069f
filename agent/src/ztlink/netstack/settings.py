"""What may be set about a stack; sizes in bytes, times in seconds."""

from dataclasses import dataclass, field

from ztlink.netstack.tcp.settings import TcpSettings


@dataclass(frozen=True, slots=True)
class StackSettings:
    """Limits and defaults of one stack."""

    tcp: TcpSettings = field(default_factory=TcpSettings)
    hop_limit: int = 64
    max_neighbors: int = 1024
    neighbor_queue: int = 64
    """Packets that wait for one neighbour; the oldest gives way."""
    neighbor_queue_size: int = 256 * 1024
    fragments_size: int = 1024 * 1024
    """Of all fragments that wait for others; one sender may have a quarter of it."""
    fragments_timeout: float = 30.0
    udp_send_buffer: int = 256 * 1024
    """Of datagrams that wait to be pulled, for each socket."""
    udp_receive_buffer: int = 1024 * 1024
    """Of datagrams that the application has not taken, for each socket."""
    echo_rate: float = 1000.0
    """Echo requests answered in a second."""
    error_rate: float = 50.0
    """ICMP errors sent in a second."""
    ping_timeout: float = 5.0
