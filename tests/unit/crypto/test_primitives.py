"""Key agreement, key derivation, keystreams and tags: known answers."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.poly1305 import Poly1305

from tests.vectors.loading import load
from ztlink.crypto.identity import agree
from ztlink.crypto.kdf import PeerCipher, SessionKeys, derive_session_keys
from ztlink.crypto.salsa import BACKENDS
from ztlink.errors import CryptoError
from ztlink.ids import Address
from ztlink.wire.identity import Identity, SecretIdentity

SALSA_12 = [v for v in load("salsa2012.json")["vectors"] if v["rounds"] == 12]
PAIRS = load("agreement.json")["pairs"]


def secret_of(text: str) -> SecretIdentity:
    return SecretIdentity.from_text(text)


@pytest.mark.parametrize("pair", PAIRS)
def test_both_sides_agree_on_the_key_of_the_reference(pair: dict[str, Any]) -> None:
    a, b = secret_of(pair["a_secret"]), secret_of(pair["b_secret"])
    assert agree(a, b.public) == agree(b, a.public) == bytes.fromhex(pair["agreed_key_48"])


@pytest.mark.parametrize("pair", PAIRS)
def test_session_keys_are_those_of_the_reference(pair: dict[str, Any]) -> None:
    keys = derive_session_keys(bytes.fromhex(pair["agreed_key_48"]))
    expected = SessionKeys(*(bytes.fromhex(pair[k]) for k in ("salsa_key", "aes_k0", "aes_k1")))
    assert keys == expected


def test_keys_are_not_shown() -> None:
    assert "11" * 4 not in repr(SessionKeys(b"\x11" * 32, b"\x11" * 32, b"\x11" * 32))


def test_a_key_of_low_order_is_refused() -> None:
    secret = secret_of(load("identities-many.json")["identities"][0])
    with pytest.raises(CryptoError):
        agree(secret, Identity(Address(1), bytes(64)))


def test_a_cipher_object_is_made_once() -> None:
    cipher = PeerCipher(SessionKeys(bytes(32), bytes(32), bytes(32)))
    made = cipher.gmac
    assert cipher.gmac is made


@pytest.mark.parametrize("backend", sorted(BACKENDS))
@pytest.mark.parametrize("vector", SALSA_12)
def test_keystreams_are_those_of_the_reference(vector: dict[str, Any], backend: str) -> None:
    key, nonce = bytes.fromhex(vector["key"]), bytes.fromhex(vector["nonce"])
    data, wanted = bytes.fromhex(vector["input"]), bytes.fromhex(vector["output"])
    (stream,) = BACKENDS[backend]([key], [nonce], [len(data)])
    assert bytes(a ^ b for a, b in zip(data, stream, strict=True)) == wanted


def test_the_backends_agree_on_many_keystreams_at_once() -> None:
    keys = [bytes([n]) * 32 for n in range(9)]
    nonces = [bytes([n]) * 8 for n in range(9)]
    sizes = [0, 1, 63, 64, 65, 128, 1000, 2814, 9996]
    streams = [backend(keys, nonces, sizes) for backend in BACKENDS.values()]
    assert all(s == streams[0] for s in streams)
    assert [len(s) for s in streams[0]] == sizes


@pytest.mark.parametrize("vector", load("poly1305.json")["vectors"])
def test_tags_are_those_of_the_reference(vector: dict[str, Any]) -> None:
    key, message = bytes.fromhex(vector["key"]), bytes.fromhex(vector["message"])
    assert Poly1305.generate_tag(key, message).hex() == vector["tag"]
