"""NAT boxes: they rewrite the source of what goes out, and judge what may come in.

The four kinds are the classical ones. They differ in what a mapping belongs to (an inside endpoint,
or a pair of inside endpoint and destination) and in who may answer through it (anybody, hosts that
were sent to, endpoints that were sent to).
"""

from dataclasses import dataclass, field
from enum import Enum, auto
from random import Random
from typing import Final

from tests.sim.link import Datagram
from ztlink.ids import Endpoint, IpAddress

FIRST_PORT: Final = 20_000
LAST_PORT: Final = 59_999


class NatKind(Enum):
    """How a NAT maps and filters."""

    FULL_CONE = auto()
    RESTRICTED = auto()
    PORT_RESTRICTED = auto()
    SYMMETRIC = auto()


@dataclass(slots=True)
class _Mapping:
    inside: Endpoint
    outside_port: int
    last_used: float
    contacts: dict[Endpoint, None] = field(default_factory=dict)
    """Destinations that were sent to through it."""


class Nat:
    """Address translation between the inside of a box and one address outside."""

    def __init__(
        self,
        kind: NatKind,
        outside: IpAddress,
        chance: Random,
        *,
        lifetime: float = 30.0,
        has_hairpin: bool = False,
    ) -> None:
        self.kind = kind
        self.outside = outside
        self.lifetime = lifetime
        """Seconds after the last datagram outward for which a mapping is remembered."""
        self.has_hairpin = has_hairpin
        """Stations inside may reach each other through the address outside."""
        self.refused = 0
        """Datagrams from outside that fitted no mapping."""
        self._chance = chance
        self._by_inside: dict[tuple[Endpoint, Endpoint | None], _Mapping] = {}
        self._by_port: dict[int, _Mapping] = {}

    def outward(self, datagram: Datagram, time: float) -> Datagram:
        """Translate what goes out; makes a mapping where there is none."""
        target = datagram.destination if self.kind is NatKind.SYMMETRIC else None
        key = (datagram.source, target)
        mapping = self._by_inside.get(key)
        if mapping is not None and time - mapping.last_used > self.lifetime:
            self._forget(key, mapping)
            mapping = None
        if mapping is None:
            mapping = _Mapping(datagram.source, self._free_port(time), time)
            self._by_inside[key] = mapping
            self._by_port[mapping.outside_port] = mapping
        mapping.last_used = time
        mapping.contacts[datagram.destination] = None
        return datagram.from_(Endpoint(self.outside, mapping.outside_port))

    def inward(self, datagram: Datagram, time: float) -> Datagram | None:
        """Translate what comes in; None where nobody inside waits for it."""
        mapping = self._by_port.get(datagram.destination.port)
        if (
            datagram.destination.ip != self.outside
            or mapping is None
            or time - mapping.last_used > self.lifetime
            or not self._admits(mapping, datagram.source)
        ):
            self.refused += 1
            return None
        return datagram.to(mapping.inside)

    def rebind(self) -> None:
        """Forget all mappings, as a box does that was restarted."""
        self._by_inside.clear()
        self._by_port.clear()

    def renumber(self, outside: IpAddress) -> None:
        """Get another address outside, and forget all mappings."""
        self.outside = outside
        self.rebind()

    def _admits(self, mapping: _Mapping, source: Endpoint) -> bool:
        match self.kind:
            case NatKind.FULL_CONE:
                return True
            case NatKind.RESTRICTED:
                return any(contact.ip == source.ip for contact in mapping.contacts)
            case _:
                return source in mapping.contacts

    def _free_port(self, time: float) -> int:
        while True:
            port = self._chance.randint(FIRST_PORT, LAST_PORT)
            holder = self._by_port.get(port)
            if holder is None or time - holder.last_used > self.lifetime:
                return port

    def _forget(self, key: tuple[Endpoint, Endpoint | None], mapping: _Mapping) -> None:
        del self._by_inside[key]
        if self._by_port.get(mapping.outside_port) is mapping:
            del self._by_port[mapping.outside_port]
