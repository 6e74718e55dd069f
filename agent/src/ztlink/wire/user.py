"""Messages for applications, traces, and what multipath bonding measures."""

from dataclasses import dataclass
from typing import Final, Self

from ztlink.errors import WireError
from ztlink.wire.buffer import Reader, Writer
from ztlink.wire.message import Message

MAX_TRACE_SIZE: Final = 10_000
MAX_QOS_RECORDS: Final = 140
QOS_RECORD_SIZE: Final = 10
MIN_QOS_SIZE: Final = 9
MAX_QOS_SIZE: Final = 1400


@dataclass(frozen=True, slots=True)
class UserMessage(Message):
    """Data for an application; anybody can send one (wire.adoc#user-message)."""

    type_id: int
    """Up to 65535 reserved by the protocol's maker."""
    data: bytes

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(reader.pull_uint(8), reader.pull_rest())

    def encode(self, writer: Writer) -> None:
        writer.push_uint(self.type_id, 8)
        writer.push_bytes(self.data)


@dataclass(frozen=True, slots=True)
class RemoteTrace(Message):
    """Dictionaries that tell what a node did (wire.adoc#remote-trace)."""

    dictionaries: tuple[bytes, ...]

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        """Pull the dictionaries; what is not ended by a NUL is left out."""
        *texts, _ = reader.pull_rest().split(b"\0")
        for text in texts:
            if not 0 < len(text) <= MAX_TRACE_SIZE:
                raise WireError(f"REMOTE_TRACE: {len(text)}-byte dictionary")
        return cls(tuple(texts))

    def encode(self, writer: Writer) -> None:
        for text in self.dictionaries:
            writer.push_bytes(text)
            writer.push_uint(0, 1)


@dataclass(frozen=True, slots=True)
class QosRecord:
    """How long a packet waited before it was measured."""

    packet_id: int
    holding_time_ms: int


@dataclass(frozen=True, slots=True)
class QosMeasurement(Message):
    """Measurements of a bonded path; little-endian, as its senders are (wire.adoc#qos)."""

    records: tuple[QosRecord, ...]

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        if not MIN_QOS_SIZE <= reader.remaining <= MAX_QOS_SIZE:
            raise WireError(f"QOS_MEASUREMENT: {reader.remaining} bytes")
        count = min(reader.remaining // QOS_RECORD_SIZE, MAX_QOS_RECORDS)
        return cls(
            tuple(
                QosRecord(
                    int.from_bytes(reader.pull_bytes(8), "little"),
                    int.from_bytes(reader.pull_bytes(2), "little"),
                )
                for _ in range(count)
            )
        )

    def encode(self, writer: Writer) -> None:
        for record in self.records:
            writer.push_bytes(record.packet_id.to_bytes(8, "little"))
            writer.push_bytes(record.holding_time_ms.to_bytes(2, "little"))


@dataclass(frozen=True, slots=True)
class PathNegotiationRequest(Message):
    """What a path is worth to the sender's bond (wire.adoc#path-negotiation)."""

    utility: int
    """Signed, 16 bits."""

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        if reader.remaining != 2:
            raise WireError(f"PATH_NEGOTIATION_REQUEST: {reader.remaining} bytes")
        return cls(int.from_bytes(reader.pull_bytes(2), "big", signed=True))

    def encode(self, writer: Writer) -> None:
        writer.push_bytes(self.utility.to_bytes(2, "big", signed=True))
