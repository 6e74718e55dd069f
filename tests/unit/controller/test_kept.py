"""Records as the database keeps them, and back."""

import json
from dataclasses import replace

import pytest

from tests.unit.controller.rig import ADDRESSING, NETWORK, member
from ztlink.controller.fields import FieldError
from ztlink.controller.kept import member_from_kept, network_from_kept, text_of
from ztlink.controller.records import MemberRecord, NetworkRecord
from ztlink.ids import Address

BARE_NETWORK = NetworkRecord(NETWORK, 5)
BARE_MEMBER = MemberRecord(NETWORK, member(1).address, 5)


@pytest.mark.parametrize(
    "network",
    [
        BARE_NETWORK,
        replace(BARE_NETWORK.updated(ADDRESSING), revision=9, name="lab"),
        replace(
            BARE_NETWORK,
            credential_window_ms=600_000,
            rules_source="accept;",
            sso_enabled=True,
            client_id="us",
            authorization_endpoint="https://example",
        ),
    ],
    ids=["bare", "with addresses", "of a file"],
)
def test_a_network_reads_as_it_was_written(network: NetworkRecord) -> None:
    assert network_from_kept(json.loads(text_of(network))) == network


@pytest.mark.parametrize(
    "record",
    [
        BARE_MEMBER,
        BARE_MEMBER.updated({"authorized": True, "ipAssignments": ["10.1.0.7", "fd00::7"]}, 9),
        BARE_MEMBER.updated({"tags": [[1, 2]], "capabilities": [3], "name": "\u00fc"}, 9),
        replace(BARE_MEMBER, version=(1, 14, 1), protocol=12, identity=str(member(1))),
        replace(BARE_MEMBER, trace_target=Address(7), trace_level=5, sso_exempt=True, revision=8),
    ],
    ids=["bare", "let in", "with tags", "seen", "traced"],
)
def test_a_member_reads_as_it_was_written(record: MemberRecord) -> None:
    assert member_from_kept(json.loads(text_of(record))) == record


def test_a_network_that_somebody_spoiled_is_refused() -> None:
    with pytest.raises(FieldError, match="private"):
        network_from_kept(BARE_NETWORK.to_json() | {"private": "x"})


def test_a_word_for_true_lets_nobody_in() -> None:
    assert not member_from_kept(BARE_MEMBER.to_json() | {"authorized": "true"}).authorized
