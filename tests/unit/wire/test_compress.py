"""LZ4 blocks."""

from hashlib import sha256
from typing import Any

import pytest

from tests.vectors.loading import load
from ztlink.errors import WireError
from ztlink.wire.compress import MAX_PAYLOAD_SIZE, compress, decompress

VECTORS = load("lz4.json")
ACCEPTED = [case for case in VECTORS["decompress"] if case["accepted"]]
REFUSED = [case for case in VECTORS["decompress"] if not case["accepted"]]
"""Including those that the reference expands to undefined bytes."""
COMPRESSED = [case for case in VECTORS["compress"] if case["compressed"]]


@pytest.mark.parametrize("case", ACCEPTED)
def test_block_expands_to_its_payload(case: dict[str, Any]) -> None:
    payload = decompress(bytes.fromhex(case["block"]))
    digest = case.get("payload_sha256") or sha256(bytes.fromhex(case["payload"])).hexdigest()
    assert sha256(payload).hexdigest() == digest


@pytest.mark.parametrize("case", REFUSED)
def test_bad_block_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(WireError, match="LZ4 block"):
        decompress(bytes.fromhex(case["block"]))


@pytest.mark.parametrize("case", COMPRESSED)
def test_block_of_the_reference_expands_to_the_payload(case: dict[str, Any]) -> None:
    assert decompress(bytes.fromhex(case["block"])).hex() == case["payload"]


@pytest.mark.parametrize("case", VECTORS["compress"])
def test_payloads_are_compressed_where_the_reference_does(case: dict[str, Any]) -> None:
    assert (compress(bytes.fromhex(case["payload"])) is not None) is case["compressed"]


@pytest.mark.parametrize("case", COMPRESSED)
def test_own_block_expands_to_the_payload(case: dict[str, Any]) -> None:
    block = compress(bytes.fromhex(case["payload"]))
    assert block is not None
    assert decompress(block).hex() == case["payload"]


def test_match_at_offset_zero_is_refused() -> None:
    with pytest.raises(WireError, match="offset 0"):
        decompress(bytes.fromhex("14410000504242424242"))


def test_largest_payload_survives() -> None:
    block = compress(bytes(MAX_PAYLOAD_SIZE))
    assert block is not None
    assert decompress(block) == bytes(MAX_PAYLOAD_SIZE)


def test_larger_payload_than_a_packet_holds_is_refused() -> None:
    block = compress(bytes(MAX_PAYLOAD_SIZE + 1))
    assert block is not None
    with pytest.raises(WireError):
        decompress(block)
