"""Forged HELLOs, so many a second, for so long and no longer: what a hostile host sends.

    python -m tests.lab.flood KIND TARGET IP/PORT... [--peer IDENTITY] [--rate N] [--seconds S]

TARGET is the public identity of the node that listens there. With several endpoints the flood goes
to one after the other, for S seconds each, so that what it does to one can be compared with what it
does to another within one run. It says "ready" when all packets are made, then at which reading of
the monotonic clock it begins, and how many it sent in each turn.
"""

import argparse
import random
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import Final

from tests.lab.planet import known_identity
from ztlink.batch import CipherSuite
from ztlink.crypto.armor import armor_one, crypt_hello_tail
from ztlink.crypto.identity import agree
from ztlink.crypto.kdf import PeerCipher, derive_session_keys
from ztlink.ids import Address
from ztlink.wire.buffer import Writer
from ztlink.wire.control import Hello
from ztlink.wire.identity import Identity
from ztlink.wire.packet import HEADER, OFFSET_PAYLOAD
from ztlink.wire.verbs import PROTOCOL_VERSION, SOFTWARE_VERSION, Verb

MAX_RATE: Final = 50_000
MAX_SECONDS: Final = 120.0
"""In all."""
DELAY: Final = 2.0
"""Seconds between "ready" and the first packet: for what is to run beside it."""
SOURCES: Final = 64
"""Ports that they come from, in turn: no two that follow each other are of one source."""
KEYS: Final = 400
_FIRST_KEY: Final = 500
_TICK: Final = 0.002


class Forgery(Enum):
    """What is false about a HELLO."""

    STRANGERS = "strangers"
    """Identities made of chance, tags too: each costs a key agreement to see through."""
    PEERS = "peers"
    """The identity of a node that the target knows; the tag is false."""
    KEYED = "keyed"
    """True keys and a true tag, of an address that no proof of work stands behind."""


def forge(
    kind: Forgery, target: Identity, chance: random.Random, peer: Identity | None = None
) -> Iterator[bytes]:
    """Yield HELLOs to `target` without end."""
    keys = _keys(target) if kind is Forgery.KEYED else []
    while True:
        if kind is Forgery.KEYED:
            public_key, cipher = chance.choice(keys)
            yield _hello(target, Identity(_address(chance), public_key), chance, cipher)
        elif kind is Forgery.PEERS:
            assert peer is not None, "whose peer?"
            yield _hello(target, peer, chance, None)
        else:
            yield _hello(target, Identity(_address(chance), chance.randbytes(64)), chance, None)


def _keys(target: Identity) -> list[tuple[bytes, PeerCipher]]:
    secrets = [known_identity(_FIRST_KEY + number) for number in range(KEYS)]
    return [
        (secret.public.public_key, PeerCipher(derive_session_keys(agree(secret, target))))
        for secret in secrets
    ]


def _address(chance: random.Random) -> Address:
    return Address(chance.randrange(1, 0xFF << 32))


def _hello(
    target: Identity, source: Identity, chance: random.Random, cipher: PeerCipher | None
) -> bytes:
    writer = Writer()
    Hello(PROTOCOL_VERSION, SOFTWARE_VERSION, 1, source).encode(writer)
    tail = OFFSET_PAYLOAD + len(writer)
    Hello.encode_tail((), writer)
    addresses = (target.address.to_bytes(5, "big"), source.address.to_bytes(5, "big"))
    header = HEADER.pack(chance.randbytes(8), *addresses, 0, chance.randbytes(8), Verb.HELLO)
    packet = bytearray(header + writer.getvalue())
    if cipher is not None:
        crypt_hello_tail(packet, tail, cipher)
        armor_one(packet, cipher, CipherSuite.POLY_NONE)
    return bytes(packet)


def send(
    packets: Sequence[bytes],
    to: tuple[str, int],
    seconds: float,
    start: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """Send the packets evenly over that time, and return how many went; late ones are left out.

    `start` is the reading of the clock from which time counts, now if it is not given.
    """
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(SOURCES)]
    sent = done = 0
    start = clock() if start is None else start
    while (elapsed := clock() - start) < seconds:
        due = int(len(packets) * elapsed / seconds)
        for number in range(max(done, due - 200), due):  # after a pause, no burst
            try:
                sockets[number % SOURCES].sendto(packets[number], to)
                sent += 1
            except OSError:  # nobody listens, or no room: it is lost as others are
                pass
        done = due
        time.sleep(_TICK)
    for one in sockets:
        one.close()
    return sent


def main(arguments: Sequence[str]) -> int:
    """Forge, then send."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("kind", type=Forgery)
    parser.add_argument("target", type=Identity.from_text)
    parser.add_argument("endpoints", nargs="+")
    parser.add_argument("--peer", type=Identity.from_text)
    parser.add_argument("--rate", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    turns = [(ip, int(port)) for ip, _, port in (e.rpartition("/") for e in options.endpoints)]
    if not 0 < options.rate <= MAX_RATE or not 0 < options.seconds * len(turns) <= MAX_SECONDS:
        parser.error(f"at most {MAX_RATE} a second for {MAX_SECONDS:g} s")
    forged = forge(options.kind, options.target, random.Random(options.seed), options.peer)  # noqa: S311
    packets = [next(forged) for _ in range(int(options.rate * options.seconds))]
    print("ready", flush=True)
    start = time.monotonic() + DELAY
    print(f"start {start:.3f}", flush=True)
    time.sleep(DELAY)
    for turn, to in enumerate(turns):
        begin = start + turn * options.seconds
        print(f"sent {send(packets, to, options.seconds, begin)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
