"""What is counted of changes to members."""

import pytest

from ztlink.controller.tally import Tally


@pytest.mark.parametrize(
    ("was", "is_now", "counted"),
    [
        (False, True, (1, 1, 0)),
        (True, False, (1, 0, 1)),
        (True, True, (1, 0, 0)),
        (False, False, (1, 0, 0)),
    ],
)
def test_a_change_counts_as_an_authorisation_where_it_is_one(
    was: bool, is_now: bool, counted: tuple[int, int, int]
) -> None:
    tally = Tally()
    tally.member_changed(was, is_now)
    assert (tally.member_changes, tally.authorizations, tally.deauthorizations) == counted
