"""Something is done in the background as long as a context lasts (tests/lab/background)."""

from tests.lab.background import Background


class Counter(Background):
    """Counts what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0
        self.closed_after = -1

    def step(self) -> None:
        self.steps += 1

    def close(self) -> None:
        self.closed_after = self.steps


def test_it_is_done_again_and_again_and_no_more_once_the_context_has_ended() -> None:
    with Counter() as counter:
        while counter.steps < 3:
            pass
    assert counter.closed_after == counter.steps >= 3
