"""Remote bytes raise WireError or nothing, whatever they are."""

import inspect
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.property.wire.strategies import DECODERS, MESSAGES, configs
from tests.vectors.loading import load
from ztlink.errors import WireError
from ztlink.wire.compress import compress
from ztlink.wire.message import Message
from ztlink.wire.netconf import NetworkConfig

SOAK = bool(os.environ.get("ZTLINK_SOAK"))
EXAMPLES = 2000 if SOAK else 200
MUTATIONS = 1000 if SOAK else 100
BOUNDED = settings(max_examples=EXAMPLES, deadline=None)
MUTATED = settings(
    max_examples=MUTATIONS, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)

Decoder = Callable[[bytes], object]


def try_decode(decoder: Decoder, data: bytes) -> str:
    """Decode and tell the outcome; any error but WireError is a failure."""
    try:
        decoder(data)
    except WireError as error:
        return str(error)
    return "decoded"


def recorded() -> list[Any]:
    """Payloads of the golden files, each for all decoders."""
    names = ["hello", "ok_hello", "network_credentials", "network_config", "multicast_frame"]
    names += ["push_direct_paths", "rendezvous", "multicast_gather", "ok_multicast_gather"]
    payloads = [bytes.fromhex(load(f"{name}.json")["packets"][0]["payload"]) for name in names]
    return payloads if SOAK else [payload[:300] for payload in payloads]


def message_names(kind: type[object]) -> set[str]:
    """Return the names of all messages of a kind; a class with slots is made twice, and lingers."""
    found: set[str] = set()
    for one in kind.__subclasses__():
        found |= message_names(one) if inspect.isabstract(one) else {one.__name__}
    return found


def test_every_message_has_a_strategy() -> None:
    assert message_names(Message) == {kind.__name__ for kind in MESSAGES}


@pytest.mark.parametrize("name", DECODERS)
@BOUNDED
@given(data=st.binary(max_size=400))
def test_random_bytes_raise_wire_error_or_nothing(name: str, data: bytes) -> None:
    assert try_decode(DECODERS[name], data)


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("payload", recorded(), ids=range(9))
def test_recorded_payload_cut_at_every_byte_raises_wire_error_or_nothing(
    name: str, payload: bytes
) -> None:
    outcomes = [try_decode(DECODERS[name], payload[:size]) for size in range(len(payload) + 1)]
    assert len(outcomes) == len(payload) + 1


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
@settings(max_examples=20 if SOAK else 4, deadline=None)
@given(data=st.data())
def test_message_cut_at_every_byte_raises_wire_error_or_nothing(
    kind: type[Message], data: st.DataObject
) -> None:
    encoded = data.draw(MESSAGES[kind]).to_bytes()
    outcomes = [try_decode(kind.from_bytes, encoded[:size]) for size in range(len(encoded))]
    assert len(outcomes) == len(encoded)


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
@MUTATED
@given(data=st.data())
def test_message_with_one_byte_changed_raises_wire_error_or_nothing(
    kind: type[Message], data: st.DataObject
) -> None:
    encoded = bytearray(data.draw(MESSAGES[kind]).to_bytes() or b"\0")
    index = data.draw(st.integers(0, len(encoded) - 1))
    encoded[index] = data.draw(st.integers(0, 255))
    assert try_decode(kind.from_bytes, bytes(encoded))


@MUTATED
@given(config=configs, data=st.data())
def test_config_with_one_byte_changed_raises_wire_error_or_nothing(
    config: NetworkConfig, data: st.DataObject
) -> None:
    text = bytearray(config.encode())
    index = data.draw(st.integers(0, len(text) - 1))
    text[index] = data.draw(st.integers(0, 255))
    assert try_decode(DECODERS["NetworkConfig"], bytes(text))


def test_config_cut_at_every_byte_raises_wire_error_or_nothing() -> None:
    text = bytes.fromhex(load("netconf.json")["configs"][0]["dictionary"])
    sizes = range(0, len(text), 1 if SOAK else 10)
    outcomes = [try_decode(DECODERS["NetworkConfig"], text[:size]) for size in sizes]
    assert len(outcomes) == len(sizes)


@MUTATED
@given(payload=st.binary(min_size=4, max_size=40), data=st.data())
def test_block_with_one_byte_changed_raises_wire_error_or_nothing(
    payload: bytes, data: st.DataObject
) -> None:
    block = bytearray(compress(payload * 20) or b"\0")
    index = data.draw(st.integers(0, len(block) - 1))
    block[index] = data.draw(st.integers(0, 255))
    assert try_decode(DECODERS["decompress"], bytes(block))
