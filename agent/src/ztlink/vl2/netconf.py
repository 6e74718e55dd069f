"""Puts a configuration together from the chunks that its controller signed (wire.adoc#chunks).

Chunks may come from anybody and in any order. Nothing is kept of one whose signature is not good,
so that only the controller can make us hold memory; what it can make us hold is bounded by the
size of a configuration.
"""

from collections.abc import Callable
from typing import Final

from ztlink.errors import WireError
from ztlink.ids import Address, NetworkId, PacketId, format_address, format_network_id
from ztlink.wire.netconf import MAX_CONFIG_SIZE, NetworkConfig
from ztlink.wire.network import ConfigChunk

MAX_UPDATES: Final = 3
"""Updates put together at the same time. What others than the controller bring gives way first,
then what is complete, each the least recently continued; what is under way from the controller
itself gives way to the controller alone."""
MAX_CHUNKS: Final = 474

_OF_OTHERS, _COMPLETE, _UNDER_WAY = range(3)

Verify = Callable[[bytes, bytes], bool]
"""Checks a signature (second) of the controller on a message (first)."""


class _Update:
    """One update: what has come of it."""

    __slots__ = ("is_complete", "is_from_controller", "missing", "slices", "total_size")

    def __init__(self, total_size: int) -> None:
        self.total_size = total_size
        self.is_from_controller = False
        """It brought a piece of it itself."""
        self.missing = total_size
        self.slices: dict[int, bytes] = {}
        self.is_complete = False

    def fits(self, chunk: ConfigChunk) -> bool:
        """Tell whether a chunk is of this update's size and covers only what is missing."""
        if chunk.total_size != self.total_size or len(self.slices) >= MAX_CHUNKS:
            return False
        end = chunk.index + len(chunk.data)
        return all(
            end <= index or index + len(data) <= chunk.index for index, data in self.slices.items()
        )

    def take(self, chunk: ConfigChunk) -> bytes | None:
        """Add a chunk that fits; return the whole once nothing is missing."""
        self.slices[chunk.index] = chunk.data
        self.missing -= len(chunk.data)
        if self.missing:
            return None
        text = b"".join(self.slices[index] for index in sorted(self.slices))
        self.is_complete = True
        self.slices = {}
        return text


class ConfigAssembler:
    """The updates of one network that are under way."""

    def __init__(self, network_id: NetworkId, own: Address) -> None:
        self._network_id = network_id
        self._own = own
        self._updates: dict[int, _Update] = {}
        """By update id, the least recently continued first."""

    def add(
        self, chunk: ConfigChunk, *, packet_id: PacketId, is_from_controller: bool, verify: Verify
    ) -> bytes | None:
        """Take a chunk; return the configuration's text if it was the last one missing."""
        if chunk.network_id != self._network_id or not chunk.data:
            return None
        if chunk.total_size > MAX_CONFIG_SIZE:
            return None
        if not chunk.signature:  # the legacy form: whole in one packet, believed for its sender
            return chunk.data if is_from_controller else None
        update = self._updates.get(chunk.update_id)
        if update is not None and (update.is_complete or not update.fits(chunk)):
            return None
        if not verify(chunk.signed_bytes(), chunk.signature):
            return None
        if update is None and not self._make_room(is_from_controller=is_from_controller):
            return None
        update = self._updates.pop(chunk.update_id, None) or _Update(chunk.total_size)
        self._updates[chunk.update_id] = update
        update.is_from_controller |= is_from_controller
        return update.take(chunk)

    def _make_room(self, *, is_from_controller: bool) -> bool:
        """Give up an update for another, if one may be given up."""
        if len(self._updates) < MAX_UPDATES:
            return True
        victim = min(self._updates, key=self._worth)  # of equal ones the first
        if self._worth(victim) == _UNDER_WAY and not is_from_controller:
            return False
        del self._updates[victim]
        return True

    def _worth(self, update_id: int) -> int:
        update = self._updates[update_id]
        if not update.is_from_controller:
            return _OF_OTHERS
        return _COMPLETE if update.is_complete else _UNDER_WAY

    def read(self, text: bytes, current: NetworkConfig | None, *, is_answer: bool) -> NetworkConfig:
        """Decode a complete text; raises WireError where it is not ours to apply.

        Signed configurations can be replayed by anybody: one older than the current is
        good only as the answer to a request of our own.
        """
        config = NetworkConfig.decode(text)
        if config.network_id != self._network_id:
            raise WireError(f"config: of network {format_network_id(config.network_id)}")
        if config.issued_to != self._own:
            raise WireError(f"config: for member {format_address(config.issued_to)}")
        if current is not None and config.timestamp < current.timestamp and not is_answer:
            raise WireError(f"config: of {config.timestamp}, older than {current.timestamp}")
        return config
