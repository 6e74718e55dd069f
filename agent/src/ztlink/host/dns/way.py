"""What all ways have in common by which a machine can be had to ask a network's servers."""

from dataclasses import dataclass
from typing import Protocol

from ztlink.host.dns.entries import NameServers


@dataclass(frozen=True, slots=True)
class Link:
    """A network's device; made anew, it has another index."""

    name: str
    index: int


class Way(Protocol):
    """Tells a resolver of this machine; HostError where it refuses. All may wait."""

    name: str
    """For people."""

    @property
    def caveat(self) -> str:
        """Tell what it does beyond what is wanted, or not: a sentence, empty for nothing."""

    def why_not(self) -> str | None:
        """Return why it is no way here; None where it is one."""

    def holds(self, link: Link, found: NameServers) -> bool:
        """Tell whether the servers are set, as they would be by `apply`."""

    def apply(self, link: Link, found: NameServers) -> None:
        """Have the servers asked for names in their domain."""

    def revert(self, link: Link) -> None:
        """Take back what was set for a device, be it there or not."""

    def kept(self) -> frozenset[str]:
        """Return the devices for which there is something that does not go with them."""
