from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vectors.loading import load
from ztlink.errors import WireError
from ztlink.ids import Address, format_address
from ztlink.wire.buffer import Reader, Writer
from ztlink.wire.identity import IDENTITY_SIZE, Identity, SecretIdentity

VALID: list[dict[str, Any]] = load("identities.json")["valid"]
SECRET = VALID[0]["secret"]
PUBLIC = VALID[0]["public"]
ADDRESS, _, KEY = PUBLIC.split(":")


def encoded(identity: Identity) -> bytes:
    writer = Writer()
    identity.encode(writer)
    return writer.getvalue()


@pytest.mark.parametrize("vector", VALID, ids=lambda vector: vector["public"][:10])
def test_a_secret_identity_survives_its_text(vector: dict[str, Any]) -> None:
    assert SecretIdentity.from_text(vector["secret"]).to_text() == vector["secret"]


@pytest.mark.parametrize("vector", VALID, ids=lambda vector: vector["public"][:10])
def test_the_public_half_is_written_without_the_private_one(vector: dict[str, Any]) -> None:
    assert str(SecretIdentity.from_text(vector["secret"]).public) == vector["public"]


@pytest.mark.parametrize("vector", VALID, ids=lambda vector: vector["public"][:10])
def test_an_identity_survives_its_bytes(vector: dict[str, Any]) -> None:
    identity = Identity.from_text(vector["public"])
    assert Identity.decode(Reader(encoded(identity))) == identity


def test_an_identity_takes_71_bytes() -> None:
    assert len(encoded(Identity.from_text(PUBLIC))) == IDENTITY_SIZE


def test_a_private_key_on_the_wire_is_passed_over() -> None:
    identity = Identity.from_text(PUBLIC)
    reader = Reader(encoded(identity)[:-1] + b"\x40" + bytes(64) + b"next")
    assert (Identity.decode(reader), reader.pull_rest()) == (identity, b"next")


@pytest.mark.parametrize("size", [1, 63, 65, 255])
def test_a_private_key_of_another_size_is_refused(size: int) -> None:
    data = encoded(Identity.from_text(PUBLIC))[:-1] + bytes([size]) + bytes(255)
    with pytest.raises(WireError, match="private key"):
        Identity.decode(Reader(data))


def test_another_type_is_refused() -> None:
    data = bytearray(encoded(Identity.from_text(PUBLIC)))
    data[5] = 1
    with pytest.raises(WireError, match="type 1"):
        Identity.decode(Reader(data))


@pytest.mark.parametrize("size", range(IDENTITY_SIZE))
def test_an_identity_cut_short_is_refused(size: int) -> None:
    with pytest.raises(WireError):
        Identity.decode(Reader(encoded(Identity.from_text(PUBLIC))[:size]))


def test_a_private_key_cut_short_is_refused() -> None:
    data = encoded(Identity.from_text(PUBLIC))[:-1] + b"\x40" + bytes(63)
    with pytest.raises(WireError):
        Identity.decode(Reader(data))


def test_a_newline_after_the_last_field_is_ignored() -> None:
    assert SecretIdentity.from_text(SECRET + "\n") == SecretIdentity.from_text(SECRET)


def test_hex_digits_may_be_upper_case() -> None:
    assert Identity.from_text(f"{ADDRESS.upper()}:0:{KEY.upper()}") == Identity.from_text(PUBLIC)


def test_a_public_identity_may_be_read_from_secret_text() -> None:
    assert Identity.from_text(SECRET) == Identity.from_text(PUBLIC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ADDRESS,
        f"{ADDRESS}:0",
        f"{ADDRESS}:1:{KEY}",
        f"{ADDRESS}:00:{KEY}",
        f"{ADDRESS[:-1]}:0:{KEY}",
        f"{ADDRESS}:0:{KEY[:-1]}",
        f"{ADDRESS}:0:{KEY[:-1]}g",
        f"{ADDRESS}:0:{KEY[:-2]}+1",
        f"{ADDRESS}:0:{KEY}\n:{KEY}",
        f"{ADDRESS}:0:{KEY}:{KEY[:-1]}",
        f"{ADDRESS}:0:{KEY}:{KEY}:",
        f"0000000000:0:{KEY}",
        f"ff00000001:0:{KEY}",
        SECRET + " " * 200,
    ],
)
def test_text_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(WireError, match="identity"):
        Identity.from_text(text)


def test_a_secret_identity_needs_its_private_key() -> None:
    with pytest.raises(WireError, match="private key is missing"):
        SecretIdentity.from_text(PUBLIC)


def test_a_secret_identity_does_not_show_its_key() -> None:
    identity = SecretIdentity.from_text(SECRET)
    assert identity.private_key.hex() not in f"{identity} {identity!r}"


def test_a_reserved_address_in_bytes_is_left_to_validation() -> None:
    identity = Identity(Address(0), Identity.from_text(PUBLIC).public_key)
    assert Identity.decode(Reader(encoded(identity))) == identity


def test_the_same_address_with_another_key_is_another_identity() -> None:
    identity = Identity.from_text(PUBLIC)
    assert identity != Identity(identity.address, bytes(64))


@given(st.text(max_size=400))
def test_arbitrary_text_is_refused(text: str) -> None:
    with pytest.raises(WireError):
        Identity.from_text(text)


@given(st.binary(max_size=160))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        identity = Identity.decode(Reader(data))
    except WireError:
        return
    assert format_address(identity.address) == data[:5].hex()
