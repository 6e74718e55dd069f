"""What tests/lab/pinger.py makes of pings and answers."""

from tests.lab.pinger import ANSWER_TIME, ROW, PingLog, Sent, echo_request
from tests.sim.packets import checksum


def make_log(*answers: bool) -> PingLog:
    """Return a log of one ping a second."""
    return PingLog([Sent(float(second), answer) for second, answer in enumerate(answers)])


def test_traffic_resumes_with_the_first_of_a_row_of_answers() -> None:
    log = make_log(True, False, True, False, *[True] * ROW)
    assert log.resumed(0.0) == 4.0


def test_a_short_row_of_answers_is_no_traffic() -> None:
    assert make_log(*[True] * (ROW - 1), False).resumed(0.0) is None


def test_answers_from_before_do_not_count() -> None:
    assert make_log(*[True] * ROW).resumed(1.0) is None


def test_a_ping_is_lost_once_its_time_is_over() -> None:
    log = make_log(True, False, False)
    assert log.lost(0.0, 1.5 + ANSWER_TIME) == [1.0]


def test_an_answer_belongs_to_the_last_ping_of_its_number() -> None:
    log = make_log(*[False] * 0x1_0002)
    log.answered(1, 65_537.5)
    assert [ping.time for ping in log.sent if ping.is_answered] == [65_537.0]


def test_an_answer_that_comes_too_late_does_not_count() -> None:
    log = make_log(False, False)
    log.answered(0, 0.1 + ANSWER_TIME)
    assert not log.sent[0].is_answered


def test_an_echo_request_has_a_good_checksum() -> None:
    assert checksum(echo_request(0xFFFE, 0xFFFD)) == 0
