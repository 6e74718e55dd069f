"""The nftables scripts of the laboratory, as text.

Port names are those of the switch, so nothing here depends on addresses.
"""

from collections.abc import Iterable, Mapping
from enum import Enum

OUTSIDE = "eth0"
INSIDE = "inside"


class Nat(Enum):
    """How a router maps the hosts behind it."""

    CONE = "cone"
    """One mapping for all destinations (the port is kept); answers only from where we sent."""

    SYMMETRIC = "symmetric"
    """Another port for each destination: nothing learned from one peer helps with the next."""


_MASQUERADE = {Nat.CONE: "masquerade persistent", Nat.SYMMETRIC: "masquerade random,fully-random"}


def router_script(nat: Nat) -> str:
    """Return the rules of a NAT router.

    What comes in unasked is dropped before the connection table keeps it: an entry for it would
    take the port that the host inside keeps, and so turn a cone into something else.
    """
    return f"""
table ip lab {{
  chain out {{
    type nat hook postrouting priority 100
    oifname "{OUTSIDE}" {_MASQUERADE[nat]}
  }}
  chain in {{
    type filter hook input priority 0
    iifname "{OUTSIDE}" ct state new drop
  }}
  chain through {{
    type filter hook forward priority 0
    iifname "{OUTSIDE}" ct state new drop
  }}
}}
"""


def switch_script(blocked: Iterable[tuple[str, str]], losses: Mapping[str, int]) -> str:
    """Return the rules of the switch: pairs of ports without UDP, and per-port loss in percent."""
    lines = [
        f'    iifname "{one}" oifname "{other}" {protocol} udp drop'
        for pair in blocked
        for one, other in (pair, pair[::-1])
        for protocol in ("ip protocol", "ip6 nexthdr")
    ]
    lines += [
        f'    {side} "{port}" numgen random mod 100 < {percent} drop'
        for port, percent in losses.items()
        for side in ("iifname", "oifname")
    ]
    body = "\n".join(lines)
    return f"""
table bridge lab
delete table bridge lab
table bridge lab {{
  chain forward {{
    type filter hook forward priority 0
{body}
  }}
}}
"""
