"""What of a machine's state may undo the rules; tests/host has the real ones."""

from pathlib import Path

from ztlink.conditions import Status
from ztlink.host.firewall.conflicts import is_foreign, of_chains, of_cilium, of_kernel, of_legacy
from ztlink.host.firewall.wanted import FirewallSettings, Forwarding

CHAIN = {"family": "ip", "table": "filter", "name": "FORWARD", "hook": "forward", "policy": "drop"}
THROUGH = FirewallSettings(from_overlay=Forwarding.ALLOW)


def test_a_chain_of_ours_is_not_foreign() -> None:
    assert not is_foreign(CHAIN | {"family": "inet", "table": "ztlink"}, "ztlink")


def test_a_table_of_our_name_in_another_family_is_foreign() -> None:
    assert is_foreign(CHAIN | {"table": "ztlink"}, "ztlink")


def test_a_bridge_s_chain_does_not_count() -> None:
    assert not is_foreign(CHAIN | {"family": "bridge"}, "ztlink")


def test_the_rules_of_a_chain_that_drops_anyway_are_not_asked_for() -> None:
    (condition,) = of_chains([CHAIN], lambda chain: [][0], ["zt0"])
    assert condition.subject == "ip filter FORWARD"


def test_matches_of_other_packages_are_passed_over() -> None:
    rule = {"expr": [{"xt": None}, {"drop": None}]}
    assert not list(of_chains([CHAIN | {"policy": "accept"}], lambda chain: [rule], ["zt0"]))


def test_a_set_that_is_named_elsewhere_is_passed_over() -> None:
    match = {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": {"set": "a*"}}
    rule = {"expr": [{"match": match}, {"drop": None}]}
    assert not list(of_chains([CHAIN | {"policy": "accept"}], lambda chain: [rule], ["zt0"]))


def test_no_cilium_is_no_conflict(tmp_path: Path) -> None:
    assert not list(of_cilium(lambda name: False, tmp_path))


def test_cilium_that_says_that_it_routes_in_ebpf_is_a_fault(tmp_path: Path) -> None:
    config = tmp_path / "var/run/cilium/state/globals/node_config.h"
    config.parent.mkdir(parents=True)
    config.write_text("#define ENABLE_IPV4 1\n#define ENABLE_HOST_ROUTING 1\n")
    (condition,) = of_cilium(lambda name: True, tmp_path)
    assert condition.status is Status.FAULT


def test_a_kernel_without_iptables_is_no_conflict(tmp_path: Path) -> None:
    assert not list(of_legacy([tmp_path / "ip_tables_names"]))


def test_iptables_without_a_table_are_no_conflict(tmp_path: Path) -> None:
    (tmp_path / "ip_tables_names").touch()
    assert not list(of_legacy([tmp_path / "ip_tables_names"]))


def test_settings_that_the_kernel_does_not_show_are_no_conflict(tmp_path: Path) -> None:
    assert not list(of_kernel(THROUGH, tmp_path, has_ipv6=True))
