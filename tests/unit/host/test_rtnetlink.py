"""Messages and attributes of rtnetlink."""

from ztlink.host.rtnetlink import (
    HEADER,
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_REQUEST,
    aligned,
    attribute,
    attributes,
    nested,
    request,
)


def test_an_attribute_is_padded_to_four_bytes() -> None:
    assert attribute(4, b"\x01\x02\x03\x04\x05") == bytes.fromhex("09000400 0102030405 000000")


def test_attributes_are_found_again_by_their_type() -> None:
    block = attribute(1, b"\x0a\x14\x00\x00") + attribute(7, b"\xff")
    found = {kind: bytes(value) for kind, value in attributes(memoryview(block)).items()}
    assert found == {1: b"\x0a\x14\x00\x00", 7: b"\xff"}


def test_what_holds_attributes_has_the_type_without_the_mark() -> None:
    inner = attribute(2, b"\x78\x05\x00\x00")
    found = attributes(memoryview(nested(8, inner)))
    assert bytes(found[8]) == inner


def test_an_attribute_that_claims_no_size_ends_the_search() -> None:
    assert list(attributes(memoryview(bytes(4)))) == [0]


def test_a_request_asks_for_an_answer() -> None:
    made = request(24, NLM_F_CREATE, b"body")
    assert HEADER.unpack_from(made)[:3] == (
        HEADER.size + 4,
        24,
        NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE,
    )


def test_sizes_are_rounded_up_to_four() -> None:
    assert [aligned(size) for size in (0, 1, 4, 5)] == [0, 4, 4, 8]
