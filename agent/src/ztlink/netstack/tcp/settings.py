"""What may be set about TCP: for all connections of a stack, and for one."""

from dataclasses import dataclass
from enum import StrEnum


class CongestionControl(StrEnum):
    """How the sending rate is found."""

    BBR = "bbr"
    """A model of the path: bottleneck rate and round trip; stands loss."""
    CUBIC = "cubic"
    NEW_RENO = "newreno"


@dataclass(frozen=True, slots=True)
class TcpSettings:
    """Limits and defaults of all connections of a stack; sizes in bytes, times in seconds."""

    congestion_control: CongestionControl = CongestionControl.BBR
    receive_buffer: int = 128 * 1024
    """What a connection offers at first; it grows with the rate at which the application reads."""
    max_receive_buffer: int = 6 * 1024 * 1024
    send_buffer: int = 128 * 1024
    """What a connection takes from the application at first; grows with the congestion window."""
    max_send_buffer: int = 6 * 1024 * 1024
    total_memory: int = 64 * 1024 * 1024
    """Bytes in the buffers of all connections together."""
    max_payload: int = 60_500
    """Of one super-segment; less than fits into 64 KiB, so that the lane sends it as one train."""
    timestamps: bool = True
    max_connections: int = 16_384
    max_half_open: int = 256
    """Connections in SYN_RECEIVED per listener; from there on SYN cookies answer."""
    max_time_wait: int = 1024
    time_wait: float = 10.0
    """How long a closed connection answers a repeated FIN."""
    connect_timeout: float = 180.0
    """RFC 1122 4.2.3.5 asks for three minutes at least."""
    user_timeout: float = 300.0
    """How long data may go unacknowledged before the connection is given up."""
    finish_timeout: float = 60.0
    """How long a connection that the application closed may wait for the peer's FIN."""
    keep_alive_idle: float = 7200.0
    keep_alive_interval: float = 75.0
    keep_alive_count: int = 9


@dataclass(slots=True)
class ConnectionOptions:
    """What an application sets on a connection; None leaves what is."""

    no_delay: bool | None = None
    """Send small segments at once (on by default), instead of RFC 896's waiting."""
    keep_alive: float | None = None
    """Ask a silent peer for a sign of life after so many seconds; 0 turns it off."""
    user_timeout: float | None = None
    linger: float | None = None
    """After `close`, reset what is not done in so many seconds; 0 resets at once."""
    send_buffer: int | None = None
    """Fixed from now on instead of tuned."""
    receive_buffer: int | None = None
    """Fixed from now on instead of tuned; what has been offered stays offered."""
    congestion_control: CongestionControl | None = None
