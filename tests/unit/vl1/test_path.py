from ipaddress import ip_address
from itertools import pairwise, product

import pytest

from ztlink.clock import Now
from ztlink.ids import Endpoint, SocketId
from ztlink.vl1.path import (
    CANDIDATE_PROBE_INTERVALS,
    EXPIRY,
    HEARTBEAT,
    MAX_PROBES,
    PATIENCE,
    PROBE_INTERVAL,
    TRANSITIONS,
    UNKNOWN_LATENCY,
    Path,
    PathInput,
    PathState,
)

START = 1000.0


def at(seconds: float) -> Now:
    """Return the moment `seconds` after the start."""
    return Now(START + seconds, 1_700_000_000_000 + int(seconds * 1000))


def make_path() -> Path:
    return Path(SocketId(1), Endpoint(ip_address("10.0.0.1"), 9993), 1432, 0, at(0))


def make_confirmed() -> Path:
    path = make_path()
    path.replied(0.01, at(0))
    return path


def run_until(path: Path, seconds: float) -> list[float]:
    """Call the timer whenever it is due; return when probes were sent."""
    probes = []
    while path.state is not PathState.DEAD and path.deadline() <= START + seconds:
        moment = max(path.deadline(), START)
        if path.handle_timer(Now(moment, 0)):
            probes.append(round(moment - START, 3))
    return probes


def test_a_new_path_is_a_candidate() -> None:
    assert make_path().state is PathState.CANDIDATE


def test_an_answer_confirms_a_candidate() -> None:
    path = make_path()
    assert path.replied(0.02, at(0.02))
    assert path.is_confirmed


def test_a_packet_alone_does_not_confirm_a_candidate() -> None:
    path = make_path()
    path.received(at(1))
    assert path.state is PathState.CANDIDATE


def test_a_candidate_that_never_answers_dies() -> None:
    path = make_path()
    assert len(run_until(path, 60)) == len(CANDIDATE_PROBE_INTERVALS)
    assert path.state is PathState.DEAD


def test_an_idle_confirmed_path_is_probed_after_the_heartbeat() -> None:
    assert run_until(make_confirmed(), HEARTBEAT)[0] == HEARTBEAT


def use(path: Path, seconds: float) -> None:
    """Have frames go out at a time, and something come back at once."""
    path.last_use = START + seconds
    path.sent(at(seconds))
    path.received(at(seconds))


def answer_probes(path: Path, seconds: float) -> list[float]:
    """Call the timer whenever it is due, answer each probe; return when they were sent."""
    probes = []
    while path.deadline() <= START + seconds:
        moment = Now(path.deadline(), 0)
        if path.handle_timer(moment):
            probes.append(round(moment.mono - START, 3))
            path.replied(0.01, moment)
    return probes


def test_just_after_traffic_a_path_is_probed_at_growing_intervals() -> None:
    path = make_confirmed()
    use(path, 10)
    assert answer_probes(path, 60) == [13, 16, 22, 34, 48]


def test_a_doubted_path_is_probed_at_once() -> None:
    path = make_confirmed()
    path.suspect(at(5))
    assert path.deadline() == at(5).mono


def test_a_doubted_path_that_does_not_answer_is_stale_within_a_second() -> None:
    path = make_confirmed()
    path.suspect(at(5))
    run_until(path, 6)
    assert path.state is PathState.STALE


def test_packets_that_go_on_to_arrive_do_not_end_a_doubt() -> None:
    path = make_confirmed()
    path.suspect(at(5))
    for tenth in range(50, 60):
        path.received(at(tenth / 10))
        run_until(path, tenth / 10)
    assert path.state is PathState.STALE


def test_a_probe_of_the_peer_is_a_doubt_where_we_wait_in_vain() -> None:
    path = make_confirmed()
    path.sent(at(5))
    assert path.asked(at(5.4))
    assert path.is_doubted


def test_a_probe_of_the_peer_is_no_doubt_where_an_answer_may_be_on_its_way() -> None:
    path = make_confirmed()
    path.sent(at(5))
    assert not path.asked(at(5.2))


def test_a_probe_of_the_peer_is_no_doubt_where_nothing_was_sent() -> None:
    assert not make_confirmed().asked(at(5))


def test_an_answer_ends_a_doubt() -> None:
    path = make_confirmed()
    path.suspect(at(5))
    run_until(path, 5.1)
    path.replied(0.01, at(5.1))
    assert run_until(path, 10) == []


