"""What all messages have in common: they are read from a Reader and written to a Writer."""

from abc import ABC, abstractmethod
from typing import Self

from ztlink.wire.buffer import Reader, Writer


class Message(ABC):
    """A value with a form in bytes; what can be constructed can be encoded, and decodes equal."""

    __slots__ = ()

    @classmethod
    @abstractmethod
    def decode(cls, reader: Reader) -> Self:
        """Pull the message; raises WireError and nothing else."""

    @abstractmethod
    def encode(self, writer: Writer) -> None:
        """Push the message."""

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> Self:
        """Decode what `data` starts with."""
        return cls.decode(Reader(data))

    def to_bytes(self) -> bytes:
        """Return the encoded message."""
        writer = Writer()
        self.encode(writer)
        return writer.getvalue()
