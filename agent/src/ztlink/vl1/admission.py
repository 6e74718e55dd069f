"""How much strangers may cost: key agreements a second, and proofs of work that are open."""

from typing import Final

from ztlink.clock import Now
from ztlink.ids import IpAddress
from ztlink.vl1.floodgate import Source, source_of
from ztlink.wire.identity import Identity

MAX_PROVISIONAL: Final = 4096
"""Peers that are served while their proof of work is being checked."""
MAX_PROVISIONAL_PER_SOURCE: Final = 1024
"""Of them, those of one network: a machine room behind one address may start together."""
CROWD: Final = 32
"""Those of one network beyond which no more than an answer goes to any of them before its proof."""
BLAME_LIFETIME: Final = 2.0
"""Seconds for which strangers of a network wait after one of them had a false proof of work."""
MAX_BLAMED: Final = 1024


class Provisional:
    """Identities whose proof of work is being checked; bounded, also for every source."""

    def __init__(self) -> None:
        self._sources: dict[Identity, Source | None] = {}
        self._keys: set[bytes] = set()
        self._counts: dict[Source, int] = {}
        self._blamed: dict[Source, float] = {}
        """When a source last had an identity that was no good, the oldest first."""

    def __len__(self) -> int:
        return len(self._sources)

    def welcomes(self, ip: IpAddress, now: Now) -> bool:
        """Tell whether strangers from there are worth a key agreement."""
        source = source_of(ip)
        is_blamed = now.mono - self._blamed.get(source, float("-inf")) < BLAME_LIFETIME
        return (
            not is_blamed
            and len(self._sources) < MAX_PROVISIONAL
            and self._counts.get(source, 0) < MAX_PROVISIONAL_PER_SOURCE
        )

    def add(self, identity: Identity, ip: IpAddress | None = None) -> bool:
        """Take one more, if there is room; a key proves one address, so one is tried at a time.

        `ip` is where it comes from; None where a root told it.
        """
        if identity.public_key in self._keys or len(self._sources) >= MAX_PROVISIONAL:
            return False
        source = source_of(ip) if ip is not None else None
        self._sources[identity] = source
        self._keys.add(identity.public_key)
        if source is not None:
            self._counts[source] = self._counts.get(source, 0) + 1
        return True

    def is_in_crowd(self, identity: Identity) -> bool:
        """Tell whether many of its network wait for their proof, so that it is worth little yet."""
        source = self._sources.get(identity)
        return source is not None and self._counts[source] > CROWD

    def judged(self, identity: Identity, ok: bool, now: Now) -> None:
        """Forget one that was checked; one that is no good is held against its source."""
        if identity not in self._sources:
            return
        source = self._sources.pop(identity)
        self._keys.discard(identity.public_key)
        if source is None:
            return
        self._counts[source] -= 1
        if not self._counts[source]:
            del self._counts[source]
        if not ok:
            self._blamed.pop(source, None)
            if len(self._blamed) >= MAX_BLAMED:
                del self._blamed[next(iter(self._blamed))]
            self._blamed[source] = now.mono
