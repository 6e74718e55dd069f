"""The MTUs of ways."""

from ipaddress import ip_address

import pytest

from tests.unit.netstack.ether import PEER_4, PEER_6, START
from ztlink.netstack.pmtu import LIFETIME, MAX_PATHS, PathMtus

PEER = ip_address(PEER_4)


@pytest.fixture
def mtus() -> PathMtus:
    return PathMtus(2800)


def test_a_way_carries_what_the_link_carries_until_somebody_says_less(mtus: PathMtus) -> None:
    assert mtus.get(PEER) == 2800
    assert mtus.lower(PEER, 1400, START)
    assert mtus.get(PEER) == 1400


def test_other_ways_are_not_concerned(mtus: PathMtus) -> None:
    mtus.lower(PEER, 1400, START)
    assert mtus.get(ip_address(PEER_6)) == 2800


@pytest.mark.parametrize("mtu", [1400, 1401, 9000])
def test_what_lowers_nothing_is_not_taken(mtus: PathMtus, mtu: int) -> None:
    mtus.lower(PEER, 1400, START)
    assert not mtus.lower(PEER, mtu, START)
    assert mtus.get(PEER) == 1400


def test_a_link_that_carries_less_now_counts(mtus: PathMtus) -> None:
    mtus.lower(PEER, 1400, START)
    mtus.link_mtu = 1300
    assert mtus.get(PEER) == 1300


def test_a_report_is_forgotten_in_time(mtus: PathMtus) -> None:
    mtus.lower(PEER, 1400, START)
    assert mtus.get_timer() == START.mono + LIFETIME
    mtus.handle_timer(START._replace(mono=START.mono + LIFETIME))
    assert (mtus.get(PEER), mtus.get_timer()) == (2800, None)


def test_ways_are_bounded_and_the_oldest_gives_way(mtus: PathMtus) -> None:
    for number in range(MAX_PATHS + 1):
        mtus.lower(PEER + number, 1400, START)
    assert (mtus.get(PEER), mtus.get(PEER + 1)) == (2800, 1400)
