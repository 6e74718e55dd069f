"""Credentials: bytes, fields and what their signatures cover."""

from ipaddress import ip_address
from typing import Any

import pytest

from tests.unit.wire.described import Credential, describe_credential
from tests.vectors.loading import load
from ztlink.errors import WireError
from ztlink.ids import Mac, NetworkId
from ztlink.wire.buffer import Reader
from ztlink.wire.credentials import (
    Capability,
    CertificateOfOwnership,
    Com,
    Qualifier,
    Revocation,
    Tag,
    Thing,
    ThingType,
    identity_hash,
)
from ztlink.wire.identity import Identity
from ztlink.wire.network import NetworkCredentials

VECTORS = load("credentials.json")
KINDS: dict[str, type[Credential]] = {
    "com": Com,
    "capability": Capability,
    "tag": Tag,
    "coo": CertificateOfOwnership,
    "revocation": Revocation,
}
STRICTER = {"duplicate id"}
"""The reference takes these; a COM that says two things is refused here."""
MEMBER = Identity.from_text(
    "202fe49703:0:ed47a02785fd8c802f388dc151ec1890667cd5068054784f0d17a750bdf34709424789715b52258ea"
    "7d95a218da362cd75f1d1fe981795920bba393fc0131cef"
)


def cases(*, parses: bool) -> list[Any]:
    return [
        pytest.param(kind, case, id=f"{kind}-{index}-{case['note']}")
        for kind in KINDS
        for index, case in enumerate(VECTORS[kind])
        if (case["verdict"] != "parse_error" and case["note"] not in STRICTER) is parses
    ]


def decode(kind: str, case: dict[str, Any]) -> Credential:
    return KINDS[kind].from_bytes(bytes.fromhex(case["bytes"]))


@pytest.mark.parametrize(("kind", "case"), cases(parses=True))
def test_credential_decodes_to_its_fields(kind: str, case: dict[str, Any]) -> None:
    expected = {
        key: value
        for key, value in case["fields"].items()
        if key != "rules" and not ("edge" in case and key == "rules_binary")
    }
    assert expected.items() <= describe_credential(decode(kind, case)).items()


@pytest.mark.parametrize(("kind", "case"), cases(parses=True))
def test_credential_ends_where_its_fields_end(kind: str, case: dict[str, Any]) -> None:
    reader = Reader(bytes.fromhex(case["bytes"]))
    KINDS[kind].decode(reader)
    assert reader.position == case["consumed"]


@pytest.mark.parametrize(
    ("kind", "case"), [p for p in cases(parses=True) if "reserializes_equal" in p.values[1]]
)
def test_credential_encodes_as_the_reference_does(kind: str, case: dict[str, Any]) -> None:
    original = case["bytes"][: 2 * case["consumed"]]
    assert (decode(kind, case).to_bytes().hex() == original) is case["reserializes_equal"]


@pytest.mark.parametrize(
    ("kind", "case"), [p for p in cases(parses=True) if "edge" not in p.values[1]]
)
def test_signature_covers_what_the_reference_signs(kind: str, case: dict[str, Any]) -> None:
    assert decode(kind, case).signing_input().hex() == case["signing_input"]


@pytest.mark.parametrize(
    ("kind", "case"), [p for p in cases(parses=True) if p.values[0] != "revocation"]
)
def test_size_is_that_of_the_encoded_form(kind: str, case: dict[str, Any]) -> None:
    credential = decode(kind, case)
    assert not isinstance(credential, Revocation)
    assert credential.size == len(credential.to_bytes())


@pytest.mark.parametrize(("kind", "case"), cases(parses=False))
def test_malformed_credential_is_refused(kind: str, case: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        decode(kind, case)


@pytest.mark.parametrize("case", [c for c in VECTORS["capability"] if "edge" in c])
def test_rules_of_unusual_form_keep_their_bytes(case: dict[str, Any]) -> None:
    assert decode("capability", case).to_bytes().hex() == case["bytes"]


def test_identity_hash_is_that_of_address_and_public_key() -> None:
    digest = "a5565d9c7d8b2d89bdfe0da91f0a50d86c3ba64cf466eaa8ecbb5d484bcbea37"
    assert b"".join(n.to_bytes(8, "big") for n in identity_hash(MEMBER)).hex() == digest


def test_com_for_a_member_is_signed_over_the_known_bytes() -> None:
    com = Com.issue(NetworkId(0x112972485D000001), 1_700_000_000_000, 1_800_000, MEMBER)
    assert com.signing_input().hex() == (
        "00000000000000000000018bcfe5680000000000001b77400000000000000001112972485d000001"
        "0000000000000000000000000000000200000020"
        "2fe49703ffffffffffffffff0000000000000003a5565d9c7d8b2d89ffffffffffffffff"
        "0000000000000004bdfe0da91f0a50d8ffffffffffffffff"
        "00000000000000056c3ba64cf466eaa8ffffffffffffffff"
        "0000000000000006ecbb5d484bcbea37ffffffffffffffff"
    )


def test_empty_com_names_nobody() -> None:
    assert (Com().timestamp, Com().network_id, Com().issued_to) == (0, 0, 0)


def test_unsigned_com_survives_a_round_trip() -> None:
    com = Com((Qualifier(0, 1, 2),))
    assert Com.from_bytes(com.to_bytes()) == com


def test_coo_of_more_than_sixteen_things_is_refused() -> None:
    head = bytes(8 + 8 + 8 + 4)
    with pytest.raises(WireError, match="COO: 17 things"):
        CertificateOfOwnership.from_bytes(head + (17).to_bytes(2, "big") + bytes(1000))


@pytest.mark.parametrize("case", VECTORS["coo_owns"])
def test_ownership_is_told_as_the_reference_does(case: dict[str, Any]) -> None:
    coo = CertificateOfOwnership.from_bytes(bytes.fromhex(case["coo"]))
    value = bytes.fromhex(case["value"])
    is_mac = case["thing_type"] == ThingType.MAC
    owns = coo.owns_mac(value) if is_mac else coo.owns_ip(ip_address(value))
    assert owns is case["owns"]


def test_things_are_padded_to_sixteen_bytes() -> None:
    things = (Thing.of_ip(ip_address("10.0.0.1")), Thing.of_mac(Mac(b"\x02\0\0\0\0\x01")))
    assert things == (
        Thing(ThingType.IPV4, bytes.fromhex("0a000001" + "00" * 12)),
        Thing(ThingType.MAC, bytes.fromhex("020000000001" + "00" * 10)),
    )
    assert Thing.of_ip(ip_address("::1")).thing_type == ThingType.IPV6


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("com", "coms"),
        ("capability", "capabilities"),
        ("tag", "tags"),
        ("revocation", "revocations"),
        ("coo", "coos"),
    ],
)
def test_a_credential_is_added_to_those_of_its_kind(kind: str, field: str) -> None:
    good = next(case for case in VECTORS[kind] if case["verdict"] != "parse_error")
    credential = decode(kind, good)
    once = NetworkCredentials().adding(credential)
    assert once == NetworkCredentials(**{field: (credential,)})  # type: ignore[arg-type]
    assert getattr(once.adding(credential), field) == (credential, credential)
