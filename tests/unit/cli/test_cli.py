"""The command line as a whole: what there is, how it looks, how it ends."""

from types import ModuleType

import click
import pytest

from tests.unit.cli.rig import run
from ztlink import (
    cli_authorize,
    cli_cluster,
    cli_controller,
    cli_identity,
    cli_mesh,
    cli_network,
    cli_node,
    cli_run,
    cli_world,
)
from ztlink.cli import main
from ztlink.cli_options import address_argument, network_id_argument, show, table

MODULES = [
    cli_authorize,
    cli_cluster,
    cli_controller,
    cli_identity,
    cli_mesh,
    cli_network,
    cli_node,
    cli_run,
    cli_world,
]


NAMES = main.list_commands(click.Context(main))


def command_of(name: str) -> click.Command | None:
    return main.get_command(click.Context(main), name)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_command_of_a_module_can_be_given(module: ModuleType) -> None:
    names = [command.name for command in module.COMMANDS]
    assert [command_of(name) for name in names] == list(module.COMMANDS)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_command_of_a_module_is_listed(module: ModuleType) -> None:
    assert {command.name for command in module.COMMANDS} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_says_what_it_is_for(name: str) -> None:
    result = run(name, "--help")
    command = command_of(name)
    assert (result.exit_code, command is not None and command.help is not None) == (0, True)


def test_what_is_no_command_is_wrong_usage() -> None:
    result = run("jion")
    assert (result.exit_code, "No such command 'jion'" in result.stderr) == (2, True)


def test_the_version_is_told() -> None:
    assert run("--version").output.startswith("ztlink, version ")


def test_columns_of_a_table_stand_below_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    table(("<a>", "<long head>", "<c>"), [("long cell", "b", ""), ("x", "y", "z")])
    assert capsys.readouterr().out.splitlines() == [
        "<a>        <long head>  <c>",
        "long cell  b",
        "x          y            z",
    ]


def test_json_for_programs_is_in_a_fixed_order(capsys: pytest.CaptureFixture[str]) -> None:
    show({"b": 1, "a": [2]})
    assert capsys.readouterr().out == '{\n "a": [\n  2\n ],\n "b": 1\n}\n'


def test_identifiers_are_taken_in_either_case() -> None:
    assert (network_id_argument("8056C2E21C00000F"), address_argument("8056C2E21C")) == (
        "8056c2e21c00000f",
        "8056c2e21c",
    )


@pytest.mark.parametrize("text", ["", "8056c2e21c", "8056c2e21c00000g", " 8056c2e21c000001"])
def test_what_is_no_network_id_is_a_bad_argument(text: str) -> None:
    with pytest.raises(click.BadParameter, match="16 hex digits"):
        network_id_argument(text)


@pytest.mark.parametrize("text", ["", "8056c2e21", "8056c2e21g", "8056c2e21c000001"])
def test_what_is_no_address_is_a_bad_argument(text: str) -> None:
    with pytest.raises(click.BadParameter, match="10 hex digits"):
        address_argument(text)
