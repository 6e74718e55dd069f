"""How the steps of the test on a cluster are taken, and who is told what is missing (ci/e2e)."""

from pathlib import Path

import pytest

from ci import e2e, e2e_steps
from ci.cluster.errors import ClusterError
from ci.cluster.kind import KindCluster
from ci.cluster.kubernetes import default_directory
from ci.e2e import Run, find_missing
from ci.e2e_bench import IMAGE, Bench, pages


def fail() -> str:
    raise ClusterError("no answer")


def test_a_step_that_returns_has_passed(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run()
    assert run.take("ping", lambda: "all pairs")
    assert run.is_passed
    assert "ok      ping: all pairs" in capsys.readouterr().out


def test_a_step_that_raises_has_failed(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run()
    assert not run.take("ping", fail)
    assert not run.is_passed
    assert "FAILED  ping: no answer" in capsys.readouterr().out


def test_a_mistake_of_our_own_is_not_taken_for_a_verdict() -> None:
    with pytest.raises(ZeroDivisionError):
        Run().take("ping", lambda: str(1 // 0))


def test_the_verdict_names_the_steps_that_failed() -> None:
    run = Run()
    run.take("pods", lambda: "")
    run.take("ping", fail)
    assert run.verdict().endswith(": ping")
    assert run.verdict().startswith("e2e: FAILED after")


def test_the_verdict_counts_the_steps_that_passed() -> None:
    run = Run()
    run.take("pods", lambda: "")
    assert run.verdict().startswith("e2e: ok, 1 steps in")


def test_what_is_missing_is_said_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = find_missing("namespaces", tmp_path / "image.tar", {"helm": tmp_path / "helm"})
    assert "the command containerd (package containerd)" in missing
    assert f"the image, {tmp_path}/image.tar (make image)" in missing
    assert f"helm, {tmp_path}/helm (make tools)" in missing


def test_kind_brings_its_own_containerd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = find_missing("kind", tmp_path / "image.tar", {"kind": tmp_path / "kind"})
    assert "the command nsenter (package util-linux)" in missing
    assert f"kind, {tmp_path}/kind (make tools)" in missing
    assert not [line for line in missing if "containerd" in line]


def test_kind_takes_the_users_kubectl_before_that_of_the_bench(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = default_directory({"XDG_CACHE_HOME": str(tmp_path)}) / "kubectl"
    built.parent.mkdir(parents=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(ClusterError, match="kubectl is not in PATH"):
        e2e.find_kubectl()
    built.touch()
    assert e2e.find_kubectl() == str(built)
    users = tmp_path / "bin" / "kubectl"
    users.parent.mkdir()
    users.touch(mode=0o755)
    assert e2e.find_kubectl() == str(users)


def test_a_cluster_that_is_kept_keeps_its_release() -> None:
    removals = [name for name, _, is_removal in e2e_steps.STEPS if is_removal]
    assert removals == ["node left out", "helm uninstall"]
    assert e2e_steps.STEPS[-1][0] == "helm uninstall"


def test_another_directory_is_not_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["e2e.py", "--end", str(tmp_path)])
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    assert e2e.main() == 1
    assert "is not the directory of a bench" in capsys.readouterr().out
    assert tmp_path.exists()


def test_no_node_is_both_without_power_and_the_controllers(tmp_path: Path) -> None:
    bench = Bench(KindCluster(tmp_path, "kind", "kubectl"), "helm")
    assert bench.wish.controller_node == bench.cluster.nodes[0]
    assert len({bench.wish.controller_node, bench.victim, bench.unplugged}) == 3


def test_pages_are_served_by_the_image_under_test() -> None:
    [container] = pages()["spec"]["template"]["spec"]["containers"]
    assert container["image"] == IMAGE
    assert container["imagePullPolicy"] == "IfNotPresent"
