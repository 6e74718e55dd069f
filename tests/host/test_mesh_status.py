"""mesh-status, through a `kubectl` in PATH that answers from files."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.rig import run
from tests.unit.test_mesh import ONE, TWO, network, peer, status
from ztlink.cli_mesh import mesh_status
from ztlink.kubectl import Kubectl, KubectlError


class FakeKubectl:
    """A `kubectl` in PATH that answers from files; what it does not have is an error."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        program = directory / "kubectl"
        program.write_text(
            "#!/bin/sh\n"
            f"cd {directory} || exit 1\n"
            'echo "$*" >> log\n'
            'while [ "$1" != get ] && [ "$1" != exec ]; do shift; done\n'
            'if [ "$1" = get ]; then name=pods; else name="$2.$5"; fi\n'
            'cat "$name" 2>/dev/null && exit\n'
            "echo 'Error from server: container not found' >&2; exit 1\n"
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        self._pods: list[dict[str, Any]] = []
        self._write("pods", {"items": []})

    def pod(self, number: int, phase: str = "Running", **state: object) -> None:
        self._pods.append(
            {
                "metadata": {"name": f"mesh-{number}"},
                "spec": {"nodeName": f"worker-{number}"},
                "status": {"phase": phase, **state},
            }
        )
        self._write("pods", {"items": self._pods})

    def answers(self, number: int, *peers: dict[str, Any]) -> None:
        name = f"mesh-{number}"
        self._write(f"{name}.status", status(f"{number:010x}"))
        self._write(f"{name}.networks", [network()])
        self._write(f"{name}.peers", list(peers))

    def log(self) -> list[str]:
        return (self._directory / "log").read_text().splitlines()

    def _write(self, name: str, content: object) -> None:
        (self._directory / name).write_text(json.dumps(content))


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKubectl:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return FakeKubectl(tmp_path)


@pytest.fixture
def mesh(kubectl: FakeKubectl) -> FakeKubectl:
    """Two nodes that see each other."""
    for number, other in ((2, ONE), (1, TWO)):
        kubectl.pod(number)
        kubectl.answers(number, peer(other))
    return kubectl


def test_a_mesh_that_is_well_is_a_table_and_exit_status_0(mesh: FakeKubectl) -> None:
    said = run("mesh-status")
    assert said.exit_code == 0
    assert said.output.splitlines()[4:] == [
        "<sees>    worker-1  worker-2",
        "worker-1  -         3 ms",
        "worker-2  3 ms      -",
        "",
        "all 2 nodes are well",
    ]


def test_every_node_is_told_with_its_addresses(mesh: FakeKubectl) -> None:
    line = run("mesh-status").output.splitlines()[1].split()
    assert line == ["worker-1", "mesh-1", ONE, "yes", "112972485d000001=OK", "10.1.2.3/24"]


def test_the_pods_of_one_release_are_asked(mesh: FakeKubectl) -> None:
    run("mesh-status", "--namespace", "net", "--release", "blue", "--context", "prod")
    selector = (
        "app.kubernetes.io/name=zerotier-k8s-link,app.kubernetes.io/instance=blue,"
        "app.kubernetes.io/component=agent"
    )
    head = f"--context prod --namespace net get pods --selector {selector} --output json"
    assert mesh.log()[0] == head
    assert "--context prod --namespace net exec mesh-1 -- ztlink peers --json" in mesh.log()


def test_a_pod_that_does_not_answer_is_a_finding_and_exit_status_1(mesh: FakeKubectl) -> None:
    mesh.pod(3)
    said = run("mesh-status")
    assert said.exit_code == 1
    assert "mesh-3 is Running and does not answer: kubectl exec: Error from server" in said.output


def test_a_pod_that_waits_for_its_image_is_told_with_the_reason(kubectl: FakeKubectl) -> None:
    waiting = {"waiting": {"reason": "ErrImageNeverPull", "message": "not present"}}
    kubectl.pod(1, "Pending", containerStatuses=[{"state": waiting}])
    assert "ErrImageNeverPull not present" in run("mesh-status").output


def test_a_pod_that_cannot_be_placed_is_told_with_the_reason(kubectl: FakeKubectl) -> None:
    condition = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}
    kubectl.pod(1, "Pending", conditions=[condition])
    assert "0/3 nodes are available" in run("mesh-status").output


def test_nodes_that_have_not_met_are_told_to_be_no_fault(kubectl: FakeKubectl) -> None:
    for number in (1, 2):
        kubectl.pod(number)
        kubectl.answers(number)
    said = run("mesh-status")
    assert said.exit_code == 0
    assert "2 not seen yet: nodes meet at the first packet between them" in said.output


def test_a_program_gets_json(mesh: FakeKubectl) -> None:
    nodes = json.loads(run("mesh-status", "--json").output)["nodes"]
    assert [node["machine"] for node in nodes] == ["worker-1", "worker-2"]


def test_without_kubectl_it_is_said_that_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    said = run("mesh-status")
    assert (said.exit_code, "kubectl is not in PATH" in said.output) == (1, True)


def test_what_kubectl_refuses_is_said_in_its_words(kubectl: FakeKubectl, tmp_path: Path) -> None:
    (tmp_path / "pods").unlink()
    said = run("mesh-status")
    assert (said.exit_code, "Error from server" in said.output) == (1, True)


def test_a_kubectl_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    program = tmp_path / "kubectl"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    with pytest.raises(KubectlError, match=r"kubectl get: no answer in 0\.1 s"):
        Kubectl("mesh", program=str(program), timeout=0.1).run("get", "pods")


def test_its_help_names_what_it_asks_for(kubectl: FakeKubectl) -> None:
    options = {parameter.name for parameter in mesh_status.params}
    assert {"namespace", "release", "context", "as_json"} <= options
