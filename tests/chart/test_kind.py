"""A cluster of kind (ci/cluster/kind): the real kind, with docker a stand-in.

So names, roles, options and the order of things are kind's own; no node runs.
"""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ci.cluster import docker, loan
from ci.cluster.errors import ClusterError
from ci.cluster.kind import KindCluster
from ci.cluster.network import run
from ci.cluster.remains import load, remove
from tests.chart import docker_stand_in
from tests.chart.conftest import Toolbox

pytestmark = pytest.mark.chart

NAMES = ("ztbench-1-worker", "ztbench-1-control-plane", "ztbench-1-worker2")


@dataclass(frozen=True)
class Daemon:
    """What the stand-in has been told, and what it has."""

    directory: Path

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.directory / "state.json").read_text())
        return found

    def log(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.directory / "log").read_text().splitlines()]


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Daemon:
    """Put the stand-in first in PATH, and let nothing be borrowed from the machine."""
    directory = tmp_path / "docker"
    directory.mkdir()
    script = directory / "bin" / "docker"
    script.parent.mkdir()
    command = f"exec {sys.executable} -I -S {docker_stand_in.__file__} {directory}"
    script.write_text(f'#!/bin/sh\n{command} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    none = tmp_path / "sysctls"
    for name in ("borrow", "give_back"):
        real = getattr(loan, name)
        record = tmp_path / "loan.json"
        monkeypatch.setattr(loan, name, partial(real, record=record, sysctls=none))
    return Daemon(directory)


@pytest.fixture
def cluster(tmp_path: Path, daemon: Daemon, toolbox: Toolbox) -> Iterator[KindCluster]:
    """Have a cluster that has not begun; it is ended whatever happens."""
    directory = tmp_path / "ztbench-1"
    directory.mkdir()
    made = KindCluster(directory, str(toolbox.path("kind")), "kubectl")
    yield made
    assert made.end() == []


def test_kind_makes_the_nodes_that_we_count_on(daemon: Daemon, cluster: KindCluster) -> None:
    cluster.begin()
    assert cluster.nodes == NAMES
    roles = {
        name: one["labels"]["io.x-k8s.kind.role"]
        for name, one in daemon.state()["containers"].items()
    }
    assert roles == dict(zip(NAMES, ("worker", "control-plane", "worker"), strict=True))


def test_kind_writes_a_kubeconfig_of_the_clusters_own(cluster: KindCluster) -> None:
    cluster.begin()
    assert "server: https://127.0.0.1:40001" in cluster.kubeconfig.read_text()
    assert cluster.environment()["KUBECONFIG"] == str(cluster.kubeconfig)


def test_an_image_comes_to_every_node(daemon: Daemon, cluster: KindCluster, tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"
    archive.write_bytes(bytes(12345))
    cluster.begin()
    cluster.load_image(archive)
    assert {one["loaded"] for one in daemon.state()["containers"].values()} == {12345}


def test_an_archive_that_is_not_there_is_said(cluster: KindCluster) -> None:
    cluster.begin()
    with pytest.raises(ClusterError, match=r"no such file or directory\nCLUSTER=own does without"):
        cluster.load_image(Path("/nowhere/image.tar"))


def test_a_nodes_power_is_cut_and_comes_back(daemon: Daemon, cluster: KindCluster) -> None:
    cluster.begin()
    worker = cluster.nodes[2]
    assert cluster.inside(worker, "echo", "on") == "on\n"
    cluster.stop_node(worker)
    with pytest.raises(ClusterError, match=f"{worker} is not on"):
        cluster.enter_network(worker)
    with pytest.raises(ClusterError, match="container is not running"):
        cluster.inside(worker, "echo", "on")
    cluster.start_node(worker)
    [entry, network] = cluster.enter_network(worker)
    assert (entry, network.endswith("/ns/net")) == ("nsenter", True)


def test_docker_elsewhere_is_said(
    daemon: Daemon, cluster: KindCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.begin()
    monkeypatch.setattr(docker, "is_here", lambda _pid: False)
    with pytest.raises(ClusterError, match="docker's daemon is elsewhere: CLUSTER=own"):
        cluster.enter_network(cluster.nodes[0])


def test_nothing_is_left(daemon: Daemon, cluster: KindCluster) -> None:
    cluster.begin()
    assert "kind" in daemon.state()["networks"]
    assert cluster.end() == []
    state = daemon.state()
    assert (state["containers"], "kind" in state["networks"]) == ({}, False)
    assert not cluster.directory.exists()


def test_a_network_that_was_there_stays(daemon: Daemon, cluster: KindCluster) -> None:
    run("docker", "network", "create", "kind")
    cluster.begin()
    assert cluster.end() == []
    assert "kind" in daemon.state()["networks"]


def test_a_cluster_that_was_kept_is_ended_by_its_note(daemon: Daemon, cluster: KindCluster) -> None:
    cluster.begin()
    cluster.keep()
    assert remove(cluster.directory, load(cluster.directory)) == []
    assert daemon.state()["containers"] == {}


def test_what_kind_complains_of_is_said_with_another_way(
    daemon: Daemon, cluster: KindCluster
) -> None:
    run("docker", "network", "create", "kind")
    run(*f"docker run --name {NAMES[0]} --net kind --label io.x-k8s.kind.cluster=ztbench-1".split())
    with pytest.raises(ClusterError, match=r"already exist(.|\n)*CLUSTER=own does without"):
        cluster.begin()