def test_doubts_do_not_delay_one_another() -> None:
    path = make_confirmed()
    for tenth in range(50, 60):
        path.suspect(at(tenth / 10))
        run_until(path, tenth / 10)
    assert path.state is PathState.STALE


def test_a_stale_path_that_is_doubted_is_probed_at_once_and_often_again() -> None:
    path = make_confirmed()
    path.sent(at(0))
    run_until(path, 20)
    path.suspect(at(20))
    assert run_until(path, 24)[:3] == [20, 21, 23]


def test_what_is_sent_over_a_stale_path_does_not_delay_its_probes() -> None:
    path = make_confirmed()
    path.sent(at(0))
    run_until(path, 2)
    due = path.deadline()
    path.sent(at(2.1))
    assert path.deadline() == due


def test_traffic_that_is_answered_sends_no_probe() -> None:
    path = make_confirmed()
    for tenth in range(100):
        path.sent(at(tenth / 10))
        path.received(at(tenth / 10 + 0.05))
    assert run_until(path, 10) == []


def test_silence_while_sending_makes_a_path_stale_within_three_seconds() -> None:
    path = make_confirmed()
    path.sent(at(0))
    run_until(path, 3)
    assert path.state is PathState.STALE


def test_silence_is_believed_only_after_all_probes() -> None:
    path = make_confirmed()
    path.sent(at(0))
    assert run_until(path, 1.5) == [0.75, 0.95, 1.15, 1.35]
    assert path.probes == MAX_PROBES


def test_a_stale_path_is_won_back_by_an_answer() -> None:
    path = make_confirmed()
    path.sent(at(0))
    run_until(path, 3)
    assert path.replied(0.01, at(4))
    assert path.is_confirmed


def test_a_stale_path_is_probed_at_least_every_fifteen_seconds() -> None:
    path = make_confirmed()
    path.sent(at(0))
    run_until(path, 3)
    probes = run_until(path, 200)
    assert max(b - a for a, b in pairwise(probes)) <= 15


def test_a_stale_path_is_forgotten_after_its_expiry() -> None:
    path = make_confirmed()
    path.sent(at(0))
    run_until(path, EXPIRY + 30)
    assert path.state is PathState.DEAD


def test_a_suspect_ranks_behind_a_slower_path() -> None:
    suspect, slow = make_confirmed(), make_confirmed()
    slow.latency = 300.0
    suspect.suspect(at(1))
    suspect.handle_timer(at(1))
    assert slow.score() < suspect.score()


def test_latency_is_averaged() -> None:
    path = make_path()
    path.replied(0.010, at(0))
    path.replied(0.020, at(1))
    assert path.latency == pytest.approx(15.0)


@pytest.mark.parametrize(("state", "what"), list(product(PathState, PathInput)))
def test_only_the_transitions_of_the_table_happen(state: PathState, what: PathInput) -> None:
    path = make_path()
    path.state = state
    moved = path._advance(what)  # noqa: SLF001 - the table itself is what is tested
    assert path.state is TRANSITIONS.get((state, what), state)
    assert moved is ((state, what) in TRANSITIONS)


def test_a_second_doubt_does_not_make_the_silence_shorter() -> None:
    path = make_confirmed()
    path.sent(at(0))
    path.suspect(at(0.5))
    assert path.awaiting_since == START
    assert path.deadline() == START + 0.5


# -- answers without a round trip ------------------------------------------------------------


def make_untimed() -> Path:
    """Return a path that was confirmed by an answer to something whose time is not known."""
    path = make_path()
    path.replied(None, at(0))
    return path


def test_an_answer_without_a_round_trip_confirms_and_says_nothing_of_latency() -> None:
    path = make_untimed()
    assert (path.is_confirmed, path.latency) == (True, UNKNOWN_LATENCY)


def test_an_answer_without_a_round_trip_leaves_the_latency_that_is_known() -> None:
    path = make_confirmed()
    path.replied(None, at(1))
    assert path.latency == pytest.approx(10.0)


def test_a_path_of_unknown_latency_is_doubted_after_the_least_patience() -> None:
    path = make_untimed()
    path.sent(at(0))
    first, second = run_until(path, 2.0)[:2]
    assert (first, second) == (PATIENCE, PATIENCE + PROBE_INTERVAL)
