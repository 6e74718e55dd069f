"""Contexts of libcrypto; that they encrypt rightly, the engines' tests show."""

import ctypes

import pytest

from tests.unit.lane.engines import ENGINES
from ztlink.batch import CipherSuite, PacketBatch
from ztlink.crypto import evp
from ztlink.crypto.armor import armor_one
from ztlink.crypto.evp import EvpContexts
from ztlink.crypto.kdf import PeerCipher, derive_session_keys
from ztlink.errors import CryptoError
from ztlink.lane.jit import JitEngine

KEYS = derive_session_keys(bytes(range(48)))
needs_libcrypto = pytest.mark.skipif(not evp.is_available(), reason="no libcrypto of OpenSSL 3")


@needs_libcrypto
def test_the_table_names_contexts_key_and_functions() -> None:
    contexts = EvpContexts(KEYS.salsa, KEYS.k0, KEYS.k1)
    table = (ctypes.c_int64 * 14).from_address(contexts.address)
    assert len(set(table)) == 14
    assert 0 not in table
    assert ctypes.string_at(table[5], 32) == KEYS.salsa


@needs_libcrypto
def test_a_pair_has_its_contexts_once() -> None:
    cipher = PeerCipher(KEYS)
    assert cipher.evp is cipher.evp
    assert PeerCipher(KEYS).evp.address != cipher.evp.address


@needs_libcrypto
@pytest.mark.skipif(not isinstance(ENGINES[-1], JitEngine), reason="no kernels here")
def test_pairs_come_and_go_without_disturbing_each_other() -> None:
    lasting = PeerCipher(KEYS)
    for number in range(200):
        passing = PeerCipher(derive_session_keys(bytes([number]) * 48))
        for cipher, suite in ((passing, CipherSuite.GMAC_SIV), (lasting, CipherSuite.SALSA_POLY)):
            packet = bytearray(100)
            armor_one(packet, cipher, suite)
            batch = PacketBatch(memoryview(packet))
            batch.append(0, 100)
            assert ENGINES[-1].inbound(batch, cipher) == b"\1"


def test_a_system_without_the_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evp, "_LIBRARY", None)
    assert not evp.is_available()
    with pytest.raises(CryptoError, match="OpenSSL 3"):
        EvpContexts(KEYS.salsa, KEYS.k0, KEYS.k1)
