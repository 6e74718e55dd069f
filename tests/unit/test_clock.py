from ztlink.clock import Now


def test_the_two_clocks_are_told_apart_by_name() -> None:
    now = Now(mono=1.5, unix_ms=1_700_000_000_000)
    assert (now.mono, now.unix_ms) == (1.5, 1_700_000_000_000)


def test_a_step_of_the_wall_clock_leaves_the_monotonic_one_alone() -> None:
    before = Now(mono=1.5, unix_ms=1_700_000_000_000)
    assert before._replace(unix_ms=0).mono == before.mono
