"""What VL2 needs of the layer below; the node ties it to VL1."""

from collections.abc import Callable, Sequence
from typing import Protocol

from ztlink.batch import PacketBatch, SuperFrame
from ztlink.clock import Now
from ztlink.ids import Address, PacketId
from ztlink.stats import Stats
from ztlink.wire.identity import Identity
from ztlink.wire.verbs import Verb


class Underlay(Protocol):
    """Sends to addresses and knows identities."""

    identity: Identity
    """Ours."""
    stats: Stats
    random_bytes: Callable[[int], bytes]

    def send(
        self,
        destination: Address,
        verb: Verb,
        payload: bytes,
        now: Now,
        *,
        compress: bool = False,
        is_patient: bool = False,
    ) -> PacketId | None:
        """Send a message; None where it waits for the destination to become known.

        One that is patient waits for a way to it, too.
        """

    def send_frame(
        self,
        destination: Address,
        frame: SuperFrame,
        prefix: bytes,
        payload_offset: int,
        now: Now,
    ) -> None:
        """Send the frames of a super-frame, each behind `prefix` (verb byte first)."""

    def coalesce(self, batch: PacketBatch, offset: int, header: bytes) -> list[SuperFrame]:
        """Return the frames in packets, neighbours of one TCP flow joined (`inet.coalesce`)."""

    def identity_of(self, address: Address) -> Identity | None:
        """Return the identity of a peer that is known."""

    def ask_identity(self, address: Address, now: Now) -> None:
        """Have the roots asked who this is."""

    def roots(self) -> Sequence[Address]:
        """Return the roots of our planet and moons, ascending."""

    def is_root(self) -> bool:
        """Tell whether we are a root ourselves."""

    def is_online(self) -> bool:
        """Tell whether a root is in reach."""

    def retry_held(self, address: Address, now: Now) -> None:
        """Take up what waited for this peer's credentials."""
