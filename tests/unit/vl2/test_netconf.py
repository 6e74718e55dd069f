"""Configurations put together from chunks."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.vectors.loading import load
from ztlink.crypto.identity import sign, verify
from ztlink.errors import WireError
from ztlink.ids import Address, NetworkId, PacketId
from ztlink.vl2.netconf import MAX_CHUNKS, ConfigAssembler
from ztlink.wire.identity import Identity, SecretIdentity
from ztlink.wire.netconf import MAX_CONFIG_SIZE, NetworkConfig
from ztlink.wire.network import ConfigChunk

VECTORS = load("netconf.json")
NETWORK = NetworkId(int(VECTORS["network_id"], 16))
CONTROLLER = SecretIdentity.from_text(VECTORS["controller"])
MEMBER = Identity.from_text(VECTORS["member"])
STRICTER = {"older timestamp after newer (accepted by the reference)"}
"""Here a replay is refused."""
PUSH, REPLY = 12, 3


def names(case: dict[str, Any]) -> str:
    return str(case["name"])


def good_signature(message: bytes, signature: bytes) -> bool:
    return verify(CONTROLLER.public.public_key, message, signature)


def assembler() -> ConfigAssembler:
    return ConfigAssembler(NETWORK, MEMBER.address)


def add(
    target: ConfigAssembler, chunk: ConfigChunk, *, is_from_controller: bool = True
) -> bytes | None:
    return target.add(
        chunk,
        packet_id=PacketId(1),
        is_from_controller=is_from_controller,
        verify=good_signature,
    )


class Member:
    """A member that takes chunks as they come and applies what is complete."""

    def __init__(self) -> None:
        self.assembler = assembler()
        self.config: NetworkConfig | None = None

    def take(self, payload: bytes, sender: Address) -> str:
        try:
            chunk = ConfigChunk.from_bytes(payload)
            is_from_controller = sender == CONTROLLER.address
            text = add(self.assembler, chunk, is_from_controller=is_from_controller)
        except WireError:
            return "not_complete_or_refused"
        if text is None:
            return "not_complete_or_refused"
        return self.apply(text)

    def apply(self, text: bytes) -> str:
        try:
            NetworkConfig.decode(text)
        except WireError:
            return "not_complete_or_refused"
        try:
            self.config = self.assembler.read(text, self.config, is_answer=False)
        except WireError:
            return "complete_not_changed"
        return "applied"


def run(case: dict[str, Any]) -> tuple[Member, list[str]]:
    member = Member()
    return member, [member.take(*step) for step in steps(case)]


def steps(case: dict[str, Any]) -> Iterator[tuple[bytes, Address]]:
    for step in case["steps"]:
        sent = step.get("payload_of_sent")
        payload = step["payload"] if sent is None else VECTORS["chunks_sent"][sent]["payload"]
        yield bytes.fromhex(payload), Address(int(step["from"], 16))


RECEIVED = [case for case in VECTORS["chunks_received"] if case["name"] not in STRICTER]


@pytest.mark.parametrize("case", RECEIVED, ids=names)
def test_chunks_have_the_effect_that_they_have_on_the_reference(case: dict[str, Any]) -> None:
    _, results = run(case)
    assert results == [step["result"] for step in case["steps"]]


@pytest.mark.parametrize("case", RECEIVED, ids=names)
def test_chunks_leave_the_revision_that_they_leave_with_the_reference(
    case: dict[str, Any],
) -> None:
    member, _ = run(case)
    assert (member.config.revision if member.config else 0) == case["final_revision"]


@pytest.mark.parametrize("case", VECTORS["chunks_sent"], ids=lambda case: str(case["update"]))
def test_sent_chunk_is_signed_over_its_known_part(case: dict[str, Any]) -> None:
    payload = bytes.fromhex(case["payload"])
    chunk = ConfigChunk.from_bytes(payload[9:] if case["verb"] == REPLY else payload)
    assert good_signature(chunk.signed_bytes(), chunk.signature)


# -- chunks of our own making --------------------------------------------------------------------


def signed(data: bytes, index: int, total: int, update_id: int = 7) -> ConfigChunk:
    chunk = ConfigChunk(NETWORK, data, 0, update_id, total, index)
    return replace(chunk, signature=sign(CONTROLLER, chunk.signed_bytes()))


def test_whole_is_returned_once_nothing_is_missing() -> None:
    target = assembler()
    assert add(target, signed(b"cd", 2, 5)) is None
    assert add(target, signed(b"e", 4, 5)) is None
    assert add(target, signed(b"ab", 0, 5)) == b"abcde"


def test_overlapping_chunk_is_refused_although_the_bytes_would_add_up() -> None:
    target = assembler()
    add(target, signed(b"abc", 0, 6))
    assert add(target, signed(b"cde", 2, 6)) is None
    assert add(target, signed(b"def", 3, 6)) == b"abcdef"


def test_chunk_of_another_total_is_refused() -> None:
    target = assembler()
    add(target, signed(b"abc", 0, 6))
    assert add(target, signed(b"def", 3, 7)) is None
    assert add(target, signed(b"def", 3, 6)) == b"abcdef"


def test_nothing_is_kept_of_a_chunk_whose_signature_is_bad() -> None:
    target = assembler()
    forged = replace(signed(b"xyz", 0, 6), signature=bytes(96))
    assert add(target, forged) is None
    assert add(target, signed(b"def", 3, 6)) is None
    assert add(target, signed(b"abc", 0, 6)) == b"abcdef"


def test_forged_chunks_do_not_displace_an_update_under_way() -> None:
    target = assembler()
    add(target, signed(b"abc", 0, 6))
    for update_id in range(10, 20):
        add(target, replace(signed(b"x", 0, 6), update_id=update_id))
    assert add(target, signed(b"def", 3, 6)) == b"abcdef"


def test_fourth_update_displaces_the_least_recently_continued() -> None:
    target = assembler()
    for update_id in (1, 2, 3):
        add(target, signed(b"abc", 0, 9, update_id))
    add(target, signed(b"def", 3, 9, 1))
    add(target, signed(b"abc", 0, 9, 4))
    assert add(target, signed(b"ghi", 6, 9, 1)) == b"abcdefghi"
    add(target, signed(b"def", 3, 9, 2))
    assert add(target, signed(b"ghi", 6, 9, 2)) is None


def test_what_others_bring_does_not_displace_what_the_controller_sends() -> None:
    target = assembler()
    add(target, signed(b"abc", 0, 6))
    for update_id in range(10, 20):
        add(target, signed(b"abc", 0, 6, update_id), is_from_controller=False)
    assert add(target, signed(b"def", 3, 6)) == b"abcdef"


def test_what_others_bring_waits_for_what_the_controller_sends() -> None:
    target = assembler()
    for update_id in (1, 2, 3):
        add(target, signed(b"abc", 0, 6, update_id))
    assert add(target, signed(b"abc", 0, 3, 4), is_from_controller=False) is None
    assert add(target, signed(b"def", 3, 6, 1)) == b"abcdef"
    assert add(target, signed(b"abc", 0, 3, 4), is_from_controller=False) == b"abc"


def test_complete_update_is_not_returned_again() -> None:
    target = assembler()
    assert add(target, signed(b"abc", 0, 3)) == b"abc"
    assert add(target, signed(b"abc", 0, 3)) is None


def test_chunks_of_one_update_are_bounded_in_number() -> None:
    target = ConfigAssembler(NETWORK, MEMBER.address)
    total = MAX_CHUNKS + 1
    results = [
        target.add(
            ConfigChunk(NETWORK, b"x", 0, 7, total, index, bytes(96)),
            packet_id=PacketId(1),
            is_from_controller=True,
            verify=lambda message, signature: True,
        )
        for index in range(total)
    ]
    assert results == [None] * total


@pytest.mark.parametrize(
    "chunk",
    [
        signed(b"", 0, 0),
        signed(b"abc", 0, MAX_CONFIG_SIZE + 1),
        replace(signed(b"abc", 0, 3), network_id=NetworkId(1)),
    ],
    ids=["empty", "too large", "of another network"],
)
def test_unusable_chunk_is_refused(chunk: ConfigChunk) -> None:
    assert add(assembler(), chunk) is None


# -- judging the whole ---------------------------------------------------------------------------


def config(timestamp: int) -> NetworkConfig:
    return NetworkConfig(network_id=NETWORK, timestamp=timestamp, issued_to=MEMBER.address)


def test_older_config_is_refused_as_a_replay() -> None:
    with pytest.raises(WireError, match="of 1, older than 2"):
        assembler().read(config(1).encode(), config(2), is_answer=False)


def test_older_config_is_good_as_the_answer_to_our_request() -> None:
    assert assembler().read(config(1).encode(), config(2), is_answer=True) == config(1)


def test_config_of_the_same_time_is_good() -> None:
    assert assembler().read(config(2).encode(), config(2), is_answer=False) == config(2)


def test_config_of_another_network_is_refused() -> None:
    text = replace(config(1), network_id=NetworkId(5)).encode()
    with pytest.raises(WireError, match="of network 0000000000000005"):
        assembler().read(text, None, is_answer=True)


def test_config_for_another_member_is_refused() -> None:
    text = replace(config(1), issued_to=Address(5)).encode()
    with pytest.raises(WireError, match="for member 0000000005"):
        assembler().read(text, None, is_answer=True)
