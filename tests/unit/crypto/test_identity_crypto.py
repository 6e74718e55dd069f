"""Proof of work, signatures and the keys of identities."""

import hashlib
import itertools
from typing import Any

import pytest

from tests.vectors.loading import load
from ztlink.crypto.identity import has_matching_keys, public_key_hash, sign, verify
from ztlink.crypto.work import derive_digest, generate, validate
from ztlink.errors import WireError
from ztlink.wire.buffer import Reader
from ztlink.wire.identity import Identity, SecretIdentity

VECTORS = load("identities.json")
VALID = VECTORS["valid"]


COUNTER = itertools.count()


def seeded(size: int) -> bytes:
    return hashlib.shake_128(str(next(COUNTER)).encode()).digest(size)


@pytest.mark.parametrize("case", VALID)
def test_the_digest_of_a_key_is_that_of_the_reference(case: dict[str, Any]) -> None:
    public = Identity.from_text(case["public"])
    assert derive_digest(public.public_key).hex() == case["digest"]


@pytest.mark.parametrize("case", VALID)
def test_the_private_keys_give_the_public_ones(case: dict[str, Any]) -> None:
    assert has_matching_keys(SecretIdentity.from_text(case["secret"]))


@pytest.mark.parametrize("case", VALID)
def test_signatures_are_those_of_the_reference(case: dict[str, Any]) -> None:
    secret = SecretIdentity.from_text(case["secret"])
    assert sign(secret, bytes.fromhex(case["message"])).hex() == case["signature"]


@pytest.mark.parametrize("case", VALID)
def test_a_good_signature_is_accepted_and_a_changed_one_is_not(case: dict[str, Any]) -> None:
    key = Identity.from_text(case["public"]).public_key
    message = bytes.fromhex(case["message"])
    assert verify(key, message, bytes.fromhex(case["signature"]))
    assert not verify(key, message, bytes.fromhex(case["bad_signature"]))


@pytest.mark.parametrize("size", [0, 64, 95, 97])
def test_a_signature_of_another_size_is_not_accepted(size: int) -> None:
    assert not verify(bytes(64), b"message", bytes(size))


@pytest.mark.parametrize("case", VALID)
def test_the_hash_for_credentials_is_that_of_the_reference(case: dict[str, Any]) -> None:
    identity = Identity.from_text(case["public"])
    assert public_key_hash(identity).hex() == case["public_key_hash_sha384"]


def is_good(text: str) -> bool:
    """Tell whether an identity passes both the parser and the proof of work."""
    try:
        identity = Identity.from_text(text)
        if text.count(":") == 3:
            SecretIdentity.from_text(text)
    except WireError:
        return False
    return validate(identity)


def are_good(data: bytes) -> bool:
    """Tell whether bytes are an identity that passes the proof of work."""
    try:
        return validate(Identity.decode(Reader(data)))
    except WireError:
        return False


TEXTS = [case for case in VECTORS["invalid"] if case["form"] == "text"]
BINARIES = [case for case in VECTORS["invalid"] if case["form"] != "text"]


@pytest.mark.parametrize("case", TEXTS)
def test_an_invalid_text_is_refused(case: dict[str, Any]) -> None:
    assert not is_good(case["text"])


@pytest.mark.parametrize("case", BINARIES)
def test_invalid_bytes_are_refused(case: dict[str, Any]) -> None:
    assert not are_good(bytes.fromhex(case["binary"]))


def test_a_generated_identity_is_valid() -> None:
    secret = generate(seeded)
    assert validate(secret.public)
    assert has_matching_keys(secret)


def test_the_private_keys_of_a_generated_identity_are_what_was_drawn() -> None:
    drawn: list[bytes] = []

    def draw(size: int) -> bytes:
        drawn.append(seeded(size))
        return drawn[-1]

    secret = generate(draw)
    assert secret.private_key == drawn[-1] + drawn[0]
