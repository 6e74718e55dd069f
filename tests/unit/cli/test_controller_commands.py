"""network and member: a controller steered from the command line."""

import json
from pathlib import Path

import pytest

from tests.unit.cli.rig import Node
from tests.unit.controller.rig import NETWORK, Rig, member
from ztlink.ids import NetworkId, format_address, format_network_id

ID = format_network_id(NETWORK)
ADDRESS = format_address(member(1).address)
OTHER = format_address(member(2).address)
OTHER_ID = f"{ID[:10]}0000ff"


@pytest.fixture
def rig(controller: Node) -> Rig:
    assert controller.rig is not None
    controller.rig.create(name="lab")
    return controller.rig


# -- networks ------------------------------------------------------------------------------------


def test_a_new_network_is_private_and_its_id_is_printed(controller: Node, rig: Rig) -> None:
    made = controller.run("network", "create", "--name", "new").output.strip()
    record = rig.service.networks[NetworkId(int(made, 16))]
    assert (record.name, record.private) == ("new", True)


def test_a_range_gives_route_pool_and_assignment(controller: Node, rig: Rig) -> None:
    made = controller.run("network", "create", "--range", "10.9.0.0/24", "--json")
    shown = json.loads(made.output)
    assert (shown["routes"], shown["ipAssignmentPools"], shown["v4AssignMode"]) == (
        [{"target": "10.9.0.0/24", "via": None}],
        [{"ipRangeStart": "10.9.0.1", "ipRangeEnd": "10.9.0.254"}],
        {"zt": True},
    )


def test_options_set_their_fields(controller: Node, rig: Rig) -> None:
    made = controller.run("network", "create", "--public", "--rfc4193", "--sixplane", "--json")
    shown = json.loads(made.output)
    assert (shown["private"], shown["v6AssignMode"]) == (
        False,
        {"zt": False, "rfc4193": True, "6plane": True},
    )


def test_further_fields_come_as_json(controller: Node, rig: Rig) -> None:
    made = controller.run("network", "create", "--config", '{"mtu": 1400}', "--json")
    assert json.loads(made.output)["mtu"] == 1400


@pytest.mark.parametrize(
    "option",
    [
        ["--range", "10.9.0.1/24"],
        ["--range", "10.9.0.0/30"],
        ["--range", "fd00::/64"],
        ["--range", "x"],
        ["--config", "x"],
        ["--config", "[]"],
        ["--config", "@/nonexistent"],
    ],
)
def test_an_option_that_makes_no_sense_is_wrong_usage(
    controller: Node, rig: Rig, option: list[str]
) -> None:
    assert controller.run("network", "create", *option).exit_code == 2


def test_networks_are_listed_with_their_members(controller: Node, rig: Rig) -> None:
    rig.set_member(1, authorized=True)
    rig.set_member(2)
    row = controller.run("network", "list").output.splitlines()[1].split()
    assert row == [ID, "lab", "PRIVATE", "2", "1"]


def test_a_network_is_shown_as_json(controller: Node, rig: Rig) -> None:
    assert json.loads(controller.run("network", "show", ID).output)["nwid"] == ID


def test_a_network_is_changed_by_a_file(controller: Node, rig: Rig, tmp_path: Path) -> None:
    file = tmp_path / "fields.json"
    file.write_text('{"mtu": 1400}')
    controller.run("network", "set", ID, f"@{file}")
    assert rig.service.networks[NETWORK].mtu == 1400


def test_a_field_that_is_refused_is_1_with_the_controllers_reason(
    controller: Node, rig: Rig
) -> None:
    result = controller.run("network", "set", ID, '{"private": "x"}')
    assert (result.exit_code, result.stderr) == (
        1,
        "ztlink: private: 'x' is not true or false\n",
    )


def test_a_network_is_deleted(controller: Node, rig: Rig) -> None:
    controller.run("network", "delete", ID)
    assert rig.service.networks == {}


