"""A running controller: who is answered, who is told of changes, and when."""

from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.unit.controller.rig import CONTROLLER, NETWORK, START, Refused, Rig, member
from ztlink.controller import decide, service
from ztlink.controller.asked import ANSWER_BURST
from ztlink.controller.fields import FieldError
from ztlink.controller.records import MemberRecord
from ztlink.controller.store import ControllerStore
from ztlink.crypto.identity import verify
from ztlink.errors import ConfigError
from ztlink.ids import Address, NetworkId, PacketId
from ztlink.node.events import ConfigRequested
from ztlink.wire.credentials import CredentialType
from ztlink.wire.verbs import ErrorCode

DENIED = ErrorCode.NETWORK_ACCESS_DENIED


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.create()
    return rig


@pytest.fixture
def joined(rig: Rig) -> Rig:
    """Two members that were let in and have asked."""
    for number in (1, 2):
        rig.set_member(number, authorized=True)
        rig.ask(number)
    return rig


# -- requests ------------------------------------------------------------------------------------


def test_a_stranger_is_refused_in_answer_to_its_packet(rig: Rig) -> None:
    packet_id = rig.ask(1)
    assert rig.core.refusals == [Refused(member(1).address, DENIED, packet_id)]


def test_a_stranger_becomes_a_member_that_is_not_authorised(rig: Rig) -> None:
    rig.ask(1)
    assert not rig.service.members[NETWORK][member(1).address].authorized


def test_a_member_gets_its_configuration_in_answer_to_its_packet(rig: Rig) -> None:
    rig.set_member(1, authorized=True)
    packet_id = rig.ask(1)
    assert [(s.member, s.in_reply_to) for s in rig.core.configs] == [(member(1).address, packet_id)]


def test_a_network_that_is_not_there_is_not_found(rig: Rig) -> None:
    rig.service.request(
        ConfigRequested(NetworkId(NETWORK + 1), member(1), b"", PacketId(7)),
    )
    code = ErrorCode.OBJ_NOT_FOUND
    assert rig.core.refusals == [Refused(member(1).address, code, PacketId(7))]


def test_metadata_that_make_no_sense_are_answered_all_the_same(rig: Rig) -> None:
    rig.set_member(1, authorized=True)
    rig.service.request(ConfigRequested(NETWORK, member(1), b"\xff\0=\n==\\", PacketId(7)))
    assert len(rig.core.configs) == 1


def test_a_member_that_asks_too_often_is_not_answered(joined: Rig) -> None:
    before = len(joined.core.configs)
    for _ in range(2 * ANSWER_BURST):
        joined.ask(2)
    assert len(joined.core.configs) - before < ANSWER_BURST


def test_a_member_that_asks_again_after_a_second_is_answered(joined: Rig) -> None:
    for _ in range(2 * ANSWER_BURST):
        joined.ask(1)
    answered = len(joined.core.configs)
    joined.pass_time(1.0)
    joined.ask(1)
    assert len(joined.core.configs) == answered + 1


def test_one_that_is_refused_is_refused_no_more_often_than_others_are_answered(rig: Rig) -> None:
    for _ in range(2 * ANSWER_BURST):
        rig.ask(1)
    assert len(rig.core.refusals) == ANSWER_BURST


def test_members_do_not_use_up_each_others_requests(joined: Rig) -> None:
    joined.ask(3)
    assert joined.core.refusals[-1].member == member(3).address


def test_a_node_that_comes_with_other_keys_is_refused(joined: Rig) -> None:
    joined.pass_time(2.0)
    thief = type(member(1))(member(1).address, member(2).public_key)
    joined.service.request(ConfigRequested(NETWORK, thief, b"", PacketId(9)))
    assert joined.core.refusals[-1] == Refused(member(1).address, DENIED, PacketId(9))


