"""Every message as the reference node writes it."""

import os
from typing import Any

import pytest

from tests.unit.wire.described import REPLIES, REQUESTS, describe
from tests.vectors.loading import load
from ztlink.errors import WireError
from ztlink.ids import NetworkId, PacketId
from ztlink.wire.buffer import Reader, Writer
from ztlink.wire.control import DirectPath, Hello, HelloMoon, OkHeader, OkHello, OkWhois
from ztlink.wire.message import Message
from ztlink.wire.network import ConfigAck, ConfigChunk
from ztlink.wire.verbs import Verb

REQUEST_FILES = [name.lower() for name in REQUESTS if name not in ("HELLO", "ERROR")]
REPLY_FILES = [
    "ok_echo",
    "ok_ext_frame",
    "ok_multicast_frame",
    "ok_multicast_gather",
    "ok_network_config_request",
]
DERIVED_FIELDS = {"metadata_decoded", "decoded", "lists_present", "worlds_summary"}
"""What the files tell twice."""
SESSION_STEP = 1 if os.environ.get("ZTLINK_SOAK") else 10

Packet = dict[str, Any]


def packets(*names: str) -> list[Any]:
    return [
        pytest.param(name, packet, id=f"{name}-{index}")
        for name in names
        for index, packet in enumerate(load(f"{name}.json")["packets"])
    ]


def described_by(packet: Packet) -> dict[str, Any]:
    return {key: value for key, value in packet["fields"].items() if key not in DERIVED_FIELDS}


@pytest.mark.parametrize(("name", "packet"), packets(*REQUEST_FILES))
def test_request_decodes_to_its_fields(name: str, packet: Packet) -> None:
    message = REQUESTS[name.upper()].from_bytes(bytes.fromhex(packet["payload"]))
    assert described_by(packet).items() <= describe(message).items()


@pytest.mark.parametrize(("name", "packet"), packets(*REQUEST_FILES))
def test_request_encodes_to_the_same_bytes(name: str, packet: Packet) -> None:
    message = REQUESTS[name.upper()].from_bytes(bytes.fromhex(packet["payload"]))
    assert message.to_bytes().hex() == packet["payload"]


def decode_reply(payload: bytes) -> tuple[OkHeader, Message]:
    reader = Reader(payload)
    header = OkHeader.decode(reader)
    return header, REPLIES[header.in_re_verb].decode(reader)


@pytest.mark.parametrize(("name", "packet"), packets(*REPLY_FILES))
def test_reply_decodes_to_its_fields(name: str, packet: Packet) -> None:
    header, body = decode_reply(bytes.fromhex(packet["payload"]))
    expected = described_by(packet)
    expected |= expected.pop("config", {})
    assert expected.items() <= (describe(header) | describe(body)).items()


@pytest.mark.parametrize(("name", "packet"), packets(*REPLY_FILES))
def test_reply_encodes_to_the_same_bytes(name: str, packet: Packet) -> None:
    header, body = decode_reply(bytes.fromhex(packet["payload"]))
    assert (header.to_bytes() + body.to_bytes()).hex() == packet["payload"]


@pytest.mark.parametrize(
    ("name", "packet"), [*packets("ok_hello"), *packets("ok_whois"), *packets("error")]
)
def test_whole_reply_encodes_to_the_same_bytes(name: str, packet: Packet) -> None:
    kinds: dict[str, type[Message]] = {"ok_hello": OkHello, "ok_whois": OkWhois}
    kind = kinds.get(name, REQUESTS["ERROR"])
    assert kind.from_bytes(bytes.fromhex(packet["payload"])).to_bytes().hex() == packet["payload"]


@pytest.mark.parametrize(("name", "packet"), packets("ok_hello"))
def test_ok_hello_decodes_to_its_fields(name: str, packet: Packet) -> None:
    assert describe(OkHello.from_bytes(bytes.fromhex(packet["payload"]))) == described_by(packet)


