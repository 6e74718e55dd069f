"""bootstrap, authorize: what is typed in the pods of a cluster."""

import json
from pathlib import Path

import pytest

from tests.unit.cli.rig import Node, run
from tests.unit.controller.rig import NETWORK, Rig, member
from ztlink.ids import format_address, format_network_id

ID = format_network_id(NETWORK)
FIRST, SECOND = (format_address(member(number).address) for number in (1, 2))


# -- authorize -------------------------------------------------------------------------------------


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
    assert said.output == f"200 {FIRST} authorized\n200 {SECOND} authorized\n"
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


# -- bootstrap -------------------------------------------------------------------------------------


def test_bootstrap_runs_in_a_pod_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    file = tmp_path / "bootstrap.yaml"
    keys = ("namespace", "secretName", "worldConfigMapName", "networkConfigMapName")
    content = {**dict.fromkeys(keys, "x"), "endpoints": ["192.0.2.5/9993"]}
    file.write_text(json.dumps(content))
    said = run("bootstrap", "--config", str(file))
    assert (said.exit_code, "runs in a pod" in said.output) == (78, True)


def test_all_mistakes_in_its_file_are_told(tmp_path: Path) -> None:
    file = tmp_path / "bootstrap.yaml"
    file.write_text("endpoints: [x]\nnamespace: UPPER\n")
    said = run("bootstrap", "--config", str(file))
    assert said.exit_code == 78
    assert {"namespace", "secretName", "endpoints[0]"} <= {
        line.split(":")[0].strip() for line in said.output.splitlines()
    }
