"""The rules of a configuration, compiled: what of ourselves they know, and in what order."""

from dataclasses import replace

import pytest

from tests.unit.vl2.rig import OWN, make_config, make_tag
from ztlink.derive import rfc4193_address, sixplane_address
from ztlink.ids import BROADCAST_MAC, Mac
from ztlink.inet.flow import parse_frame
from ztlink.vl2.rule_context import FrameContext
from ztlink.vl2.rules import Acceptance, TableVerdict, decide_outbound
from ztlink.vl2.ruleset import RuleSet
from ztlink.wire.credentials import Capability
from ztlink.wire.netconf import ConfigFlag, NetworkConfig
from ztlink.wire.rules import Number, Range, Rule, RuleType

ACCEPT = Rule(RuleType.ACTION_ACCEPT)
DROP = Rule(RuleType.ACTION_DROP)
NEVER = Rule(RuleType.MATCH_ETHERTYPE, Number(0xFFFF))
SIZES = Rule(RuleType.MATCH_FRAME_SIZE_RANGE, Range(0, 100))


def rules_of(config: NetworkConfig) -> RuleSet:
    return RuleSet.of(config, OWN.address, bytes)


def capability(number: int, *rules: Rule) -> Capability:
    return Capability(make_config().network_id, 1, number, rules, 1, ())


def accepts(rules: RuleSet) -> bool:
    """Judge a frame that we send."""
    frame = memoryview(bytes(BROADCAST_MAC) + Mac(bytes(6)) + b"\x88\xb5" + b"data")
    context = FrameContext(
        frame,
        parse_frame(frame),
        rules.local,
        source=OWN.address,
        destination=OWN.address,
        is_inbound=False,
    )
    decision = decide_outbound(context, rules.base, rules.capabilities)
    return decision.acceptance is not Acceptance.DROP


def test_a_network_without_a_configuration_lets_nothing_pass() -> None:
    assert not accepts(RuleSet.none(OWN.address, bytes))


def test_a_network_without_rules_lets_nothing_pass() -> None:
    assert not accepts(rules_of(make_config(rules=())))


def test_base_rules_that_accept_let_pass() -> None:
    assert accepts(rules_of(make_config(rules=(ACCEPT,))))


def test_a_capability_of_ours_lets_pass() -> None:
    config = make_config(rules=(NEVER, ACCEPT), capabilities=(capability(1, ACCEPT),))
    assert accepts(rules_of(config))


def test_capabilities_are_tried_by_ascending_id() -> None:
    second, first = capability(2, DROP), capability(1, ACCEPT)
    rules = rules_of(make_config(rules=(), capabilities=(second, first)))
    assert [p.constant for p in rules.capabilities] == [TableVerdict.ACCEPT, TableVerdict.DROP]


def test_our_tags_are_known_by_id() -> None:
    rules = rules_of(make_config(tags=(make_tag(7), replace(make_tag(9), value=5))))
    assert rules.local.tags == {7: 1, 9: 5}


def test_looking_at_the_size_has_every_segment_judged() -> None:
    assert rules_of(make_config(rules=(SIZES, ACCEPT))).per_segment


def test_a_capability_that_looks_at_the_size_does_so_too() -> None:
    config = make_config(rules=(NEVER, ACCEPT), capabilities=(capability(1, SIZES, ACCEPT),))
    assert rules_of(config).per_segment


def test_rules_that_look_at_nothing_of_a_segment_are_judged_once() -> None:
    assert not rules_of(make_config(rules=(NEVER, DROP, ACCEPT))).per_segment


@pytest.mark.parametrize(("flags", "expected"), [(ConfigFlag(0), 0), (ConfigFlag.NDP_EMULATION, 2)])
def test_derived_addresses_are_trusted_where_ndp_is_emulated(
    flags: ConfigFlag, expected: int
) -> None:
    network_id = make_config().network_id
    schemes = (rfc4193_address, sixplane_address)
    addresses = tuple(scheme(network_id, OWN.address) for scheme in schemes)
    rules = rules_of(make_config(flags=flags, addresses=addresses))
    assert len(rules.local.prefixes) == expected


@pytest.mark.parametrize("flags", [ConfigFlag(0), ConfigFlag.UNKNOWN_RULES_MATCH])
def test_unknown_matches_count_as_the_network_says(flags: ConfigFlag) -> None:
    assert rules_of(make_config(flags=flags)).local.unknown_matches == bool(flags)
