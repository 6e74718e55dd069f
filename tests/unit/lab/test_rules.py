"""The firewall scripts of the laboratory."""

from tests.lab.rules import Nat, router_script, switch_script


def test_a_symmetric_router_picks_a_random_port_for_each_destination() -> None:
    assert "masquerade random,fully-random" in router_script(Nat.SYMMETRIC)


def test_a_cone_router_keeps_the_port() -> None:
    assert "random" not in router_script(Nat.CONE)


def test_a_blocked_pair_is_blocked_both_ways_for_both_families() -> None:
    script = switch_script([("a", "b")], {})
    assert script.count("udp drop") == 4
    assert 'iifname "a" oifname "b" ip6 nexthdr udp drop' in script
    assert 'iifname "b" oifname "a" ip protocol udp drop' in script


def test_loss_is_counted_for_what_a_port_sends_and_receives() -> None:
    script = switch_script([], {"a": 10})
    assert 'iifname "a" numgen random mod 100 < 10 drop' in script
    assert 'oifname "a" numgen random mod 100 < 10 drop' in script


def test_a_script_replaces_the_one_before() -> None:
    assert "delete table bridge lab" in switch_script([], {})