def test_strangers_are_refused_without_a_record_when_there_are_too_many(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MAX_STRANGERS", 2)
    for number in (1, 2, 3):
        rig.ask(number)
    assert (len(rig.core.refusals), len(rig.service.members[NETWORK])) == (3, 2)


def test_whoever_has_a_token_comes_in_when_there_are_too_many_strangers(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MAX_STRANGERS", 0)
    rig.service.update_network(NETWORK, {"authTokens": {"sesame": 0}})
    rig.ask(1, a="token:sesame")
    assert rig.service.members[NETWORK][member(1).address].credential == "sesame"


def test_a_configuration_too_large_for_members_is_not_found_and_not_fatal(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decide, "MAX_CONFIG_SIZE", 1_000)
    rig.set_member(1, authorized=True)
    packet_id = rig.ask(1)
    code = ErrorCode.OBJ_NOT_FOUND
    assert rig.core.refusals == [Refused(member(1).address, code, packet_id)]


# -- changes are told ----------------------------------------------------------------------------


def test_a_change_of_the_network_is_pushed_to_its_members_at_once(joined: Rig) -> None:
    joined.service.update_network(NETWORK, {"mtu": 1400})
    pushed = joined.core.configs[2:]
    assert [(s.config.mtu, s.in_reply_to) for s in pushed] == [(1400, None), (1400, None)]


def test_what_changes_nothing_is_not_pushed(joined: Rig) -> None:
    joined.service.update_network(NETWORK, {"mtu": 2800})
    assert len(joined.core.configs) == 2


def test_a_change_raises_the_revision(joined: Rig) -> None:
    joined.service.update_network(NETWORK, {"mtu": 1400})
    assert joined.last_config().revision == 2


def test_members_that_were_silent_for_two_minutes_get_no_push(joined: Rig) -> None:
    joined.pass_time(60.0)
    joined.ask(2)
    joined.pass_time(60.1)
    joined.service.update_network(NETWORK, {"mtu": 1400})
    assert [s.member for s in joined.core.configs[3:]] == [member(2).address]


def test_a_change_of_a_member_is_pushed_to_that_member(joined: Rig) -> None:
    joined.set_member(1, ipAssignments=["10.147.9.9"])
    assert [s.member for s in joined.core.configs[2:]] == [member(1).address]


def test_whoever_asked_lately_gets_its_configuration_when_it_is_authorised(rig: Rig) -> None:
    rig.ask(1)
    rig.pass_time(100.0)
    rig.set_member(1, authorized=True)
    assert [(s.member, s.in_reply_to) for s in rig.core.configs] == [(member(1).address, None)]


def test_a_push_within_a_second_of_the_request_is_sent(rig: Rig) -> None:
    rig.ask(1)
    rig.set_member(1, authorized=True)
    assert len(rig.core.configs) == 1


def test_a_new_bridge_is_told_to_all(joined: Rig) -> None:
    joined.set_member(1, activeBridge=True)
    told = {s.member: s.config.active_bridges for s in joined.core.configs[2:]}
    bridge = (member(1).address,)
    assert told == {member(1).address: bridge, member(2).address: bridge}


def test_a_bridge_that_is_deleted_is_told_to_the_others(joined: Rig) -> None:
    joined.set_member(1, activeBridge=True)
    joined.service.delete_member(NETWORK, member(1).address)
    assert joined.last_config().active_bridges == ()


# -- out -----------------------------------------------------------------------------------------


def test_deauthorisation_sends_a_revocation_to_all_that_asked_lately(joined: Rig) -> None:
    joined.set_member(1, authorized=False)
    ((told, revocation),) = joined.core.revocations
    assert (told, revocation.target) == (
        [member(1).address, member(2).address],
        member(1).address,
    )


def test_a_revocation_is_signed_and_voids_every_certificate_so_far(joined: Rig) -> None:
    joined.set_member(1, authorized=False)
    ((_, revocation),) = joined.core.revocations
    signed = verify(CONTROLLER.public.public_key, revocation.signing_input(), revocation.signature)
    issued = joined.core.configs[0].config.timestamp
    assert (signed, revocation.credential_type, revocation.threshold >= issued) == (
        True,
        CredentialType.COM,
        True,
    )


def test_the_deauthorised_is_refused_at_once(joined: Rig) -> None:
    joined.set_member(1, authorized=False)
    assert [(r.member, r.code) for r in joined.core.refusals] == [(member(1).address, DENIED)]


def test_the_deauthorised_is_refused_when_it_asks_next(joined: Rig) -> None:
    joined.set_member(1, authorized=False)
    joined.pass_time(2.0)
    packet_id = joined.ask(1)
    assert joined.core.refusals[-1] == Refused(member(1).address, DENIED, packet_id)


def test_the_deauthorised_gets_no_more_pushes(joined: Rig) -> None:
    joined.set_member(1, authorized=False)
    joined.service.update_network(NETWORK, {"mtu": 1400})
    assert [s.member for s in joined.core.configs[2:]] == [member(2).address]


def test_whoever_is_let_in_again_has_certificates_newer_than_the_revocation(joined: Rig) -> None:
    joined.set_member(1, authorized=False)
    joined.set_member(1, authorized=True)
    ((_, revocation),) = joined.core.revocations
    com = joined.last_config().com
    assert com is not None
    assert com.timestamp > revocation.threshold


def test_a_member_that_is_deleted_is_revoked_and_its_address_is_free(joined: Rig) -> None:
    first = joined.core.configs[0].config.addresses[0].ip
    joined.service.delete_member(NETWORK, member(1).address)
    joined.set_member(3, authorized=True, ipAssignments=[str(first)])
    assert [r.target for _, r in joined.core.revocations] == [member(1).address]


def test_deleting_whom_nobody_knows_does_nothing(joined: Rig) -> None:
    assert joined.service.delete_member(NETWORK, member(5).address) is None


def test_a_network_that_is_deleted_revokes_those_it_let_in(joined: Rig) -> None:
    joined.ask(3)
    joined.service.delete_network(NETWORK)
    targets = {revocation.target for _, revocation in joined.core.revocations}
    assert targets == {member(1).address, member(2).address}


def test_a_network_that_was_deleted_is_not_found(joined: Rig) -> None:
    joined.service.delete_network(NETWORK)
    joined.pass_time(2.0)
    joined.ask(1)
    assert joined.core.refusals[-1].code == ErrorCode.OBJ_NOT_FOUND


# -- addresses and time --------------------------------------------------------------------------


def test_no_address_is_given_twice(rig: Rig) -> None:
    rig.service.update_network(NETWORK, {"private": False})
    for number in range(1, 400):
        rig.ask(number)
    given = [address.ip for sent in rig.core.configs for address in sent.config.addresses]
    assert (len(given), len(set(given))) == (399, 399)


def test_no_address_is_given_twice_in_a_small_pool_after_a_restart(rig: Rig) -> None:
    pool = {"ipRangeStart": "10.147.0.1", "ipRangeEnd": "10.147.0.4"}
    rig.service.update_network(NETWORK, {"private": False, "ipAssignmentPools": [pool]})
    rig.ask(1)
    rig.ask(2)
    again = Rig(rig.store)
    again.ask(3)
    given = [sent.config.addresses[0] for sent in rig.core.configs + again.core.configs]
    assert len(set(given)) == 3


def test_an_address_that_another_has_is_refused(joined: Rig) -> None:
    taken = str(joined.core.configs[0].config.addresses[0].ip)
    with pytest.raises(FieldError, match=f"ipAssignments: {taken} belongs to"):
        joined.set_member(2, ipAssignments=[taken])


def test_timestamps_go_on_when_the_clock_is_set_back(joined: Rig) -> None:
    before = joined.last_config().timestamp
    joined.pass_time(-3600.0)
    joined.now = joined.now._replace(mono=2000.0)
    joined.ask(1)
    assert joined.last_config().timestamp > before


def test_timestamps_go_on_after_a_restart_with_a_clock_that_is_behind(joined: Rig) -> None:
    before = joined.last_config().timestamp
    again = Rig(joined.store, START._replace(unix_ms=START.unix_ms - 3_600_000))
    again.ask(1)
    assert again.last_config().timestamp > before


def test_what_the_database_does_not_take_is_not_believed(
    joined: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("full")

    monkeypatch.setattr(ControllerStore, "put_member", refuse)
    with pytest.raises(OSError, match="full"):
        joined.set_member(1, name="new")
    assert joined.service.members[NETWORK][member(1).address].name == ""


# -- copies ---------------------------------------------------------------------------------------


@pytest.fixture
def copy(joined: Rig, tmp_path: Path) -> Path:
    """A copy of the records when both members were in."""
    copy = ControllerStore(tmp_path / "copy")
    for network in joined.store.networks():
        copy.put_network(network)
    for record in joined.store.members():
        copy.put_member(record)
    copy.close()
    return tmp_path / "copy"


def test_a_restored_network_is_pushed_to_its_members(joined: Rig, copy: Path) -> None:
    joined.service.update_network(NETWORK, {"mtu": 1400})
    joined.service.restore(copy)
    assert [sent.config.mtu for sent in joined.core.configs[-2:]] == [2800, 2800]


def test_who_is_not_in_the_copy_is_cut_off(joined: Rig, copy: Path) -> None:
    joined.set_member(3, authorized=True)
    joined.service.restore(copy)
    targets = [revocation.target for _, revocation in joined.core.revocations]
    assert targets == [member(3).address]


def test_who_is_in_the_copy_gets_in_again(joined: Rig, copy: Path) -> None:
    joined.set_member(1, authorized=False)
    joined.service.restore(copy)
    assert joined.core.configs[-2].member == member(1).address


def test_a_network_that_is_not_in_the_copy_is_gone(joined: Rig, copy: Path) -> None:
    other = NetworkId(NETWORK + 1)
    joined.service.create_network(other, {})
    joined.service.restore(copy)
    assert list(joined.service.networks) == [NETWORK]


def test_an_address_of_the_copy_is_given_to_nobody_else(joined: Rig, copy: Path) -> None:
    joined.service.restore(copy)
    taken = str(joined.core.configs[0].config.addresses[0].ip)
    with pytest.raises(FieldError, match="belongs to"):
        joined.set_member(3, ipAssignments=[taken])


def test_certificates_after_a_restore_are_newer_than_those_before(joined: Rig, copy: Path) -> None:
    before = joined.last_config().timestamp
    joined.service.restore(copy)
    assert joined.last_config().timestamp > before


# -- what others left in the records --------------------------------------------------------------


def test_an_address_that_two_have_stays_with_one(joined: Rig) -> None:
    first = MemberRecord(NETWORK, Address(1), 5, ip_assignments=(ip_address("10.147.3.3"),))
    joined.store.put_member(first)
    joined.store.put_member(replace(first, address=Address(2)))
    members = Rig(joined.store).service.members[NETWORK]
    holders = [a for a in (1, 2) if members[Address(a)].ip_assignments]
    assert holders == [1]


@pytest.mark.parametrize("address", [0, 0xFF00000001])
def test_there_is_no_member_with_an_address_that_no_node_has(rig: Rig, address: int) -> None:
    with pytest.raises(FieldError, match="not one that a node may have"):
        rig.service.update_member(NETWORK, Address(address), {})


def test_serving_a_member_for_the_first_time_raises_its_revision(joined: Rig) -> None:
    assert joined.service.members[NETWORK][member(1).address].revision == 2


def test_a_member_that_asks_again_keeps_its_revision(joined: Rig) -> None:
    joined.pass_time(60.0)
    joined.ask(1)
    assert joined.service.members[NETWORK][member(1).address].revision == 2


# -- a new start ----------------------------------------------------------------------------------


def start_anew(rig: Rig, seconds: float) -> Rig:
    """Return a controller that goes on with the same records, some time after the other's end."""
    rows = (rig.store.networks(), rig.store.members())
    again = ControllerStore(":memory:")
    rig.pass_time(70.0)
    rig.ask(1)  # by now it is written who asked
    seen = rig.store.seen_since(0)
    for network in rows[0]:
        again.put_network(network)
    for record in rows[1]:
        again.put_member(record)
    again.put_seen(seen)
    return Rig(again, START._replace(unix_ms=rig.now.unix_ms + int(seconds * 1000)))


def test_who_was_online_before_a_start_is_told_of_a_change_at_once(joined: Rig) -> None:
    again = start_anew(joined, 10.0)
    again.service.update_network(NETWORK, {"mtu": 1400})
    told = {sent.member for sent in again.core.configs}
    assert told == {member(1).address, member(2).address}


def test_who_was_online_before_a_start_is_told_that_somebody_is_out(joined: Rig) -> None:
    again = start_anew(joined, 10.0)
    again.set_member(2, authorized=False)
    ((told, revocation),) = again.core.revocations
    assert (set(told), revocation.target) == (
        {member(1).address, member(2).address},
        member(2).address,
    )


def test_who_was_online_long_before_a_start_is_not_looked_for(joined: Rig) -> None:
    again = start_anew(joined, 301.0)
    again.service.update_network(NETWORK, {"mtu": 1400})
    assert again.core.configs == []


def test_who_was_online_before_a_start_may_ask_at_once(joined: Rig) -> None:
    again = start_anew(joined, 10.0)
    again.ask(1)
    assert [sent.member for sent in again.core.configs] == [member(1).address]


def test_a_member_without_a_readable_identity_is_not_looked_for(joined: Rig) -> None:
    record = joined.service.members[NETWORK][member(1).address]
    joined.store.put_member(replace(record, identity="x"))
    again = start_anew(joined, 10.0)
    again.service.update_network(NETWORK, {"mtu": 1400})
    assert {sent.member for sent in again.core.configs} == {member(2).address}


def test_a_controller_goes_on_where_it_cannot_be_kept_who_asked(
    joined: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ConfigError("full")

    monkeypatch.setattr(ControllerStore, "put_seen", refuse)
    joined.pass_time(60.0)
    joined.ask(1)
    assert len(joined.core.configs) == 3
