"""set, orbit, deorbit, moons."""

import json

import pytest

from tests.unit.api.test_peers import ADDRESS, MOON_ID, RECORDED, moon
from tests.unit.cli.rig import Node
from ztlink.cli_network import SETTINGS
from ztlink.ids import parse_address

ID = "8056c2e21c000001"
DEFAULTS = "allowManaged=1\nallowGlobal=0\nallowDefault=0\nallowDNS=0\n"


@pytest.fixture
def joined(node: Node) -> Node:
    node.run("join", ID)
    return node


def test_what_a_network_may_do_is_shown(joined: Node) -> None:
    assert joined.run("set", ID).output == DEFAULTS


def test_a_setting_is_changed(joined: Node) -> None:
    changed = DEFAULTS.replace("allowDefault=0", "allowDefault=1")
    assert joined.run("set", ID, "allowDefault=1").output == changed
    assert joined.run("set", ID).output == changed


def test_several_settings_are_changed_in_either_case(joined: Node) -> None:
    result = joined.run("set", ID, "allowmanaged=false", "ALLOWDNS=on", "--json")
    assert json.loads(result.output) == dict(
        zip(SETTINGS, (False, False, False, True), strict=True)
    )


@pytest.mark.parametrize("text", ["allowDefault", "allowNothing=1", "allowDefault=2", "=1"])
def test_what_is_no_setting_is_wrong_usage_and_changes_nothing(joined: Node, text: str) -> None:
    result = joined.run("set", ID, "allowDNS=1", text)
    assert (result.exit_code, repr(text) in result.output) == (2, True)
    assert joined.run("set", ID).output == DEFAULTS


def test_a_network_that_is_not_joined_is_not_joined_by_setting(node: Node) -> None:
    result = node.run("set", ID, "allowDNS=1")
    assert (result.exit_code, f"{ID} is not joined" in result.output) == (1, True)
    assert node.core.networks == {}


def test_a_moon_is_asked_of_its_first_root(node: Node) -> None:
    result = node.run("orbit", ADDRESS)
    assert result.output == "200 orbit OK: waiting for the seed\n"
    assert node.core.wanted_moons == {MOON_ID: parse_address(ADDRESS)}


def test_a_moon_is_asked_of_a_seed(node: Node) -> None:
    node.run("orbit", ADDRESS, "0123456789")
    assert node.core.wanted_moons == {MOON_ID: parse_address("0123456789")}


def test_a_moon_that_is_here_is_not_waited_for(node: Node) -> None:
    node.core.moons_here = [moon()]
    assert node.run("orbit", ADDRESS).output == "200 orbit OK\n"
    assert json.loads(node.run("orbit", ADDRESS, "--json").output) == RECORDED


@pytest.mark.parametrize("arguments", [("orbit", "zz"), ("orbit", ADDRESS, "zz"), ("deorbit", "z")])
def test_what_is_no_address_is_wrong_usage(node: Node, arguments: tuple[str, ...]) -> None:
    assert node.run(*arguments).exit_code == 2


def test_a_moon_is_left(node: Node) -> None:
    node.core.moons_here = [moon()]
    assert node.run("deorbit", ADDRESS).output == "200 deorbit OK\n"
    assert node.core.moons_here == []


def test_leaving_a_moon_for_programs_is_the_apis(node: Node) -> None:
    assert json.loads(node.run("deorbit", ADDRESS, "--json").output) == {"result": True}


def test_moons_are_a_table_of_their_roots(node: Node) -> None:
    node.core.moons_here = [moon()]
    assert node.run("moons").output.splitlines()[1].split() == [
        RECORDED["id"],
        ADDRESS,
        RECORDED["roots"][0]["stableEndpoints"][0],
    ]


def test_moons_for_programs_are_the_apis(node: Node) -> None:
    node.core.moons_here = [moon()]
    assert json.loads(node.run("moons", "--json").output) == [RECORDED]
