"""Packets between nodes of the mesh: sealed as by one of them, opened as by the other."""

from dataclasses import dataclass

from tests.unit.vl1.mesh import identity
from ztlink.batch import CipherSuite
from ztlink.clock import Now
from ztlink.crypto.armor import armor_one, crypt_hello_tail, dearmor_one
from ztlink.crypto.identity import agree
from ztlink.crypto.kdf import PeerCipher, derive_session_keys
from ztlink.vl1.context import Context
from ztlink.wire.compress import decompress
from ztlink.wire.control import Hello, HelloMoon
from ztlink.wire.identity import Identity, SecretIdentity
from ztlink.wire.packet import (
    MASK_HOPS,
    MASK_SUITE,
    OFFSET_FLAGS,
    OFFSET_PAYLOAD,
    OFFSET_VERB,
    SHIFT_SUITE,
    VERB_FLAG_COMPRESSED,
    VERB_MASK,
)
from ztlink.wire.verbs import Verb

NODES = 8
"""As many nodes have packets that can be opened here."""


@dataclass(frozen=True)
class Opened:
    """An authentic packet in clear."""

    packet_id: int
    verb: int
    payload: bytes
    suite: int
    hops: int
    is_compressed: bool


@dataclass(frozen=True)
class Sent:
    """A whole packet that left, and where to."""

    to: object
    packet: Opened


def cipher_of(secret: SecretIdentity, other: Identity) -> PeerCipher:
    return PeerCipher(derive_session_keys(agree(secret, other)))


def seal(
    sender: int,
    receiver: int,
    verb: int,
    payload: bytes = b"",
    *,
    suite: CipherSuite = CipherSuite.SALSA_POLY,
    packet_id: int = 0x0102030405060708,
    hops: int = 0,
) -> bytes:
    """Return an authentic packet of one node for another."""
    packet = bytearray(packet_id.to_bytes(8, "big"))
    packet += identity(receiver).address.to_bytes(5, "big")
    packet += identity(sender).address.to_bytes(5, "big") + bytes(9) + bytes([verb]) + payload
    armor_one(packet, cipher_of(identity(sender), identity(receiver).public), suite)
    packet[OFFSET_FLAGS] |= hops
    return bytes(packet)


def seal_hello(
    secret: SecretIdentity,
    receiver: int,
    hello: Hello,
    moons: tuple[HelloMoon, ...] = (),
    *,
    tail: bytes | None = None,
    suite: CipherSuite = CipherSuite.POLY_NONE,
) -> bytes:
    """Return a HELLO of anybody; `tail` takes the place of the moons, still to be encrypted."""
    cipher = cipher_of(secret, identity(receiver).public)
    packet = bytearray(range(1, 9)) + identity(receiver).address.to_bytes(5, "big")
    packet += hello.identity.address.to_bytes(5, "big") + bytes(9) + bytes([Verb.HELLO])
    packet += hello.to_bytes()
    tail_offset = len(packet)
    packet += encoded_moons(moons) if tail is None else tail
    crypt_hello_tail(packet, tail_offset, cipher)
    armor_one(packet, cipher, suite)
    return bytes(packet)


def encoded_moons(moons: tuple[HelloMoon, ...]) -> bytes:
    """Return the tail of a HELLO in clear."""
    entries = [
        b"\x7f" + moon.world_id.to_bytes(8, "big") + moon.timestamp.to_bytes(8, "big")
        for moon in moons
    ]
    return len(entries).to_bytes(2, "big") + b"".join(entries)


def open_packet(data: bytes, cipher: PeerCipher | None = None) -> Opened:
    """Open a packet between two nodes of the mesh; it has to be authentic."""
    packet = bytearray(data)
    if cipher is None:
        by_address = {identity(n).address.to_bytes(5, "big"): identity(n) for n in range(NODES)}
        receiver, sender = by_address[data[8:13]], by_address[data[13:18]]
        cipher = cipher_of(sender, receiver.public)
    hops = packet[OFFSET_FLAGS] & MASK_HOPS
    suite = (packet[OFFSET_FLAGS] & MASK_SUITE) >> SHIFT_SUITE
    assert dearmor_one(packet, cipher), "a packet that is not authentic"
    payload = bytes(packet[OFFSET_PAYLOAD:])
    is_compressed = bool(packet[OFFSET_VERB] & VERB_FLAG_COMPRESSED)
    if is_compressed:
        payload = decompress(payload)
    packet_id = int.from_bytes(data[:8], "big")
    return Opened(packet_id, packet[OFFSET_VERB] & VERB_MASK, payload, suite, hops, is_compressed)


def take_sent(ctx: Context) -> list[Sent]:
    """Take the whole packets that a node has sent since it was last looked at."""
    transmits, ctx.transmits = ctx.transmits, []
    return [
        Sent(transmit.destination, open_packet(bytes(transmit.buffer)))
        for transmit in transmits
        if len(transmit.buffer) >= OFFSET_PAYLOAD
    ]


def after(now: Now, seconds: float) -> Now:
    return Now(now.mono + seconds, now.unix_ms + round(seconds * 1000))
