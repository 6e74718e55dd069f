"""bootstrap and retire: what is run in a pod of a cluster."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.unit.cli.rig import run
from ztlink import cli_cluster, cluster_files
from ztlink.kube.retire import AgentPod, Outcome


def test_bootstrap_runs_in_a_pod_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    file = tmp_path / "bootstrap.yaml"
    keys = ("namespace", "secretName", "worldConfigMapName", "networkConfigMapName")
    content = {**dict.fromkeys(keys, "x"), "endpoints": ["192.0.2.5/9993"]}
    file.write_text(json.dumps(content))
    said = run("bootstrap", "--config", str(file))
    assert (said.exit_code, "runs in a cluster's pod" in said.output) == (78, True)


def test_all_mistakes_in_its_file_are_told(tmp_path: Path) -> None:
    file = tmp_path / "bootstrap.yaml"
    file.write_text("endpoints: [x]\nnamespace: UPPER\n")
    said = run("bootstrap", "--config", str(file))
    assert said.exit_code == 78
    assert {"namespace", "secretName", "endpoints[0]"} <= {
        line.split(":")[0].strip() for line in said.output.splitlines()
    }


def retire(tmp_path: Path) -> Result:
    labels = {"app.kubernetes.io/component": "agent"}
    names = {"namespace": "zerotier", "configMapName": "x", "daemonSetName": "x"}
    content = {**names, "labels": labels, "http": {"port": 9994}, "image": "localhost/link:dev"}
    file = tmp_path / "retire.yaml"
    file.write_text(json.dumps(content))
    return run("retire", "--config", str(file))


def test_retire_runs_in_a_pod_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    said = retire(tmp_path)
    assert (said.exit_code, "runs in a cluster's pod" in said.output) == (78, True)


@pytest.fixture
def comes_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Outcome], Result]:
    """Run it where the cluster's part of it has come out somehow; that part has its own tests."""
    (tmp_path / "token").touch()
    monkeypatch.setattr(cluster_files, "cluster_access", lambda: None)

    def run_with(outcome: Outcome) -> Result:
        async def retired(*_: object) -> Outcome:
            return outcome

        monkeypatch.setattr(cli_cluster, "_retire", retired)
        return retire(tmp_path)

    return run_with


def test_retire_tells_who_follows(comes_out: Callable[[Outcome], Result]) -> None:
    said = comes_out(Outcome((AgentPod("node-1", "mesh-a"), AgentPod("node-2", "mesh-b"))))
    assert (said.exit_code, said.stderr) == (0, "")
    assert said.stdout == "agents that take everything away when they end: node-1, node-2\n"


def test_a_node_that_is_away_does_not_fail_the_removal_of_a_release(
    comes_out: Callable[[Outcome], Result],
) -> None:
    said = comes_out(Outcome((AgentPod("node-1", "mesh-a", "no answer in time"),)))
    assert (said.exit_code, "node-1 (mesh-a): no answer in time" in said.stderr) == (0, True)


def test_the_command_that_helps_a_node_is_told_in_full(
    comes_out: Callable[[Outcome], Result],
) -> None:
    said = comes_out(Outcome((), missing=2))
    assert "have no pod: 2\n" in said.stderr
    assert said.stderr.endswith(
        "  kubectl -n zerotier debug node/NODE --profile=sysadmin --image=localhost/link:dev"
        " -- ztlink cleanup\n"
    )
