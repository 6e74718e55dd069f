"""`ztlink authorize` at the controller here; elsewhere is in tests/hosted."""

import pytest

from tests.unit.cli.rig import Node
from tests.unit.controller.rig import NETWORK, Rig, member
from ztlink.ids import format_address, format_network_id

ID = format_network_id(NETWORK)
FIRST, SECOND = (format_address(member(number).address) for number in (1, 2))


@pytest.fixture
def rig(controller: Node) -> Rig:
    assert controller.rig is not None
    controller.rig.create(name="lab")
    return controller.rig


def authorized(rig: Rig) -> set[str]:
    members = rig.service.members[NETWORK].values()
    return {format_address(one.address) for one in members if one.authorized}


def test_nodes_that_are_named_are_let_in(controller: Node, rig: Rig) -> None:
    said = controller.run("authorize", ID, FIRST, SECOND)
    assert said.output.splitlines()[1:] == [
        f"{FIRST}  authorized, has not asked yet",
        f"{SECOND}  authorized, has not asked yet",
    ]
    assert authorized(rig) == {FIRST, SECOND}


def test_all_that_wait_are_let_in(controller: Node, rig: Rig) -> None:
    rig.ask(1)
    rig.ask(2)
    controller.run("authorize", ID, "--all-waiting")
    assert authorized(rig) == {FIRST, SECOND}


def test_who_was_shut_out_does_not_wait(controller: Node, rig: Rig) -> None:
    rig.set_member(1, authorized=True)
    rig.set_member(1, authorized=False)
    assert controller.run("authorize", ID, "--all-waiting").output == "nobody waits\n"
    assert authorized(rig) == set()


def test_who_was_shut_out_is_let_in_by_name(controller: Node, rig: Rig) -> None:
    rig.set_member(1, authorized=True)
    rig.set_member(1, authorized=False)
    controller.run("authorize", ID, FIRST)
    assert authorized(rig) == {FIRST}


def test_authorising_nobody_is_wrong_usage(controller: Node, rig: Rig) -> None:
    said = controller.run("authorize", ID)
    assert said.exit_code == 2
    assert "--all-waiting" in said.output


def test_an_address_that_is_none_is_wrong_usage(controller: Node, rig: Rig) -> None:
    assert controller.run("authorize", ID, "worker-1").exit_code == 2


def test_who_is_in_is_told_as_such(controller: Node, rig: Rig) -> None:
    rig.set_member(1, authorized=True)
    assert f"{FIRST}  was authorized already\n" in controller.run("authorize", ID, FIRST).output


def test_a_dry_run_lets_nobody_in(controller: Node, rig: Rig) -> None:
    rig.ask(1)
    said = controller.run("authorize", ID, "--all-waiting", "--dry-run")
    assert f"{FIRST}  would be authorized\n" in said.output
    assert authorized(rig) == set()


def test_a_network_that_is_not_there_is_named(controller: Node, rig: Rig) -> None:
    said = controller.run("authorize", "8056c2e21c000001", FIRST)
    assert "there is no network 8056c2e21c000001 here" in said.output
    assert said.exit_code == 1