def test_a_network_that_is_not_there_is_1_and_named(controller: Node, rig: Rig) -> None:
    result = controller.run("network", "show", f"{ID[:10]}0000ff")
    assert (result.exit_code, f"no network {ID[:10]}0000ff" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["network", "delete", OTHER_ID], f"no network {OTHER_ID} here: 'ztlink network list'"),
        (["member", "list", OTHER_ID], f"no network {OTHER_ID} here: 'ztlink network list'"),
        (["member", "show", ID, OTHER], f"no member {OTHER} of {ID}: 'ztlink member list {ID}'"),
        (["member", "delete", ID, OTHER], f"no member {OTHER} of {ID}: 'ztlink member list {ID}'"),
    ],
)
def test_what_is_not_there_is_named_with_the_command_that_lists_what_is(
    controller: Node, rig: Rig, arguments: list[str], complaint: str
) -> None:
    result = controller.run(*arguments)
    assert (result.exit_code, complaint in result.stderr) == (1, True)


def test_a_file_of_fields_that_cannot_be_read_is_named(controller: Node, rig: Rig) -> None:
    result = controller.run("network", "set", ID, "@/nonexistent")
    assert "cannot read /nonexistent: No such file or directory\n" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["network", "create"],
        ["network", "list"],
        ["network", "show", ID],
        ["network", "delete", ID],
        ["member", "list", ID],
        ["member", "authorize", ID, ADDRESS],
    ],
)
def test_a_node_that_is_no_controller_says_so(node: Node, arguments: list[str]) -> None:
    result = node.run(*arguments)
    assert (result.exit_code, result.stderr) == (
        1,
        "ztlink: this node is no controller: start it with --controller\n",
    )


# -- members -------------------------------------------------------------------------------------


def test_members_are_authorised_together(controller: Node, rig: Rig) -> None:
    result = controller.run("member", "authorize", ID, ADDRESS, OTHER)
    assert result.output == f"200 {ADDRESS} authorized\n200 {OTHER} authorized\n"
    assert [m.authorized for m in rig.service.members[NETWORK].values()] == [True, True]


def test_a_member_is_deauthorised(controller: Node, rig: Rig) -> None:
    rig.set_member(1, authorized=True)
    result = controller.run("member", "deauthorize", ID, ADDRESS)
    assert result.output == f"200 {ADDRESS} not authorized\n"
    assert not rig.service.members[NETWORK][member(1).address].authorized


def test_members_are_listed(controller: Node, rig: Rig) -> None:
    rig.set_member(1, authorized=True, name="a", ipAssignments=["10.147.0.9"])
    row = controller.run("member", "list", ID).output.splitlines()[1].split()
    assert row == [ADDRESS, "a", "yes", "-", "10.147.0.9"]


def test_a_members_name_cannot_steer_a_terminal(controller: Node, rig: Rig) -> None:
    rig.set_member(1, name="a\x1b[2J\r\x9b")
    row = controller.run("member", "list", ID).output.splitlines()[1].split()
    assert row[1] == r"a\x1b[2J\r\x9b"


def test_members_for_programs_are_the_apis(controller: Node, rig: Rig) -> None:
    rig.set_member(1)
    listed = json.loads(controller.run("member", "list", ID, "--json").output)
    assert [m["address"] for m in listed] == [ADDRESS]


def test_fields_of_a_member_are_set(controller: Node, rig: Rig) -> None:
    controller.run("member", "set", ID, ADDRESS, '{"tags": [[1, 2]]}')
    assert rig.service.members[NETWORK][member(1).address].tags == ((1, 2),)


def test_a_member_is_shown_as_json(controller: Node, rig: Rig) -> None:
    rig.set_member(1)
    shown = json.loads(controller.run("member", "show", ID, ADDRESS).output)
    assert (shown["address"], shown["nwid"]) == (ADDRESS, ID)


def test_a_member_is_deleted(controller: Node, rig: Rig) -> None:
    rig.set_member(1)
    controller.run("member", "delete", ID, ADDRESS)
    assert rig.service.members[NETWORK] == {}


@pytest.mark.parametrize("command", ["authorize", "deauthorize", "delete"])
def test_what_is_no_address_is_wrong_usage(controller: Node, rig: Rig, command: str) -> None:
    result = controller.run("member", command, ID, "xyz")
    assert (result.exit_code, "is not 10 hex digits" in result.stderr) == (2, True)
