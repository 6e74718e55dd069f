"""The proof of work in an identity, and identities that have it (wire.adoc#identity).

The digest of a public key needs two megabytes of memory and 131,072 rounds, each of which swaps one
word of the digest with one of memory and then mixes keystream into the whole digest. That mixing is
put off: the digest is kept as it would be without it, beside the running XOR of the keystream, so
that a round touches two words only.
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
_CANDIDATES: Final = 24
"""Public keys that are tried side by side: one of them is good four times in five."""

Words = npt.NDArray[np.uint64]


def _keystream(digests: list[bytes]) -> Callable[[int], Words]:
    """Return a source of keystream words, 8 per block: shape (blocks, 8, candidates)."""
    ciphers = [Salsa20.new(digest[:32], digest[32:40]) for digest in digests]

    def more(blocks: int) -> Words:
        zeros = bytes(64 * blocks)
        streams = [np.frombuffer(c.encrypt(zeros), ">u8").astype(np.uint64) for c in ciphers]
        return np.stack(streams, axis=-1).reshape(blocks, _DIGEST_WORDS, len(digests))

    return more


def _derive_many(public_keys: list[bytes]) -> list[bytes]:
    """Return the 64-byte digests of public keys, computed side by side."""
    count = len(public_keys)
    digests = [hashlib.sha512(key).digest() for key in public_keys]
    more = _keystream(digests)
    filled = more(_MEMORY_SIZE // 64)
    np.bitwise_xor.accumulate(filled, axis=0, out=filled)
    memory = filled.reshape(_WORDS * count)
    words = np.stack([np.frombuffer(d, ">u8").astype(np.uint64) for d in digests], axis=-1)
    base = words.reshape(_DIGEST_WORDS * count)
    lane = np.arange(count)
    mixed = np.zeros((1, _DIGEST_WORDS, count), np.uint64)
    for first in range(0, _ROUNDS, _STEP):
        stream = more(_STEP)
        np.bitwise_xor.accumulate(stream, axis=0, out=stream)
        # Row r holds what was mixed in before round r of this step.
        running = np.concatenate([mixed, stream ^ mixed]).reshape(_STEP + 1, _DIGEST_WORDS * count)
        _swap_rounds(memory, base, running, lane, first, count)
        mixed = running[_STEP:].reshape(1, _DIGEST_WORDS, count)
    final = (base.reshape(_DIGEST_WORDS, count) ^ mixed[0]).astype(">u8")
    return [final[:, index].tobytes() for index in range(count)]


def _swap_rounds(
    memory: Words,
    base: Words,
    running: Words,
    lane: npt.NDArray[np.int64],
    first: int,
    count: int,
) -> None:
    """Do the rounds of one step for all candidates; every array is made before, none within."""
    rows = memory.view(np.int64).reshape(_WORDS, count)
    in_digest, in_memory = np.empty(count, np.int64), np.empty(count, np.int64)
    mask, old, new = (np.empty(count, np.uint64) for _ in range(3))
    word = 2 * first
    for mixed in running[:_STEP]:
        np.bitwise_and(rows[word], 7, in_digest)
        np.multiply(in_digest, count, in_digest)
        np.add(in_digest, lane, in_digest)
        np.bitwise_and(rows[word + 1], _WORDS - 1, in_memory)
        np.multiply(in_memory, count, in_memory)
        np.add(in_memory, lane, in_memory)
        # All indices are in range: "clip" spares a copy that "raise" would make.
        mixed.take(in_digest, None, mask, "clip")
        base.take(in_digest, None, old, "clip")
        memory.take(in_memory, None, new, "clip")
        base[in_digest] = np.bitwise_xor(new, mask, new)
        memory[in_memory] = np.bitwise_xor(old, mask, old)
        word += 2


def derive_digest(public_key: bytes) -> bytes:
    """Return the 64-byte digest of one public key; some 0.1 s of CPU."""
    digest = hashlib.sha512(public_key).digest()
    more = _keystream([digest])
    filled = more(_MEMORY_SIZE // 64)
    memory: list[int] = np.bitwise_xor.accumulate(filled, axis=0).reshape(-1).tolist()
    base: list[int] = np.frombuffer(digest, ">u8").tolist()
    mixed = np.zeros((1, _DIGEST_WORDS), np.uint64)
    word = 0
    for _ in range(0, _ROUNDS, _STEP):
        stream = np.bitwise_xor.accumulate(more(_STEP)[:, :, 0], axis=0)
        rows = np.concatenate([mixed, stream ^ mixed])
        running: list[int] = rows[:_STEP].reshape(-1).tolist()
        for offset in range(0, _STEP * _DIGEST_WORDS, _DIGEST_WORDS):
            in_digest = memory[word] & 7
            in_memory = memory[word + 1] & (_WORDS - 1)
            mask = running[offset + in_digest]
            swapped = memory[in_memory] ^ mask
            memory[in_memory] = base[in_digest] ^ mask
            base[in_digest] = swapped
            word += 2
        mixed = rows[_STEP:]
    final: Words = np.array(base, np.uint64) ^ mixed[0]
    return bytes(final.astype(">u8").tobytes())


def _is_acceptable(digest: bytes) -> bool:
    return digest[0] < HARDNESS and not is_reserved(_address(digest))


def _address(digest: bytes) -> Address:
    return Address(int.from_bytes(digest[59:], "big"))


def generate(random_bytes: Callable[[int], bytes]) -> SecretIdentity:
    """Make an identity; candidates are tried side by side until one has an acceptable digest."""
    seed = random_bytes(32)
    signing = bindings.crypto_sign_seed_keypair(seed)[0]
    while True:
        scalars = [random_bytes(32) for _ in range(_CANDIDATES)]
        keys = [bindings.crypto_scalarmult_base(scalar) + signing for scalar in scalars]
        for scalar, key, digest in zip(scalars, keys, _derive_many(keys), strict=True):
            if _is_acceptable(digest):
                return SecretIdentity(Identity(_address(digest), key), scalar + seed)


def validate(identity: Identity) -> bool:
    """Tell whether an address was honestly derived from its key: some 0.1 s of CPU."""
    if is_reserved(identity.address):
        return False
    digest = derive_digest(identity.public_key)
    return digest[0] < HARDNESS and _address(digest) == identity.address
