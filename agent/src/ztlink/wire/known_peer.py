"""What is kept of a peer on disk (wire.adoc#state-peers)."""

from dataclasses import dataclass
from typing import Final, Self

from ztlink.errors import WireError
from ztlink.ids import Endpoint
from ztlink.wire.buffer import Reader, Writer
from ztlink.wire.identity import Identity
from ztlink.wire.inet_address import pull_endpoint, push_endpoint
from ztlink.wire.message import Message

FORMAT: Final = 2
MAX_ENDPOINTS: Final = 64


@dataclass(frozen=True, slots=True)
class KnownPeer(Message):
    """A peer as its file tells it: who it is, what it spoke, where it was reached."""

    identity: Identity
    protocol: int = 0
    """0 for unknown."""
    version: tuple[int, int, int] = (0, 0, 0)
    endpoints: tuple[Endpoint, ...] = ()

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        kind = reader.pull_uint(1)
        if kind != FORMAT:
            raise WireError(f"known peer: format {kind} is unknown")
        identity = Identity.decode(reader)
        protocol, major, minor, revision = (reader.pull_uint(2) for _ in range(4))
        count = reader.pull_uint(2)
        if count > MAX_ENDPOINTS:
            raise WireError(f"known peer: {count} endpoints")
        found = [pull_endpoint(reader) for _ in range(count)]
        endpoints = tuple(endpoint for endpoint in found if endpoint is not None)
        return cls(identity, protocol, (major, minor, revision), endpoints)

    def encode(self, writer: Writer) -> None:
        writer.push_uint(FORMAT, 1)
        self.identity.encode(writer)
        for number in (self.protocol, *self.version):
            writer.push_uint(number, 2)
        writer.push_uint(len(self.endpoints), 2)
        for endpoint in self.endpoints:
            push_endpoint(endpoint, writer)
