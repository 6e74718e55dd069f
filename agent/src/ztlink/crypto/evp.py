"""libcrypto's contexts for one pair of nodes, as compiled kernels use them: by address.

The package of cryptography has a libcrypto of its own, which shows no functions to others; so this
is the system's, where there is one.
"""

import ctypes
import ctypes.util
import struct
from collections.abc import Iterator
from ctypes import c_char_p, c_int, c_size_t, c_void_p
from typing import Final, NamedTuple

from ztlink.errors import CryptoError

_TABLE: Final = struct.Struct("=14q")
_CALLED: Final = (
    "EVP_EncryptInit_ex",
    "EVP_EncryptUpdate",
    "EVP_DecryptUpdate",
    "EVP_EncryptFinal_ex",
    "EVP_CIPHER_CTX_ctrl",
    "EVP_MAC_init",
    "EVP_MAC_update",
    "EVP_MAC_final",
)
"""What kernels call, in the order of the table."""


class _Library(NamedTuple):
    functions: ctypes.CDLL
    poly1305: int
    """The fetched algorithm."""


def _names() -> Iterator[str]:
    yield "libcrypto.so.3"
    found = ctypes.util.find_library("crypto")
    if found is not None:
        yield found


def _load() -> _Library | None:
    for name in _names():
        try:
            library = ctypes.CDLL(name)
            for function in (
                library.EVP_CIPHER_CTX_new,
                library.EVP_aes_256_gcm,
                library.EVP_aes_256_ctr,
                library.EVP_aes_256_ecb,
            ):
                function.argtypes, function.restype = [], c_void_p
            library.EVP_MAC_fetch.argtypes = [c_void_p, c_char_p, c_char_p]
            library.EVP_MAC_fetch.restype = c_void_p
            library.EVP_MAC_CTX_new.argtypes, library.EVP_MAC_CTX_new.restype = [c_void_p], c_void_p
            library.EVP_MAC_CTX_free.argtypes = library.EVP_CIPHER_CTX_free.argtypes = [c_void_p]
            for begin in (library.EVP_EncryptInit_ex, library.EVP_DecryptInit_ex):
                begin.argtypes = [c_void_p, c_void_p, c_void_p, c_char_p, c_char_p]
            library.EVP_CIPHER_CTX_set_padding.argtypes = [c_void_p, c_int]
            library.EVP_MAC_init.argtypes = [c_void_p, c_char_p, c_size_t, c_void_p]
            poly1305 = library.EVP_MAC_fetch(None, b"POLY1305", None)
        except (OSError, AttributeError):  # none, or one from before OpenSSL 3
            continue
        if poly1305:
            return _Library(library, poly1305)
    return None


_LIBRARY: Final = _load()


def is_available() -> bool:
    """Tell whether the system has a libcrypto with all that is called."""
    return _LIBRARY is not None


class EvpContexts:
    """The contexts of one pair of nodes; for one thread at a time."""

    def __init__(self, salsa: bytes, k0: bytes, k1: bytes) -> None:
        """Make them; CryptoError where there is no library, or it fails."""
        self._ciphers: list[int] = []
        self._mac = 0
        if _LIBRARY is None:
            raise CryptoError("libcrypto: this system has none of OpenSSL 3 or later")
        library = _LIBRARY.functions
        self._key = ctypes.create_string_buffer(salsa, len(salsa))
        gmac = self._cipher(library.EVP_aes_256_gcm(), k0)
        counter = self._cipher(library.EVP_aes_256_ctr(), k1)
        forth = self._cipher(library.EVP_aes_256_ecb(), k1)
        back = self._cipher(library.EVP_aes_256_ecb(), k1, is_back=True)
        self._mac = library.EVP_MAC_CTX_new(_LIBRARY.poly1305) or 0
        if not self._mac:
            raise CryptoError("libcrypto: no memory for a context")
        functions = (ctypes.cast(getattr(library, name), c_void_p).value for name in _CALLED)
        key = ctypes.addressof(self._key)
        self._table = ctypes.create_string_buffer(
            _TABLE.pack(gmac, counter, forth, back, self._mac, key, *functions)
        )
        self.address: Final = ctypes.addressof(self._table)
        """Of the table that kernels read: contexts, the key of suite 1, functions."""

    def _cipher(self, kind: int, key: bytes, *, is_back: bool = False) -> int:
        assert _LIBRARY is not None
        library = _LIBRARY.functions
        context: int | None = library.EVP_CIPHER_CTX_new()
        if context is None:
            raise CryptoError("libcrypto: no memory for a context")
        self._ciphers.append(context)
        begin = library.EVP_DecryptInit_ex if is_back else library.EVP_EncryptInit_ex
        if begin(context, kind, None, key, None) != 1:
            raise CryptoError("libcrypto: AES-256 cannot be had")
        library.EVP_CIPHER_CTX_set_padding(context, 0)
        return context

    def __del__(self) -> None:
        if _LIBRARY is not None:
            for context in self._ciphers:
                _LIBRARY.functions.EVP_CIPHER_CTX_free(context)
            _LIBRARY.functions.EVP_MAC_CTX_free(self._mac)
