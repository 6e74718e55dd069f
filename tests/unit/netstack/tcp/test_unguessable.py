from collections.abc import Callable
from random import Random

from ztlink.netstack.tcp.unguessable import (
    FIRST_PORT,
    STAMP_MASK,
    Secrets,
    read_stamp,
    stamp_options,
)

FLOW, OTHER = b"flow" * 3, b"wolf" * 3


def chance(seed: int) -> Callable[[int], bytes]:
    return Random(seed).randbytes  # noqa: S311 - replayed


def test_initial_numbers_differ_by_flow_and_key() -> None:
    first, second = Secrets(chance(1)), Secrets(chance(2))
    numbers = {s.initial_sequence(f, 5.0) for s in (first, second) for f in (FLOW, OTHER)}
    assert len(numbers) == 4


def test_initial_numbers_move_every_four_microseconds() -> None:
    secrets = Secrets(chance(1))
    assert secrets.initial_sequence(FLOW, 5.000004) - secrets.initial_sequence(FLOW, 5.0) == 1


def test_a_flow_has_one_clock_of_timestamps() -> None:
    first, second = Secrets(chance(1)), Secrets(chance(2))
    assert first.timestamp_offset(FLOW) == first.timestamp_offset(FLOW)
    assert len({s.timestamp_offset(f) for s in (first, second) for f in (FLOW, OTHER)}) == 4


def test_every_ephemeral_port_is_a_candidate_once() -> None:
    secrets = Secrets(chance(1))
    ports = {secrets.port(candidate) for candidate in secrets.port_candidates()}
    assert ports == set(range(FIRST_PORT, 65_536))


def test_a_cookie_tells_the_segment_size_rounded_down() -> None:
    secrets = Secrets(chance(1))
    cookie = secrets.cookie(FLOW, 7, 1459, 100.0)
    assert secrets.read_cookie(FLOW, 7, cookie, 100.0) == 1440


def test_a_cookie_holds_for_a_period_more() -> None:
    secrets = Secrets(chance(1))
    cookie = secrets.cookie(FLOW, 7, 1460, 64.0)
    assert secrets.read_cookie(FLOW, 7, cookie, 191.9) == 1460
    assert secrets.read_cookie(FLOW, 7, cookie, 192.0) is None


def test_a_cookie_is_of_one_flow_number_and_key() -> None:
    secrets = Secrets(chance(1))
    cookie = secrets.cookie(FLOW, 7, 1460, 100.0)
    assert secrets.read_cookie(OTHER, 7, cookie, 100.0) is None
    assert secrets.read_cookie(FLOW, 8, cookie, 100.0) is None
    assert Secrets(chance(2)).read_cookie(FLOW, 7, cookie, 100.0) is None


def test_no_other_number_is_a_cookie() -> None:
    secrets = Secrets(chance(1))
    cookie = secrets.cookie(FLOW, 7, 1460, 100.0)
    assert all(secrets.read_cookie(FLOW, 7, cookie ^ 1 << bit, 100.0) is None for bit in range(32))


def test_a_stamp_keeps_what_a_syn_offered() -> None:
    for has_sack in (False, True):
        for shift in (None, 0, 7, 14):
            stamp = stamp_options(123_456, has_sack=has_sack, shift=shift)
            assert read_stamp(stamp) == (has_sack, shift)
            assert abs(stamp - 123_456) <= STAMP_MASK
