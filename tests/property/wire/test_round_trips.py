"""What can be constructed can be encoded, and decodes to an equal value."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.property.wire.strategies import (
    MESSAGES,
    configs,
    endpoints,
    interfaces,
    moons,
    rules,
)
from ztlink.ids import Endpoint, IpInterface
from ztlink.wire.buffer import Reader, Writer
from ztlink.wire.compress import compress, decompress
from ztlink.wire.control import Hello, HelloMoon
from ztlink.wire.dictionary import Dictionary
from ztlink.wire.inet_address import (
    pull_endpoint,
    pull_interface,
    push_endpoint,
    push_interface,
)
from ztlink.wire.message import Message
from ztlink.wire.netconf import NetworkConfig
from ztlink.wire.rules import Rule, decode_rules, encode_rules

EXAMPLES = settings(
    max_examples=1000 if os.environ.get("ZTLINK_SOAK") else 100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
KEYS = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=6)


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
@EXAMPLES
@given(data=st.data())
def test_message_survives_a_round_trip(kind: type[Message], data: st.DataObject) -> None:
    message = data.draw(MESSAGES[kind])
    assert kind.from_bytes(message.to_bytes()) == message


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
@EXAMPLES
@given(data=st.data())
def test_decoded_message_encodes_to_the_same_bytes(
    kind: type[Message], data: st.DataObject
) -> None:
    encoded = data.draw(MESSAGES[kind]).to_bytes()
    assert kind.from_bytes(encoded).to_bytes() == encoded


@EXAMPLES
@given(config=configs)
def test_config_survives_a_round_trip(config: NetworkConfig) -> None:
    assert NetworkConfig.decode(config.encode()) == config


@EXAMPLES
@given(table=st.lists(rules, max_size=20))
def test_rule_table_survives_a_round_trip(table: list[Rule]) -> None:
    assert list(decode_rules(encode_rules(table))) == table


@EXAMPLES
@given(listed=moons)
def test_tail_of_hello_survives_a_round_trip(listed: list[HelloMoon]) -> None:
    writer = Writer()
    Hello.encode_tail(listed, writer)
    assert Hello.decode_tail(Reader(writer.getvalue())) == listed


@EXAMPLES
@given(endpoint=st.none() | endpoints)
def test_address_field_survives_a_round_trip(endpoint: Endpoint | None) -> None:
    writer = Writer()
    push_endpoint(endpoint, writer)
    assert pull_endpoint(Reader(writer.getvalue())) == endpoint


@EXAMPLES
@given(interface=st.none() | interfaces)
def test_prefixed_address_field_survives_a_round_trip(interface: IpInterface | None) -> None:
    writer = Writer()
    push_interface(interface, writer)
    assert pull_interface(Reader(writer.getvalue())) == interface


@EXAMPLES
@given(entries=st.lists(st.tuples(KEYS, st.binary(max_size=40)), max_size=8))
def test_dictionary_survives_a_round_trip(entries: list[tuple[str, bytes]]) -> None:
    dictionary = Dictionary()
    for key, value in entries:
        dictionary.add_bytes(key, value)
    assert list(Dictionary.decode(dictionary.encode())) == entries


@EXAMPLES
@given(piece=st.binary(min_size=1, max_size=80), count=st.integers(65, 120))
def test_compressed_payload_survives_a_round_trip(piece: bytes, count: int) -> None:
    payload = piece * count
    block = compress(payload)
    assert block is not None
    assert decompress(block) == payload
