"""The rule tables of the interoperability tests."""

from collections.abc import Callable

import pytest

from tests.interop.rulebook import (
    Enforcer,
    Rules,
    drop_tcp_port,
    new_tcp_by_capability,
    owned_addresses_only,
    port_capability,
    same_group_only,
)


@pytest.mark.parametrize("make", [same_group_only, new_tcp_by_capability, owned_addresses_only])
def test_what_no_rule_stops_is_accepted(make: Callable[[Enforcer], Rules]) -> None:
    assert make(Enforcer.BOTH)[-1] == {"type": "ACTION_ACCEPT"}


def test_a_single_enforcer_is_picked_by_the_direction_of_the_frame() -> None:
    both, sender, receiver = (drop_tcp_port(22, enforcer) for enforcer in Enforcer)
    assert len(both) + 1 == len(sender) == len(receiver)
    assert sender[2]["not"] is True
    assert "not" not in receiver[2]


def test_the_capability_is_given_to_nobody_by_default() -> None:
    assert port_capability()["default"] is False
