"""Reading what tools print."""

import math

import pytest

from tests.lab.errors import LabError
from tests.lab.measure import parse_ended_pings, parse_pings

SUMMARY = """
--- 10.77.0.3 ping statistics ---
200 packets transmitted, 198 received, 1% packet loss, time 1990ms
rtt min/avg/max/mdev = 0.105/0.203/0.985/0.040 ms, pipe 2
"""
ENDED = """
PING 10.9.0.1 (10.9.0.1) 56(84) bytes of data.
64 bytes from 10.9.0.1: icmp_seq=1 ttl=64 time=0.612 ms
64 bytes from 10.9.0.1: icmp_seq=3 ttl=64 time=0.480 ms
64 bytes from 10.9.0.1: icmp_seq=4 ttl=64 time=0.455 ms

--- 10.9.0.1 ping statistics ---
6 packets transmitted, 3 received, 50% packet loss, time 30ms
rtt min/avg/max/mdev = 0.455/0.515/0.612/0.069 ms
"""
NO_ANSWER = """
--- 10.77.0.3 ping statistics ---
3 packets transmitted, 0 received, +3 errors, 100% packet loss, time 2051ms
"""


def test_lost_pings_are_those_without_an_answer() -> None:
    assert parse_pings(SUMMARY).lost == 2


def test_pings_that_were_under_way_when_they_were_ended_are_not_lost() -> None:
    pings = parse_ended_pings(ENDED)
    assert (pings.sent, pings.received, pings.lost) == (4, 3, 1)


def test_pings_that_were_ended_before_any_answer_are_an_error() -> None:
    with pytest.raises(LabError, match="no answer"):
        parse_ended_pings(NO_ANSWER)


def test_times_are_read_in_milliseconds() -> None:
    pings = parse_pings(SUMMARY)
    assert (pings.shortest, pings.average, pings.longest) == (0.105, 0.203, 0.985)


def test_without_an_answer_there_are_no_times() -> None:
    pings = parse_pings(NO_ANSWER)
    assert pings.lost == 3
    assert math.isnan(pings.average)


def test_no_summary_is_an_error() -> None:
    with pytest.raises(LabError, match="no summary"):
        parse_pings("ping: nowhere: Name or service not known")
