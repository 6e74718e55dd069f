"""The rule tables of the interoperability tests."""

from tests.interop.rulebook import Enforcer, drop_tcp_port, port_capability


def test_a_rule_is_for_the_sender_or_for_the_receiver_by_the_direction_of_the_frame() -> None:
    sender, receiver = (drop_tcp_port(22, enforcer)[2] for enforcer in Enforcer)
    assert sender == {**receiver, "not": True}


def test_the_capability_is_given_to_nobody_by_default() -> None:
    assert port_capability(7, 8080)["default"] is False
