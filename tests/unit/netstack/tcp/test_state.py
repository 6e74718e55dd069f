from ztlink.netstack.tcp.state import TRANSITIONS, Input, State


def reached(start: State) -> set[State]:
    found = {start}
    while True:
        more = {after for (before, _), after in TRANSITIONS.items() if before in found} | found
        if more == found:
            return found
        found = more


def test_every_state_can_be_reached() -> None:
    assert reached(State.CLOSED) == set(State)


def test_every_state_leads_to_closed() -> None:
    assert all(State.CLOSED in reached(state) for state in State)


def test_a_reset_ends_every_state() -> None:
    ended = {before for before, cause in TRANSITIONS if cause is Input.END}
    assert ended == set(State) - {State.CLOSED}


def test_only_finishing_leads_out_of_established() -> None:
    ways = {cause for before, cause in TRANSITIONS if before is State.ESTABLISHED}
    assert ways == {Input.FINISH, Input.FIN, Input.END}
