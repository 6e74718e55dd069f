from typing import Any

import pytest

from tests.vectors.loading import load
from ztlink.wire import verbs
from ztlink.wire.packet import OFFSET_VERB, VERB_MASK
from ztlink.wire.verbs import ErrorCode, Verb

IN_CLEAR = [
    (Verb.HELLO, "hello.json"),
    (Verb.QOS_MEASUREMENT, "qos_measurement.json"),
    (Verb.PATH_NEGOTIATION_REQUEST, "path_negotiation_request.json"),
]


def clear_verb_numbers(name: str) -> set[int]:
    packets: list[dict[str, Any]] = load(name)["packets"]
    clear = [bytes.fromhex(packet["packet"]) for packet in packets if packet["suite"] == 0]
    return {data[OFFSET_VERB] & VERB_MASK for data in clear}


@pytest.mark.parametrize(("verb", "name"), IN_CLEAR)
def test_a_verb_has_the_number_that_packets_in_clear_carry(verb: Verb, name: str) -> None:
    assert clear_verb_numbers(name) == {verb}


@pytest.mark.parametrize("number", [0x0F, 0x11, 0x17, 0x1F])
def test_numbers_that_the_protocol_leaves_free_have_no_name(number: int) -> None:
    with pytest.raises(ValueError, match="not a valid Verb"):
        Verb(number)


def test_every_verb_fits_its_five_bits() -> None:
    assert max(Verb) <= VERB_MASK


def test_error_codes_have_no_gap() -> None:
    assert [int(code) for code in ErrorCode] == list(range(10))


def test_we_speak_a_protocol_that_we_would_accept() -> None:
    assert verbs.MIN_PROTOCOL_VERSION <= verbs.PROTOCOL_VERSION
