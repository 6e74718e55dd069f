"""The key-value text."""

from typing import Any

import pytest

from tests.vectors.loading import load
from ztlink.errors import WireError
from ztlink.ids import Address
from ztlink.wire.dictionary import Dictionary

ENCODE = load("dictionary.json")["encode"]
DECODE = load("dictionary.json")["decode"]


def build(entries: list[dict[str, str]]) -> Dictionary:
    dictionary = Dictionary()
    for entry in entries:
        key, value = entry["key"], entry["value"]
        match entry["type"]:
            case "bytes":
                dictionary.add_bytes(key, bytes.fromhex(value))
            case "unsigned":
                dictionary.add_uint(key, int(value, 16))
            case "signed":
                dictionary.add_uint(key, int(value))
            case "address":
                dictionary.add_address(key, Address(int(value, 16)))
            case "boolean":
                dictionary.add_bool(key, value in ("1", "true", True))
    return dictionary


@pytest.mark.parametrize("case", ENCODE)
def test_entries_encode_to_the_text_of_the_reference(case: dict[str, Any]) -> None:
    assert build(case["entries"]).encode().hex() == case["dictionary"]


@pytest.mark.parametrize("case", ENCODE)
def test_text_decodes_to_the_entries(case: dict[str, Any]) -> None:
    text = bytes.fromhex(case["dictionary"])
    assert list(Dictionary.decode(text)) == list(build(case["entries"]))


@pytest.mark.parametrize("case", DECODE)
def test_value_reads_as_bytes(case: dict[str, Any]) -> None:
    value = Dictionary.decode(bytes.fromhex(case["dictionary"])).get_bytes(case["key"])
    assert (value.hex() if value is not None else None) == case["value"]


@pytest.mark.parametrize("case", DECODE)
def test_value_reads_as_an_unsigned_number(case: dict[str, Any]) -> None:
    dictionary = Dictionary.decode(bytes.fromhex(case["dictionary"]))
    assert f"{dictionary.get_uint(case['key']):016x}" == case["as_unsigned"]


@pytest.mark.parametrize("case", DECODE)
def test_value_reads_as_a_signed_number(case: dict[str, Any]) -> None:
    dictionary = Dictionary.decode(bytes.fromhex(case["dictionary"]))
    assert str(dictionary.get_int(case["key"])) == case["as_signed"]


@pytest.mark.parametrize("case", DECODE)
def test_value_reads_as_a_truth_value(case: dict[str, Any]) -> None:
    dictionary = Dictionary.decode(bytes.fromhex(case["dictionary"]))
    assert dictionary.get_bool(case["key"]) is case["as_boolean"]


@pytest.mark.parametrize("case", DECODE)
def test_key_is_found_where_the_reference_finds_it(case: dict[str, Any]) -> None:
    dictionary = Dictionary.decode(bytes.fromhex(case["dictionary"]))
    assert (case["key"] in dictionary) is case["found"]


@pytest.mark.parametrize("key", ["", "a=b", "a\nb", "a\rb", "a\0b", "a\\b"])
def test_key_that_would_break_the_text_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="cannot be a key"):
        Dictionary().add_bytes(key, b"")


def test_text_is_written_as_utf_8() -> None:
    dictionary = Dictionary()
    dictionary.add_text("n", "ü=1")
    assert dictionary.encode() == b"n=\xc3\xbc\\e1"


def test_missing_and_empty_values_give_the_default() -> None:
    dictionary = Dictionary.decode(b"e=")
    defaults = (
        dictionary.get_uint("e", 5),
        dictionary.get_uint("m", 6),
        dictionary.get_int("m", 7),
    )
    assert (*defaults, dictionary.get_bool("m", True)) == (5, 6, 7, True)


def test_number_of_more_than_40_bits_is_no_address() -> None:
    with pytest.raises(WireError, match="id=10000000000 is not an address"):
        Dictionary.decode(b"id=10000000000").get_address("id")
