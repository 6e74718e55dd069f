"""Rule tables for a controller's REST API, as the tests need them.

Each is made for who shall enforce it: both sides do by nature, and an extra match on the
`inbound` bit leaves it to the receiver or to the sender alone. So a side that lets everything
through is found out, although the other would have stopped it.

Tags and capabilities are not taken back when a member loses them: peers go by what they hold for
half an hour. Tests therefore use an id, and a port, of their own each.
"""

from enum import Enum
from typing import Final

from tests.lab.api import JsonObject

Rules = list[JsonObject]

_INBOUND: Final = "8000000000000000"
_IP_AUTHENTICATED: Final = "1000000000000000"
_TCP_SYN: Final = "0000000000000002"
_TCP_ACK: Final = "0000000000000010"
_ARP: Final = 0x0806
_TCP: Final = 6


class Enforcer(Enum):
    """Who judges a frame."""

    SENDER = "sender"
    RECEIVER = "receiver"


_WHO: Final[dict[Enforcer, Rules]] = {
    Enforcer.SENDER: [{"type": "MATCH_CHARACTERISTICS", "mask": _INBOUND, "not": True}],
    Enforcer.RECEIVER: [{"type": "MATCH_CHARACTERISTICS", "mask": _INBOUND}],
}

ACCEPT: Final[Rules] = [{"type": "ACTION_ACCEPT"}]


def _tcp_to(port: int) -> Rules:
    return [
        {"type": "MATCH_IP_PROTOCOL", "ipProtocol": _TCP},
        {"type": "MATCH_IP_DEST_PORT_RANGE", "start": port, "end": port},
    ]


def drop_tcp_port(port: int, enforcer: Enforcer) -> Rules:
    """Drop TCP to one port."""
    return [*_tcp_to(port), *_WHO[enforcer], {"type": "ACTION_DROP"}, *ACCEPT]


def same_group_only(tag: int, enforcer: Enforcer) -> Rules:
    """Drop what passes between members whose tags differ; ARP is let through."""
    return [
        {"type": "MATCH_ETHERTYPE", "etherType": _ARP},
        {"type": "ACTION_ACCEPT"},
        {"type": "MATCH_TAGS_DIFFERENCE", "id": tag, "value": 0},
        {"type": "ACTION_ACCEPT"},
        *_WHO[enforcer],
        {"type": "ACTION_DROP"},
        *ACCEPT,
    ]


def new_tcp_by_capability(enforcer: Enforcer) -> Rules:
    """Leave the opening of TCP connections to capabilities; accept everything else."""
    return [
        {"type": "MATCH_CHARACTERISTICS", "mask": _TCP_SYN},
        {"type": "MATCH_CHARACTERISTICS", "mask": _TCP_ACK, "not": True},
        *_WHO[enforcer],
        {"type": "ACTION_BREAK"},
        *ACCEPT,
    ]


def port_capability(capability: int, port: int) -> JsonObject:
    """Return a capability that opens one port."""
    return {"id": capability, "default": False, "rules": [*_tcp_to(port), *ACCEPT]}


def owned_addresses_only(enforcer: Enforcer) -> Rules:
    """Drop what comes from an IP address that its sender has no certificate for."""
    return [
        {"type": "MATCH_CHARACTERISTICS", "mask": _IP_AUTHENTICATED, "not": True},
        *_WHO[enforcer],
        {"type": "ACTION_DROP"},
        *ACCEPT,
    ]