@pytest.mark.parametrize(("name", "packet"), packets("ok_whois"))
def test_ok_whois_decodes_to_its_fields(name: str, packet: Packet) -> None:
    assert describe(OkWhois.from_bytes(bytes.fromhex(packet["payload"]))) == described_by(packet)


@pytest.mark.parametrize(("name", "packet"), packets("error"))
def test_error_decodes_to_its_fields(name: str, packet: Packet) -> None:
    fields = describe(REQUESTS["ERROR"].from_bytes(bytes.fromhex(packet["payload"])))
    body = fields.pop("body")
    header = ("in_re_verb", "in_re_packet_id", "error_code")
    assert fields == {key: packet["fields"][key] for key in header}
    assert body.startswith(packet["fields"].get("network_id", ""))


# -- HELLO ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "packet"), packets("hello"))
def test_hello_decodes_to_its_fields(name: str, packet: Packet) -> None:
    hello, _ = Hello.decode_packet(bytes.fromhex(packet["packet"]))
    expected = described_by(packet)
    for key in ("encrypted_tail_offset", "tail_plain", "moons"):
        expected.pop(key, None)
    assert describe(hello) == expected


@pytest.mark.parametrize(("name", "packet"), packets("hello"))
def test_clear_part_of_hello_encodes_to_the_same_bytes(name: str, packet: Packet) -> None:
    hello, tail_offset = Hello.decode_packet(bytes.fromhex(packet["packet"]))
    assert hello.to_bytes().hex() == packet["packet"][2 * 28 : 2 * tail_offset]


@pytest.mark.parametrize(("name", "packet"), packets("hello"))
def test_tail_of_hello_starts_after_the_planet(name: str, packet: Packet) -> None:
    whole = bytes.fromhex(packet["packet"])
    _, tail_offset = Hello.decode_packet(whole)
    assert tail_offset == packet["fields"].get("encrypted_tail_offset", len(whole))


@pytest.mark.parametrize(("name", "packet"), packets("hello"))
def test_tail_of_hello_lists_moons(name: str, packet: Packet) -> None:
    tail = bytes.fromhex(packet["fields"].get("tail_plain", ""))
    moons = Hello.decode_tail(Reader(tail))
    expected = [(moon["id"], moon["timestamp"]) for moon in packet["fields"].get("moons", [])]
    assert [(f"{moon.world_id:016x}", moon.timestamp) for moon in moons] == expected


def test_tail_of_hello_encodes_to_the_same_bytes() -> None:
    writer = Writer()
    Hello.encode_tail([HelloMoon(0x37FE3E6DF1, 4242), HelloMoon(0xCCAEBB504, 0)], writer)
    moons = "7f00000037fe3e6df100000000000010927f0000000ccaebb5040000000000000000"
    assert writer.getvalue().hex() == "0002" + moons


def test_other_worlds_than_moons_are_passed_over_in_the_tail_of_hello() -> None:
    tail = bytes.fromhex("000201" + "11" * 16 + "7f" + "00" * 7 + "05" + "00" * 7 + "06")
    assert Hello.decode_tail(Reader(tail)) == [HelloMoon(5, 6)]


def test_tail_of_hello_with_more_moons_than_bytes_is_refused() -> None:
    with pytest.raises(WireError, match="HELLO: 2 moons in 17 bytes"):
        Hello.decode_tail(Reader(bytes.fromhex("0002" + "7f" * 17)))


@pytest.mark.parametrize(
    ("flags", "is_forget", "is_redirect"),
    [(0, False, False), (1, True, False), (2, False, True), (3, True, True), (4, False, False)],
)
def test_a_direct_path_says_what_is_to_be_done_with_it(
    flags: int, is_forget: bool, is_redirect: bool
) -> None:
    path = DirectPath(None, flags)
    assert (path.is_forget, path.is_redirect) == (is_forget, is_redirect)


