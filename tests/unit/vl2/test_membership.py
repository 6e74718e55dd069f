"""Members' records: what is filed, what is good, who may talk."""

from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest

from tests.vectors.loading import load
from ztlink.crypto.identity import sign
from ztlink.ids import Address, Mac, NetworkId, controller_of
from ztlink.vl2.membership import MAX_COOS, MAX_THRESHOLDS, AddResult, Membership, coms_agree
from ztlink.vl2.verification import Judgement, judge, make_verifier
from ztlink.wire.credentials import (
    Capability,
    CertificateOfOwnership,
    Com,
    Credential,
    CredentialType,
    Custody,
    Revocation,
    Tag,
    Thing,
)
from ztlink.wire.identity import Identity, SecretIdentity
from ztlink.wire.netconf import NetworkConfig

VECTORS = load("credentials.json")
KNOWN = {
    identity.address: identity for identity in map(Identity.from_text, VECTORS["known_identities"])
}
CONTROLLER = SecretIdentity.from_text(VECTORS["controllers"][0])
NETWORK = NetworkId(CONTROLLER.address << 24 | 0xABCDEF)
PEER = Identity.from_text(VECTORS["members"][0])
OTHER = Identity.from_text(VECTORS["members"][1])
NOW = 1_700_000_000_000
VERIFIER = make_verifier(KNOWN.get)

KINDS: dict[str, type[Credential]] = {
    "com": Com,
    "capability": Capability,
    "tag": Tag,
    "coo": CertificateOfOwnership,
    "revocation": Revocation,
}
KIND_OF_TYPE: dict[int, type[Credential]] = {
    1: Com,
    2: Capability,
    3: Tag,
    4: CertificateOfOwnership,
    6: Revocation,
}
JUDGEMENTS = {
    "ok": Judgement.OK,
    "bad": Judgement.BAD,
    "need_identity": Judgement.NEED_IDENTITY,
}
RESULTS = {
    "new": AddResult.NEW,
    "redundant": AddResult.REDUNDANT,
    "rejected": AddResult.REJECTED,
    "deferred": AddResult.NEED_IDENTITY,
}
STRICTER = {"duplicate id"}
"""A COM that says two things is refused when it is decoded."""
OUR_CONFIG = NetworkConfig(
    network_id=NETWORK,
    timestamp=NOW,
    credential_time_max_delta=1_800_000,
    issued_to=OTHER.address,
)

OUR_CONFIG_IP = IPv4Address("10.147.17.5")

# -- signatures ----------------------------------------------------------------------------------

JUDGED = [
    pytest.param(kind, case, id=f"{kind}-{index}-{case['note']}")
    for kind in KINDS
    for index, case in enumerate(VECTORS[kind])
    if case["verdict"] in JUDGEMENTS and case["note"] not in STRICTER and "edge" not in case
]


@pytest.mark.parametrize(("kind", "case"), JUDGED)
def test_credential_is_judged_as_by_the_reference(kind: str, case: dict[str, Any]) -> None:
    credential = KINDS[kind].from_bytes(bytes.fromhex(case["bytes"]))
    assert judge(credential, VERIFIER) is JUDGEMENTS[case["verdict"]]


@pytest.mark.parametrize("case", [c for c in VECTORS["capability"] if "edge" in c])
def test_capability_with_unusual_rules_is_good_if_its_own_bytes_were_signed(
    case: dict[str, Any],
) -> None:
    assert judge(Capability.from_bytes(bytes.fromhex(case["bytes"])), VERIFIER) is Judgement.OK


# -- agreement -----------------------------------------------------------------------------------


@pytest.mark.parametrize("case", VECTORS["com_agreement"], ids=lambda case: str(case["note"]))
def test_coms_agree_as_by_the_reference(case: dict[str, Any]) -> None:
    ours, theirs = (Com.from_bytes(bytes.fromhex(case[side])) for side in ("ours", "theirs"))
    assert coms_agree(ours, theirs, Identity.from_text(case["peer"])) is case["agrees"]


# -- recorded sequences --------------------------------------------------------------------------


def subject(credential: Credential) -> Address:
    return credential.target if isinstance(credential, Revocation) else credential.issued_to


def decode_step(step: dict[str, Any]) -> Credential:
    return KIND_OF_TYPE[step["type"]].from_bytes(bytes.fromhex(step["credential"]))


def validity(record: Membership, config: NetworkConfig) -> dict[str, dict[str, bool]]:
    tags = record.valid_tags(config)
    capabilities = {c.capability_id for c in record.valid_capabilities(config)}
    coos = {coo.coo_id for coo in record.valid_coos(config)}
    return {
        "tags": {str(number): number in tags for number in record.tags},
        "capabilities": {str(number): number in capabilities for number in record.capabilities},
        "coos": {str(number): number in coos for number in record.coos},
    }


