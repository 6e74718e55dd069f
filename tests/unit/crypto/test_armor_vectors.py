"""Sealing and opening, byte for byte as the reference node does it."""

from typing import Any

import pytest

from tests.vectors.loading import DIRECTORY, load
from ztlink.batch import CipherSuite, PacketBatch
from ztlink.crypto.armor import armor, armor_one, check_hellos, dearmor, dearmor_one
from ztlink.crypto.kdf import PeerCipher, derive_session_keys
from ztlink.wire.packet import OFFSET_FLAGS, OFFSET_VERB

ARMOR = load("armor.json")
CASES = [(suite, case) for suite in (0, 1, 3) for case in ARMOR[f"suite_{suite}"]]


def cipher_of(case: dict[str, Any]) -> PeerCipher:
    return PeerCipher(derive_session_keys(bytes.fromhex(case["key_48"])))


def flags_of(case: dict[str, Any]) -> int:
    flags = case["received_flags_byte"]
    return flags if isinstance(flags, int) else int(flags, 16)


def batch_of(packets: list[bytes]) -> PacketBatch:
    """Lay packets out one after the other."""
    batch = PacketBatch(memoryview(bytearray(b"".join(packets))))
    position = 0
    for packet in packets:
        batch.append(position, len(packet))
        position += len(packet)
    return batch


@pytest.mark.parametrize(("suite", "case"), CASES)
def test_a_packet_is_sealed_as_the_reference_seals_it(suite: int, case: dict[str, Any]) -> None:
    packet = bytearray.fromhex(case["plain"])
    armor_one(packet, cipher_of(case), CipherSuite(suite))
    assert packet.hex() == case["armored"]


@pytest.mark.parametrize(("suite", "case"), CASES)
def test_a_relayed_packet_opens(suite: int, case: dict[str, Any]) -> None:
    packet = bytearray.fromhex(case["armored"])
    packet[OFFSET_FLAGS] = flags_of(case)
    assert dearmor_one(packet, cipher_of(case))
    assert packet[OFFSET_VERB:].hex() == case["plain"][2 * OFFSET_VERB :]


@pytest.mark.parametrize("case", ARMOR["tampered"])
def test_a_changed_packet_does_not_open(case: dict[str, Any]) -> None:
    data = case.get("packet") or case.get("armored") or case["datagram"]
    assert not dearmor_one(bytearray.fromhex(data), cipher_of(case))


def test_packets_of_one_pair_are_sealed_together_as_one_by_one() -> None:
    case = ARMOR["suite_3"][0]
    same_key = [c for c in ARMOR["suite_3"] if c["key_48"] == case["key_48"]]
    batch = batch_of([bytes.fromhex(c["plain"]) for c in same_key])
    armor(batch, cipher_of(case), CipherSuite.GMAC_SIV)
    assert bytes(batch.buffer).hex() == "".join(c["armored"] for c in same_key)


def test_packets_of_several_suites_open_together() -> None:
    key = ARMOR["suite_0"][0]["key_48"]
    cases = [case for _, case in CASES if case["key_48"] == key]
    batch = batch_of([bytes.fromhex(c["armored"]) for c in cases])
    assert dearmor(batch, cipher_of(cases[0])) == bytearray([1] * len(cases))


def test_one_changed_packet_does_not_spoil_its_batch() -> None:
    key = ARMOR["suite_3"][0]["key_48"]
    packet = bytes.fromhex(next(c["armored"] for c in ARMOR["suite_3"] if c["key_48"] == key))
    batch = batch_of([packet, packet[:-1] + bytes([packet[-1] ^ 1]), packet])
    assert dearmor(batch, cipher_of(ARMOR["suite_3"][0])) == bytearray([1, 0, 1])


@pytest.mark.parametrize("suite", [2, 4, 5, 6, 7])
def test_suites_without_protection_do_not_open(suite: int) -> None:
    packet = bytearray.fromhex(ARMOR["suite_3"][0]["armored"])
    packet[OFFSET_FLAGS] = suite << 3
    assert not dearmor_one(packet, cipher_of(ARMOR["suite_3"][0]))


def test_hellos_of_several_senders_are_checked_together() -> None:
    cases = ARMOR["suite_0"]
    packets = [memoryview(bytearray.fromhex(c["armored"])) for c in cases]
    packets[2][-1] ^= 1
    verdicts = check_hellos(packets, [cipher_of(c) for c in cases])
    assert [index for index, good in enumerate(verdicts) if not good] == [2]


VERBS = [path.stem for path in sorted(DIRECTORY.glob("*.json")) if "packets" in load(path.name)]


@pytest.mark.parametrize("name", VERBS)
def test_every_recorded_packet_opens(name: str) -> None:
    packets = [p for p in load(f"{name}.json")["packets"] if "packet" in p and "payload" in p]
    for case in packets:
        packet = bytearray.fromhex(case["packet"])
        assert dearmor_one(packet, cipher_of(case))
        if not case["compressed"] and name != "hello":
            assert packet[OFFSET_VERB + 1 :].hex() == case["payload"]