@pytest.mark.parametrize(("flags", "passed_on"), [(0, False), (1, True), (2, False)])
def test_a_chunk_says_whether_it_is_to_be_passed_on(flags: int, passed_on: bool) -> None:
    assert ConfigChunk(NetworkId(1), b"text", flags).is_fast_propagate is passed_on


# -- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "payload", "reason"),
    [
        ("RENDEZVOUS", "00 1122334455 2709 05 0102030405", "5-byte IP address"),
        ("PUSH_DIRECT_PATHS", "0001 00 0000 04 05 0102030405", "5-byte address"),
        ("PUSH_DIRECT_PATHS", "0001 00 0000 06 06 010203040506", "of kind 6"),
        ("REMOTE_TRACE", "00", "0-byte dictionary"),
        ("REMOTE_TRACE", "61" * 10_001 + "00", "10001-byte dictionary"),
        ("QOS_MEASUREMENT", "00" * 8, "8 bytes"),
        ("QOS_MEASUREMENT", "00" * 1401, "1401 bytes"),
        ("PATH_NEGOTIATION_REQUEST", "000000", "3 bytes"),
        ("NETWORK_CREDENTIALS", "02", "starts with 2"),
        ("NETWORK_CONFIG", "00" * 8 + "0001 61" + "00" * 20, "0-byte signature of type 0"),
        (
            "NETWORK_CONFIG",
            "00" * 8 + "0001 61 00" + "00" * 8 + "00000001 00000001 010060",
            "1 bytes at 1 of 1",
        ),
    ],
)
def test_malformed_message_is_refused(name: str, payload: str, reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        REQUESTS[name].from_bytes(bytes.fromhex(payload))


@pytest.mark.parametrize("kind", [OkHello, OkWhois])
def test_ok_to_another_verb_is_refused(kind: type[Message]) -> None:
    with pytest.raises(WireError, match="in reply to verb 8"):
        kind.from_bytes(OkHeader(Verb.ECHO, PacketId(1)).to_bytes())


def test_config_ack_is_an_ok_to_echo_with_network_and_update() -> None:
    payload = bytes.fromhex("08b8cb7b495a05220f34dfa0be90583a51056c9d905d1de7d5")
    reader = Reader(payload)
    header, ack = OkHeader.decode(reader), ConfigAck.decode(reader)
    assert header == OkHeader(Verb.ECHO, PacketId(0xB8CB7B495A05220F))
    assert (ack.network_id, ack.update_id) == (0x34DFA0BE90583A51, 0x056C9D905D1DE7D5)
    assert header.to_bytes() + ack.to_bytes() == payload


# -- recorded sessions ---------------------------------------------------------------------------


def session_packets() -> list[Any]:
    return [
        pytest.param(packet["verb"], bytes.fromhex(packet["payload"]), id=f"{name}-{index}")
        for name in ("session-basic-aes.json", "session-nat.json")
        for index, packet in enumerate(load(name)["packets"])
        if "payload" in packet and index % SESSION_STEP == 0
    ]


def reencode(verb: str, payload: bytes) -> bytes:
    if verb == "HELLO":
        clear, offset = Hello.decode_packet(bytes(28) + payload)
        return clear.to_bytes() + payload[offset - 28 :]
    if verb != "OK":
        return REQUESTS[verb].from_bytes(payload).to_bytes()
    if payload[0] == Verb.HELLO:
        return OkHello.from_bytes(payload).to_bytes()
    if payload[0] == Verb.WHOIS:
        return OkWhois.from_bytes(payload).to_bytes()
    header, body = decode_reply(payload)
    return header.to_bytes() + body.to_bytes()


@pytest.mark.parametrize(("verb", "payload"), session_packets())
def test_recorded_packet_encodes_to_the_same_bytes(verb: str, payload: bytes) -> None:
    assert reencode(verb, payload) == payload
