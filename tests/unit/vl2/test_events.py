"""What VL2 tells of a network, from joining to leaving."""

from unittest.mock import patch

import pytest

from tests.unit.vl2.rig import (
    CONTROLLER,
    MAX_DELTA,
    NETWORK,
    OWN,
    PEER,
    START,
    NotingUnderlay,
    make_config,
)
from ztlink.ids import Address, member_mac
from ztlink.vl2.events import (
    NetworkConfigured,
    NetworkJoined,
    NetworkLeft,
    NetworkStatus,
    NetworkStatusChanged,
    Vl2Event,
)
from ztlink.vl2.layer import Vl2
from ztlink.vl2.membership import Membership
from ztlink.wire.control import Error
from ztlink.wire.credentials import Com
from ztlink.wire.verbs import ErrorCode, Verb


class Told:
    """A VL2, and what it has told since it was last asked."""

    def __init__(self) -> None:
        self._events: list[Vl2Event] = []
        self.vl2 = Vl2(NotingUnderlay(), self._events.append, False, START)

    def take(self) -> list[Vl2Event]:
        taken, self._events[:] = list(self._events), []
        return taken


@pytest.fixture
def joined() -> Told:
    """A node that has joined and got its configuration."""
    told = Told()
    told.vl2.join(NETWORK, START, None)
    told.vl2.networks[NETWORK].apply(make_config(), START)
    told.take()
    return told


def statuses(events: list[Vl2Event]) -> list[NetworkStatus]:
    return [event.status for event in events if isinstance(event, NetworkStatusChanged)]


def test_the_numbers_of_a_status_are_those_of_the_original() -> None:
    assert [(s.name, s.value) for s in NetworkStatus] == [
        ("REQUESTING_CONFIGURATION", 0),
        ("OK", 1),
        ("ACCESS_DENIED", 2),
        ("NOT_FOUND", 3),
        ("PORT_ERROR", 4),
        ("CLIENT_TOO_OLD", 5),
        ("AUTHENTICATION_REQUIRED", 6),
    ]


def test_joining_tells_the_port_that_is_to_be_made_and_what_is_waited_for() -> None:
    told = Told()
    told.vl2.join(NETWORK, START, None)
    joined, status = told.take()
    assert joined == NetworkJoined(NETWORK, member_mac(OWN.address, NETWORK))
    assert isinstance(status, NetworkStatusChanged)
    assert status.status is NetworkStatus.REQUESTING_CONFIGURATION
    assert f"{CONTROLLER.address:010x}" in status.reason


def test_joining_twice_tells_nothing_more(joined: Told) -> None:
    joined.vl2.join(NETWORK, START, None)
    assert joined.take() == []


def test_a_configuration_is_told_and_then_that_all_is_well() -> None:
    told = Told()
    told.vl2.join(NETWORK, START, None)
    told.take()
    config = make_config()
    told.vl2.networks[NETWORK].apply(config, START)
    configured, status = told.take()
    assert configured == NetworkConfigured(NETWORK, config)
    assert status == NetworkStatusChanged(NETWORK, NetworkStatus.OK, "joined")


def test_the_same_configuration_again_tells_nothing(joined: Told) -> None:
    joined.vl2.networks[NETWORK].apply(make_config(), START)
    assert joined.take() == []


@pytest.mark.parametrize(
    ("code", "status", "hint"),
    [
        (ErrorCode.NETWORK_ACCESS_DENIED, NetworkStatus.ACCESS_DENIED, "authorise"),
        (ErrorCode.OBJ_NOT_FOUND, NetworkStatus.NOT_FOUND, "check the network id"),
        (
            ErrorCode.NETWORK_AUTHENTICATION_REQUIRED,
            NetworkStatus.AUTHENTICATION_REQUIRED,
            "single sign-on",
        ),
    ],
)
def test_a_refusal_is_told_with_what_would_help(
    joined: Told, code: ErrorCode, status: NetworkStatus, hint: str
) -> None:
    error = Error(Verb.NETWORK_CONFIG_REQUEST, 1, code, NETWORK.to_bytes(8, "big"))  # type: ignore[arg-type]
    joined.vl2.handle_error(CONTROLLER.public, error, START, is_answer=True)
    (event,) = joined.take()
    assert isinstance(event, NetworkStatusChanged)
    assert event.status is status
    assert hint in event.reason


def test_trouble_of_the_port_is_told_in_its_own_words_and_its_end(joined: Told) -> None:
    joined.vl2.set_port_error(NETWORK, "no TAP device: load the module tun", START)
    joined.vl2.set_port_error(NETWORK, None, START)
    assert joined.take() == [
        NetworkStatusChanged(
            NETWORK, NetworkStatus.PORT_ERROR, "no TAP device: load the module tun"
        ),
        NetworkStatusChanged(NETWORK, NetworkStatus.OK, "joined"),
    ]


def test_leaving_is_told_once(joined: Told) -> None:
    joined.vl2.leave(NETWORK, START)
    joined.vl2.leave(NETWORK, START)
    assert joined.take() == [NetworkLeft(NETWORK)]


def test_a_configuration_kept_from_last_time_serves_at_once() -> None:
    told = Told()
    told.vl2.join(NETWORK, START, make_config())
    assert statuses(told.take()) == [NetworkStatus.OK]


def test_what_is_told_of_a_network_that_was_not_joined_is_nothing() -> None:
    told = Told()
    told.vl2.leave(NETWORK, START)
    told.vl2.set_port_error(NETWORK, "no TAP device", START)
    told.vl2.set_groups(NETWORK, frozenset(), START)
    assert told.take() == []


def test_without_a_root_that_is_what_is_waited_for() -> None:
    told = Told()
    with patch.object(NotingUnderlay, "is_online", return_value=False):
        told.vl2.join(NETWORK, START, None)
    assert told.vl2.networks[NETWORK].status is NetworkStatus.REQUESTING_CONFIGURATION
    reasons = [e.reason for e in told.take() if isinstance(e, NetworkStatusChanged)]
    assert reasons == ["waiting for a root: none has answered yet"]


# -- what a network keeps --------------------------------------------------------------------


def test_records_of_members_are_bounded_and_the_longest_without_news_goes_first(
    joined: Told,
) -> None:
    network = joined.vl2.networks[NETWORK]
    with patch("ztlink.vl2.network.MAX_MEMBERSHIPS", 3):
        for number in (1, 2, 3, 1, 4):
            network.keep(Membership(NETWORK, Address(number)))
    assert sorted(network.members) == [1, 3, 4]


def test_a_member_without_news_is_forgotten_when_our_certificate_no_longer_agrees_with_its_own(
    joined: Told,
) -> None:
    network = joined.vl2.networks[NETWORK]
    for number, time in ((1, 0), (2, MAX_DELTA + 1)):
        record = Membership(NETWORK, Address(number))
        record.com = Com.issue(NETWORK, START.unix_ms + time, MAX_DELTA, PEER.public)
        network.keep(record)
    network.apply(make_config(timestamp=START.unix_ms + MAX_DELTA + 1), START)
    assert list(network.members) == [2]
