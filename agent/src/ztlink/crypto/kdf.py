"""Session keys of a pair of nodes, and the cipher objects that use them (wire.adoc#keys)."""

import hmac
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR, ECB

from ztlink.crypto.evp import EvpContexts

MASTER_KEY_SIZE: Final = 48
_LABEL_GMAC: Final = b"0"
_LABEL_CTR: Final = b"1"


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """The keys of one pair of nodes; the same on both sides, for ever."""

    salsa: bytes = field(repr=False)
    """Suites 0 and 1, and the HELLO tail."""
    k0: bytes = field(repr=False)
    """AES-256 key of suite 3's GMAC."""
    k1: bytes = field(repr=False)
    """AES-256 key of suite 3's counter mode and of its tag."""


def derive_session_keys(master: bytes) -> SessionKeys:
    """Derive the keys from the 48-byte master key that `agree` returns."""
    return SessionKeys(master[:32], _kbkdf(master, _LABEL_GMAC), _kbkdf(master, _LABEL_CTR))


def _kbkdf(master: bytes, label: bytes) -> bytes:
    message = bytes(4) + b"ZT" + label + b"\0\0" + (384).to_bytes(4, "big")
    return hmac.digest(master, message, "sha384")[:32]


class PeerCipher:
    """Cipher objects of one pair of nodes, made when first used; for one thread at a time."""

    __slots__ = ("_counter", "_decrypt", "_encrypt", "_evp", "_gmac", "keys")

    def __init__(self, keys: SessionKeys) -> None:
        self.keys = keys
        self._gmac: AESGCM | None = None
        self._encrypt: CipherContext | None = None
        self._decrypt: CipherContext | None = None
        self._counter: CipherContext | None = None
        self._evp: EvpContexts | None = None

    @property
    def gmac(self) -> AESGCM:
        """AES-GCM under k0; used on associated data only."""
        if self._gmac is None:
            self._gmac = AESGCM(self.keys.k0)
        return self._gmac

    @property
    def encrypt(self) -> CipherContext:
        """AES-ECB encryption of whole blocks under k1."""
        if self._encrypt is None:
            self._encrypt = Cipher(AES(self.keys.k1), ECB()).encryptor()  # noqa: S305
        return self._encrypt

    @property
    def decrypt(self) -> CipherContext:
        """AES-ECB decryption of whole blocks under k1."""
        if self._decrypt is None:
            self._decrypt = Cipher(AES(self.keys.k1), ECB()).decryptor()  # noqa: S305
        return self._decrypt

    @property
    def counter(self) -> CipherContext:
        """AES in counter mode under k1; its nonce is to be set before each packet."""
        if self._counter is None:
            self._counter = Cipher(AES(self.keys.k1), CTR(bytes(16))).encryptor()
        return self._counter

    @property
    def evp(self) -> EvpContexts:
        """All of these for compiled kernels; CryptoError where the system has no libcrypto."""
        if self._evp is None:
            self._evp = EvpContexts(self.keys.salsa, self.keys.k0, self.keys.k1)
        return self._evp
