"""What a bench borrows from the machine, and gives back (ci/cluster/machine)."""

from pathlib import Path

import pytest

from ci.cluster.errors import ClusterError
from ci.cluster.machine import (
    hierarchies,
    is_unified,
    make_groups,
    make_leaves,
    make_mount_points,
    read_sysctls,
    remove_groups,
    remove_mount_points,
    restore_sysctls,
)


@pytest.fixture
def sysctls(tmp_path: Path) -> Path:
    (tmp_path / "vm").mkdir()
    (tmp_path / "kernel").mkdir()
    (tmp_path / "vm" / "overcommit_memory").write_text("0\n")
    (tmp_path / "kernel" / "panic").write_text("1\n")
    return tmp_path


@pytest.fixture
def version_1(tmp_path: Path) -> Path:
    """Make control groups of version 1, with version 2 beside them, as a hybrid machine has."""
    for name in ("cpu", "cpuset", "unified"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.procs").touch()
    (tmp_path / "unified" / "cgroup.controllers").touch()
    (tmp_path / "cpuacct").symlink_to("cpu")
    (tmp_path / "cpuset" / "cpuset.cpus").write_text("0-1\n")
    (tmp_path / "cpuset" / "cpuset.mems").write_text("0\n")
    return tmp_path


@pytest.fixture
def version_2(tmp_path: Path) -> Path:
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    (tmp_path / "cgroup.procs").touch()
    return tmp_path


def test_sysctls_are_put_back_where_they_differ(sysctls: Path) -> None:
    before = read_sysctls(sysctls)
    (sysctls / "kernel" / "panic").write_text("10\n")
    restore_sysctls(before, sysctls)
    assert read_sysctls(sysctls) == {"vm/overcommit_memory": "0", "kernel/panic": "1"}


def test_a_sysctl_that_is_as_it_was_is_not_written(sysctls: Path) -> None:
    restore_sysctls(read_sysctls(sysctls), sysctls)
    assert (sysctls / "kernel" / "panic").read_text() == "1\n"


def test_a_hybrid_machine_has_its_groups_in_version_1(version_1: Path) -> None:
    assert not is_unified(version_1)
    assert [top.name for top in hierarchies(version_1)] == ["cpu", "cpuset"]


def test_version_2_has_one_hierarchy(version_2: Path) -> None:
    assert is_unified(version_2)
    assert hierarchies(version_2) == [version_2]


def test_a_machine_without_control_groups_has_no_hierarchy(tmp_path: Path) -> None:
    assert hierarchies(tmp_path / "nowhere") == []


def test_a_node_has_a_group_in_every_hierarchy(version_1: Path) -> None:
    made = make_groups("bench/node-1", version_1)
    assert made == [version_1 / "cpu/bench/node-1", version_1 / "cpuset/bench/node-1"]
    assert all(group.is_dir() for group in made)


def test_a_group_of_processors_gets_those_of_the_one_above(version_1: Path) -> None:
    make_groups("bench/node-1", version_1)
    group = version_1 / "cpuset" / "bench" / "node-1"
    assert (group / "cpuset.cpus").read_text() == "0-1\n"
    assert (group / "cpuset.mems").read_text() == "0\n"


def test_a_group_is_made_again_without_a_complaint(version_1: Path) -> None:
    assert make_groups("bench/node-1", version_1) == make_groups("bench/node-1", version_1)


@pytest.fixture
def nodes_group(version_2: Path) -> Path:
    """Make what the kernel makes with a node's group: its files."""
    for group in (version_2 / "bench", version_2 / "bench" / "node-1"):
        group.mkdir()
        (group / "cgroup.controllers").write_text("cpu memory pids\n")
    return version_2 / "bench" / "node-1"


def test_controllers_are_handed_on_from_the_top_to_the_node(
    version_2: Path, nodes_group: Path
) -> None:
    assert make_groups("bench/node-1", version_2) == [nodes_group]
    for group in (version_2, version_2 / "bench"):
        assert (group / "cgroup.subtree_control").read_text().startswith("+")
    assert not (nodes_group / "cgroup.subtree_control").exists()


def test_a_nodes_processes_are_not_in_the_group_that_hands_controllers_on(
    nodes_group: Path,
) -> None:
    assert make_leaves([nodes_group]) == [nodes_group / "init"]
    assert (nodes_group / "init").is_dir()


def test_in_version_1_they_are_in_the_group_itself(version_1: Path) -> None:
    assert make_leaves(make_groups("bench/node-1", version_1)) == []


def test_controllers_that_nobody_hands_on_are_named(nodes_group: Path) -> None:
    (nodes_group / "cgroup.controllers").write_text("cpu\n")
    with pytest.raises(ClusterError, match="has no memory, pids: the groups above do not hand"):
        make_leaves([nodes_group])


def test_groups_go_with_all_below(version_1: Path) -> None:
    (version_1 / "cpu" / "bench" / "node-1" / "kubepods").mkdir(parents=True)
    assert remove_groups("bench", version_1) == []
    assert not (version_1 / "cpu" / "bench").exists()


def test_mount_points_that_were_there_stay(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    made = make_mount_points([str(tmp_path / "there"), str(tmp_path / "new" / "deep")])
    assert made == [str(tmp_path / "new"), str(tmp_path / "new" / "deep")]
    assert remove_mount_points(made) == []
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_a_directory_that_others_use_by_now_is_left_and_named(tmp_path: Path) -> None:
    made = make_mount_points([str(tmp_path / "new")])
    (tmp_path / "new" / "file").touch()
    assert remove_mount_points(made) == [str(tmp_path / "new")]
