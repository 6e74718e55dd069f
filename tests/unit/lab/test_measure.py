"""Reading what tools print."""

import math

import pytest

from tests.lab.errors import LabError
from tests.lab.measure import parse_pings

SUMMARY = """
--- 10.77.0.3 ping statistics ---
200 packets transmitted, 198 received, 1% packet loss, time 1990ms
rtt min/avg/max/mdev = 0.105/0.203/0.985/0.040 ms, pipe 2
"""
NO_ANSWER = """
--- 10.77.0.3 ping statistics ---
3 packets transmitted, 0 received, +3 errors, 100% packet loss, time 2051ms
"""


def test_lost_pings_are_those_without_an_answer() -> None:
    assert parse_pings(SUMMARY).lost == 2


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
