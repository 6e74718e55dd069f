"""The proof of work in an identity, and identities that have it (wire.adoc#identity).

The digest of a public key needs two megabytes of memory and 131,072 rounds, each of which swaps one
word of the digest with one of memory and then mixes keystream into the whole digest. That mixing is
put off: the digest is kept as it would be without it, beside the running XOR of the keystream, so
that a round touches two words only.

Which words these are, memory says; and rounds that follow each other seldom have a word of it in
common. So some hundred are done at once, up to the first that needs what one of them writes.
"""

import hashlib
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
from Crypto.Cipher import Salsa20
from nacl import bindings

from ztlink.ids import Address, is_reserved
from ztlink.wire.identity import Identity, SecretIdentity

HARDNESS: Final = 17
"""The first byte of an acceptable digest is below this: about one key in fifteen."""
_MEMORY_SIZE: Final = 2_097_152
_WORDS: Final = _MEMORY_SIZE // 8
_ROUNDS: Final = _WORDS // 2
_DIGEST_WORDS: Final = 8
_STEP: Final = 4096
"""Rounds whose keystream is computed at once."""
_SPAN: Final = 512
"""Rounds that are tried at once: two thirds of them can be done, on average."""

Words = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]


def derive_digest(public_key: bytes) -> bytes:
    """Return the 64-byte digest of one public key; some 30 ms of CPU."""
    digest = hashlib.sha512(public_key).digest()
    more = _keystream(digest)
    memory = _accumulated(more(_MEMORY_SIZE // 64)).reshape(_WORDS)
    base = np.frombuffer(digest, ">u8").astype(np.uint64)
    mixed = np.zeros((1, _DIGEST_WORDS), np.uint64)
    for first in range(0, _ROUNDS, _STEP):
        # Row r holds what was mixed in before round r of this step.
        running = np.concatenate([mixed, _accumulated(more(_STEP)) ^ mixed])
        done = 0
        while done < _STEP:
            rows = running[done : min(done + _SPAN, _STEP)]
            done += _swap(memory, base, rows, first + done)
        mixed = running[_STEP:]
    return bytes((base ^ mixed[0]).astype(">u8").tobytes())


def _keystream(digest: bytes) -> Callable[[int], Words]:
    """Return a source of keystream, a row of eight words per block."""
    cipher = Salsa20.new(digest[:32], digest[32:40])

    def more(blocks: int) -> Words:
        stream = np.frombuffer(cipher.encrypt(bytes(64 * blocks)), ">u8").astype(np.uint64)
        return stream.reshape(blocks, _DIGEST_WORDS)

    return more


def _accumulated(stream: Words) -> Words:
    """Return the running XOR of rows, in their place."""
    return np.bitwise_xor.accumulate(stream, axis=0, out=stream)


def _swap(memory: Words, base: Words, mixed: Words, first: int) -> int:
    """Do as many rounds from `first` on as go together, and return how many those were."""
    words = memory[2 * first : 2 * (first + len(mixed))].view(np.int64)
    in_digest, in_memory = words[::2] & (_DIGEST_WORDS - 1), words[1::2] & (_WORDS - 1)
    count = _independent(in_memory, first)
    in_digest, in_memory = in_digest[:count], in_memory[:count]
    masks = mixed[np.arange(count), in_digest]
    memory[in_memory] = _exchange(base, in_digest, memory[in_memory] ^ masks) ^ masks
    return count


def _independent(in_memory: Indices, first: int) -> int:
    """Count the rounds before the first that needs what one of them writes to memory."""
    count = len(in_memory)
    # Either what a round writes says to a later one which words it is to swap,
    reader = (in_memory >> 1) - first
    readers = reader[(reader > np.arange(count)) & (reader < count)]
    # or a later one swaps the same word again.
    order = in_memory.argsort(kind="stable")
    in_order = in_memory[order]
    repeated = order[1:][in_order[1:] == in_order[:-1]]
    return int(min(readers.min(initial=count), repeated.min(initial=count)))


def _exchange(base: Words, places: Indices, values: Words) -> Words:
    """Put values into words of the digest, in their order; return what each of them displaced."""
    order = places.argsort(kind="stable")
    places, values = places[order], values[order]
    ends = np.flatnonzero(np.append(places[1:] != places[:-1], [True]))  # of the run of each word
    begins = np.append(0, ends[:-1] + 1)
    former = np.empty_like(values)
    former[1:] = values[:-1]
    former[begins] = base[places[begins]]
    base[places[ends]] = values[ends]
    displaced = np.empty_like(values)
    displaced[order] = former
    return displaced


def _is_acceptable(digest: bytes) -> bool:
    return digest[0] < HARDNESS and not is_reserved(_address(digest))


def _address(digest: bytes) -> Address:
    return Address(int.from_bytes(digest[59:], "big"))


def generate(random_bytes: Callable[[int], bytes]) -> SecretIdentity:
    """Make an identity: keys are tried until one has an acceptable digest, some fifteen."""
    seed = random_bytes(32)
    signing = bindings.crypto_sign_seed_keypair(seed)[0]
    while True:
        scalar = random_bytes(32)
        key = bindings.crypto_scalarmult_base(scalar) + signing
        digest = derive_digest(key)
        if _is_acceptable(digest):
            return SecretIdentity(Identity(_address(digest), key), scalar + seed)


def validate(identity: Identity) -> bool:
    """Tell whether an address was honestly derived from its key: some 30 ms of CPU."""
    if is_reserved(identity.address):
        return False
    digest = derive_digest(identity.public_key)
    return digest[0] < HARDNESS and _address(digest) == identity.address
