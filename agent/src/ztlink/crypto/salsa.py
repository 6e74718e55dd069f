"""Salsa20/12 keystreams: by libsodium where it is reachable, else by numpy over many at once.

Packages of libsodium for Python leave the twelve-round variant out, but the library itself has it.
"""

import ctypes
import ctypes.util
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

BLOCK_SIZE: Final = 64
_DOUBLE_ROUNDS: Final = 6
_SIGMA: Final = np.frombuffer(b"expand 32-byte k", "<u4")

Keystream = Callable[[Sequence[bytes], Sequence[bytes], Sequence[int]], "list[bytes]"]
"""Keys (32 bytes each), nonces (8 each) and wanted sizes -> keystreams from block 0."""


def _sodium_names() -> Iterator[str]:
    """Yield what the library may be called; asking the system, a process of its own, comes last."""
    yield from ("libsodium.so.23", "libsodium.so.26")
    found = ctypes.util.find_library("sodium")
    if found is not None:
        yield found


def _load_sodium() -> Callable[..., int] | None:
    for name in _sodium_names():
        try:
            function = ctypes.CDLL(name).crypto_stream_salsa2012
        except (OSError, AttributeError):
            continue
        function.argtypes = [
            ctypes.c_void_p,
            ctypes.c_ulonglong,
            ctypes.c_char_p,
            ctypes.c_char_p,
        ]
        function.restype = ctypes.c_int
        return function
    return None


_SODIUM: Final = _load_sodium()


def keystreams_sodium(
    keys: Sequence[bytes], nonces: Sequence[bytes], sizes: Sequence[int]
) -> list[bytes]:
    """Return one keystream per key, by libsodium."""
    assert _SODIUM is not None
    streams = []
    for key, nonce, size in zip(keys, nonces, sizes, strict=True):
        out = ctypes.create_string_buffer(size)
        _SODIUM(out, size, nonce, key)
        streams.append(out.raw)
    return streams


def keystreams_numpy(
    keys: Sequence[bytes], nonces: Sequence[bytes], sizes: Sequence[int]
) -> list[bytes]:
    """Return one keystream per key; all blocks of all keystreams are computed side by side."""
    counts = [-(-size // BLOCK_SIZE) for size in sizes]
    total = sum(counts)
    key_words = np.frombuffer(b"".join(keys), "<u4").reshape(len(keys), 8)
    nonce_words = np.frombuffer(b"".join(nonces), "<u4").reshape(len(keys), 2)
    owner = np.repeat(np.arange(len(keys)), counts)
    first = np.repeat(np.cumsum([0, *counts[:-1]]), counts)
    state = np.empty((16, total), np.uint32)
    state[[0, 5, 10, 15]] = _SIGMA[:, None]
    state[1:5] = key_words[owner, :4].T
    state[11:15] = key_words[owner, 4:].T
    state[6:8] = nonce_words[owner].T
    state[8] = np.arange(total) - first
    state[9] = 0
    blocks = _hash(state).T.astype("<u4").tobytes()
    streams, position = [], 0
    for count, size in zip(counts, sizes, strict=True):
        streams.append(blocks[position : position + size])
        position += count * BLOCK_SIZE
    return streams


def _hash(state: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Apply the Salsa20/12 core to columns of 16 words."""
    x = [row.copy() for row in state]
    for _ in range(_DOUBLE_ROUNDS):
        for a, b, c, d in ((0, 4, 8, 12), (5, 9, 13, 1), (10, 14, 2, 6), (15, 3, 7, 11)):
            _quarter(x, a, b, c, d)
        for a, b, c, d in ((0, 1, 2, 3), (5, 6, 7, 4), (10, 11, 8, 9), (15, 12, 13, 14)):
            _quarter(x, a, b, c, d)
    return np.stack(x) + state


def _quarter(x: list[npt.NDArray[np.uint32]], a: int, b: int, c: int, d: int) -> None:
    x[b] ^= _rotate(x[a] + x[d], 7)
    x[c] ^= _rotate(x[b] + x[a], 9)
    x[d] ^= _rotate(x[c] + x[b], 13)
    x[a] ^= _rotate(x[d] + x[c], 18)


def _rotate(words: npt.NDArray[np.uint32], bits: int) -> npt.NDArray[np.uint32]:
    return (words << np.uint32(bits)) | (words >> np.uint32(32 - bits))


BACKENDS: Final[dict[str, Keystream]] = {"numpy": keystreams_numpy}
if _SODIUM is not None:
    BACKENDS["sodium"] = keystreams_sodium

keystreams: Final[Keystream] = BACKENDS.get("sodium", keystreams_numpy)
"""The fastest backend that is there."""