@pytest.mark.parametrize("case", VECTORS["membership"], ids=lambda case: str(case["name"]))
def test_sequence_of_credentials_is_filed_as_by_the_reference(case: dict[str, Any]) -> None:
    config = NetworkConfig.decode(bytes.fromhex(case["config"]))
    peer = Identity.from_text(case["peer"])
    record = Membership(decode_step(case["steps"][0]).network_id, peer.address)
    for step in case["steps"]:
        result = record.add(decode_step(step), VERIFIER)
        acceptable = {RESULTS[step[k]] for k in ("result", "also_acceptable") if k in step}
        assert result in acceptable, step["note"]
        assert record.is_allowed(config, peer) is step["allowed_on_network"], step["note"]
        assert record.com_threshold == step["com_threshold"], step["note"]
        state = validity(record, config)
        assert state == {kind: step[kind] for kind in state}, step["note"]


# -- credentials of our own making ---------------------------------------------------------------


def signed_com(timestamp: int = NOW, to: Identity = PEER, network: NetworkId = NETWORK) -> Com:
    com = replace(Com.issue(network, timestamp, 1_800_000, to), signer=controller_of(network))
    return replace(com, signature=sign(CONTROLLER, com.signing_input()))


def signed_tag(number: int, timestamp: int = NOW, to: Identity = PEER) -> Tag:
    tag = Tag(NETWORK, timestamp, number, 42, to.address, CONTROLLER.address)
    return replace(tag, signature=sign(CONTROLLER, tag.signing_input()))


def signed_coo(number: int, timestamp: int, *things: Thing) -> CertificateOfOwnership:
    coo = CertificateOfOwnership(
        NETWORK, timestamp, 0, number, things, PEER.address, CONTROLLER.address
    )
    return replace(coo, signature=sign(CONTROLLER, coo.signing_input()))


def signed_revocation(kind: int, number: int, threshold: int) -> Revocation:
    revocation = Revocation(
        1, NETWORK, number, threshold, 1, PEER.address, CONTROLLER.address, kind
    )
    return replace(revocation, signature=sign(CONTROLLER, revocation.signing_input()))


def record() -> Membership:
    return Membership(NETWORK, PEER.address)


@pytest.mark.parametrize(
    "credential",
    [
        signed_com(to=OTHER),
        signed_tag(1, to=OTHER),
        signed_com(network=NetworkId(NETWORK + 1)),
        Capability(NETWORK, NOW, 1, (), 1, ()),
    ],
    ids=["com of another", "tag of another", "other network", "nobody's"],
)
def test_credential_that_is_not_the_members_is_rejected(credential: Credential) -> None:
    assert record().add(credential, VERIFIER) is AddResult.REJECTED


def test_capability_handed_to_another_in_transit_is_not_filed_here() -> None:
    capability = Capability(NETWORK, NOW, 1, (), 1, ())
    signature = sign(CONTROLLER, capability.signing_input())
    step = Custody(OTHER.address, CONTROLLER.address, signature)
    result = record().add(replace(capability, custody=(step,)), VERIFIER)
    assert result is AddResult.REJECTED


def test_later_revocation_of_a_tag_does_not_bring_back_a_revoked_member() -> None:
    target = record()
    target.add(signed_com(), VERIFIER)
    target.add(signed_revocation(CredentialType.COM, 0, NOW), VERIFIER)
    target.add(signed_revocation(CredentialType.TAG, 1, NOW - 5), VERIFIER)
    assert not target.agrees(signed_com(to=OTHER), PEER)


def test_member_without_a_com_may_not_talk() -> None:
    assert not record().agrees(signed_com(to=OTHER), PEER)


def test_agreement_is_judged_anew_for_another_com() -> None:
    target = record()
    target.add(signed_com(), VERIFIER)
    assert target.agrees(signed_com(to=OTHER), PEER)
    assert not target.agrees(signed_com(NOW + 10_000_000, to=OTHER), PEER)


def test_agreement_is_judged_anew_for_another_identity() -> None:
    target, ours = record(), signed_com(to=OTHER)
    target.add(signed_com(), VERIFIER)
    assert target.agrees(ours, PEER)
    assert not target.agrees(ours, OTHER)


def test_full_list_of_coos_gives_up_its_oldest() -> None:
    target = record()
    for number in range(MAX_COOS + 1):
        target.add(signed_coo(number, NOW + number), VERIFIER)
    assert sorted(target.coos) == list(range(1, MAX_COOS + 1))


