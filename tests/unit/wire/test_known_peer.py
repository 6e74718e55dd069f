"""A peer's file: as the original writes it."""

from ipaddress import ip_address

import pytest

from tests.vectors.loading import load
from ztlink.errors import WireError
from ztlink.ids import Endpoint
from ztlink.wire.identity import Identity
from ztlink.wire.known_peer import KnownPeer

IDENTITY = Identity.from_text(load("identities-many.json")["identities"][0])
V4 = Endpoint(ip_address("44.1.0.2"), 9993)
V6 = Endpoint(ip_address("2001:db8:44::2"), 21648)
PEER = KnownPeer(IDENTITY, 12, (1, 14, 1), (V4, V6))
FILE = (
    b"\x02"
    + IDENTITY.address.to_bytes(5, "big")
    + b"\x00"
    + IDENTITY.public_key
    + b"\x00"
    + bytes.fromhex("000c0001000e0001")
    + bytes.fromhex("0002")
    + bytes.fromhex("042c0100022709")
    + bytes.fromhex("0620010db8004400000000000000000002")
    + bytes.fromhex("5490")
)


def test_a_peer_is_written_as_the_original_writes_it() -> None:
    assert PEER.to_bytes() == FILE


def test_what_the_original_wrote_is_read() -> None:
    assert KnownPeer.from_bytes(FILE) == PEER


def test_what_follows_a_record_is_passed_over() -> None:
    assert KnownPeer.from_bytes(FILE + b"more") == PEER


def test_another_format_is_refused() -> None:
    with pytest.raises(WireError, match="format 3 is unknown"):
        KnownPeer.from_bytes(b"\x03" + FILE[1:])


def test_entries_that_name_no_endpoint_are_left_out() -> None:
    nil = FILE[:80] + b"\x00\x03" + b"\x00" + FILE[82:]
    assert KnownPeer.from_bytes(nil).endpoints == (V4, V6)


def test_more_endpoints_than_anybody_has_are_refused() -> None:
    with pytest.raises(WireError, match="65 endpoints"):
        KnownPeer.from_bytes(FILE[:80] + b"\x00\x41" + bytes(65))


@pytest.mark.parametrize("size", range(len(FILE)))
def test_a_file_cut_anywhere_is_refused(size: int) -> None:
    with pytest.raises(WireError):
        KnownPeer.from_bytes(FILE[:size])
