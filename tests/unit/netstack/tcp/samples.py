"""Samples as a flight would give them, for tests of congestion control."""

from ztlink.netstack.tcp.flight import Sample

MSS = 1000


def sample(
    now: float = 1.0,
    *,
    acked: int = MSS,
    rtt: float = 0.1,
    least: float = 0.1,
    in_flight: int = 1 << 30,
    **more: float,
) -> Sample:
    """Return a sample of a window that is used up, without loss."""
    made = Sample(now, in_flight, least)
    made.acked = acked
    made.rtt = rtt
    made.in_flight = in_flight - acked
    for name, value in more.items():
        setattr(made, name, value)
    return made