def test_full_list_of_revocations_keeps_the_highest_thresholds() -> None:
    target = record()
    for number in range(MAX_THRESHOLDS + 1):
        revocation = replace(signed_revocation(3, number, NOW + number), signature=b"good")
        target.add(revocation, lambda signer, message, signature: True)
    oldest, newest = signed_tag(0, NOW), signed_tag(MAX_THRESHOLDS, NOW)
    results = (target.add(oldest, VERIFIER), target.add(newest, VERIFIER))
    assert results == (AddResult.NEW, AddResult.REJECTED)


def test_only_valid_tags_are_listed_in_order() -> None:
    target = record()
    for tag in (signed_tag(3), signed_tag(1), signed_tag(2, NOW + 1_800_001)):
        target.add(tag, VERIFIER)
    assert list(target.valid_tags(OUR_CONFIG).items()) == [(1, 42), (3, 42)]


def test_ownership_counts_while_the_certificate_is_valid() -> None:
    from_now = Thing.of_mac(Mac(b"\x02\0\0\0\0\x01"))
    target = record()
    target.add(signed_coo(1, NOW, from_now), VERIFIER)
    later = replace(OUR_CONFIG, timestamp=NOW + 1_800_001)
    mac = b"\x02\0\0\0\0\x01"
    assert (target.owns_mac(mac, OUR_CONFIG), target.owns_mac(mac, later)) == (True, False)


def test_ownership_of_an_ip_address_is_found_in_any_certificate() -> None:
    target = record()
    address = OUR_CONFIG_IP
    target.add(signed_coo(1, NOW), VERIFIER)
    target.add(signed_coo(2, NOW, Thing.of_ip(address)), VERIFIER)
    assert target.owns_ip(address, OUR_CONFIG)
    assert not target.owns_ip(address + 1, OUR_CONFIG)


def test_a_revocation_of_somebody_else_or_of_an_unknown_kind_is_rejected() -> None:
    good = signed_revocation(CredentialType.COM, 0, NOW)
    elsewhere = replace(good, target=OTHER.address)
    unknown = signed_revocation(9, 0, NOW)
    results = [record().add(each, VERIFIER) for each in (elsewhere, unknown)]
    assert results == [AddResult.REJECTED, AddResult.REJECTED]


def test_a_revocation_whose_signature_is_bad_is_rejected() -> None:
    forged = replace(signed_revocation(CredentialType.COM, 0, NOW), threshold=NOW + 1)
    subject_of = record()
    subject_of.add(signed_com(), VERIFIER)
    assert subject_of.add(forged, VERIFIER) is AddResult.REJECTED


@pytest.mark.parametrize("kind", [CredentialType.COM, CredentialType.TAG])
def test_a_revocation_that_says_nothing_new_is_redundant(kind: CredentialType) -> None:
    filed = record()
    assert filed.add(signed_revocation(kind, 0, NOW), VERIFIER) is AddResult.NEW
    assert filed.add(signed_revocation(kind, 0, NOW - 1), VERIFIER) is AddResult.REDUNDANT
    assert filed.add(signed_revocation(kind, 0, NOW + 1), VERIFIER) is AddResult.NEW


# -- what is worth keeping -----------------------------------------------------------------------

AGED = replace(OUR_CONFIG, timestamp=NOW + 1_800_001)
"""Our configuration once what was issued now is too old to count."""


@pytest.mark.parametrize(
    "kept",
    [
        signed_com(),
        signed_tag(1),
        signed_coo(1, NOW),
        signed_revocation(CredentialType.COM, 0, NOW),
        signed_revocation(CredentialType.TAG, 1, NOW),
    ],
    ids=lambda kept: type(kept).__name__,
)
def test_a_record_is_spent_once_all_in_it_is_too_old_to_count(kept: Credential) -> None:
    target = record()
    target.add(kept, VERIFIER)
    assert (target.is_spent(OUR_CONFIG), target.is_spent(AGED)) == (False, True)


def test_a_record_of_which_one_thing_counts_is_not_spent() -> None:
    target = record()
    for kept in (signed_com(), signed_tag(1, NOW + 1)):
        target.add(kept, VERIFIER)
    assert not target.is_spent(AGED)


def test_a_certificate_that_agrees_with_ours_is_kept_beyond_the_window_of_the_rest() -> None:
    target = record()
    target.add(signed_com(), VERIFIER)
    ours = Com.issue(NETWORK, AGED.timestamp, 7_200_000, OTHER)
    assert not target.is_spent(replace(AGED, com=ours))
