"""What a bench borrows from the machine, and gives back: control groups, sysctls, mount points.

A kubelet takes the control group that it sees as root for its own and deletes pods in there that it
does not know, so that every node gets one, and a namespace that makes it look like the root.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from ci.cluster.errors import ClusterError

CGROUPS: Final = Path("/sys/fs/cgroup")
SYSCTLS: Final = Path("/proc/sys")
# Every kubelet sets these, and they belong to the whole machine.
KUBELET_SYSCTLS: Final = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
CONTROLLERS: Final = "cgroup.controllers"  # a file of version 2 alone
NEEDED: Final = ("cpu", "memory", "pids")
"""Of a kubelet."""
LEAF: Final = "init"
PROCESSES: Final = "cgroup.procs"
CPUSET: Final = ("cpuset.cpus", "cpuset.mems")
PATIENCE: Final = 10.0


def read_sysctls(root: Path = SYSCTLS) -> dict[str, str]:
    """Return the values of those sysctls that the kubelet may change."""
    return {
        name: (root / name).read_text().strip()
        for name in KUBELET_SYSCTLS
        if (root / name).exists()
    }


def restore_sysctls(values: Mapping[str, str], root: Path = SYSCTLS) -> None:
    """Write back what differs."""
    for name, value in values.items():
        if (root / name).read_text().strip() != value:
            (root / name).write_text(value)


def is_unified(root: Path = CGROUPS) -> bool:
    """Say whether control groups are of version 2 throughout."""
    return (root / CONTROLLERS).exists()


def hierarchies(root: Path = CGROUPS) -> list[Path]:
    """Return the top of every hierarchy that a node takes part in; version 2 has one."""
    if is_unified(root):
        return [root]
    if not root.is_dir():
        return []
    tops = [path for path in sorted(root.iterdir()) if path.is_dir() and not path.is_symlink()]
    return [top for top in tops if (top / PROCESSES).exists() and not (top / CONTROLLERS).exists()]


def make_groups(name: str, root: Path = CGROUPS) -> list[Path]:
    """Make the group `name`, such as `bench/node`, in every hierarchy; return where."""
    return [_make_group(top, Path(name)) for top in hierarchies(root)]


def make_leaves(groups: Sequence[Path]) -> list[Path]:
    """Make a group below each of version 2, for processes; return where.

    There, a group that hands controllers on has no process of its own, and a node's root is such.
    """
    leaves = [group / LEAF for group in groups if (group / CONTROLLERS).exists()]
    for leaf in leaves:
        leaf.mkdir(exist_ok=True)
        have = (leaf.parent / CONTROLLERS).read_text().split()
        if missing := [name for name in NEEDED if name not in have]:
            raise ClusterError(
                f"{leaf.parent} has no {', '.join(missing)}: the groups above do not hand them on."
                " In a container, no process may be in its topmost group"
            )
    return leaves


def _make_group(top: Path, name: Path) -> Path:
    above = top
    for part in name.parts:
        group = above / part
        group.mkdir(exist_ok=True)
        if (above / CONTROLLERS).exists():
            _delegate(above)
        elif (above / CPUSET[0]).exists():
            for file in CPUSET:  # a new group has no processors, and nothing may enter it
                (group / file).write_text((above / file).read_text())
        above = group
    return above


def _delegate(group: Path) -> None:
    for controller in (group / CONTROLLERS).read_text().split():
        with suppress(OSError):  # one that cannot be had below is one that nobody gets
            (group / "cgroup.subtree_control").write_text(f"+{controller}")


def remove_groups(name: str, root: Path = CGROUPS) -> list[Path]:
    """Remove the group `name` with all below; return what is still in use after some patience."""
    deadline = time.monotonic() + PATIENCE
    while True:
        groups = [top / name for top in hierarchies(root)]
        for group in groups:
            _remove_tree(group)
        left = [group for group in groups if group.exists()]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.1)


def _remove_tree(group: Path) -> None:
    for child in _directories(group):
        _remove_tree(child)
    with suppress(OSError):  # its last process is about to end
        group.rmdir()


def _directories(path: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from [child for child in path.iterdir() if child.is_dir()]


def make_mount_points(wanted: Sequence[str]) -> list[str]:
    """Make the directories that a node mounts its own over; return those that were not there."""
    made = []
    for directory in wanted:
        missing = [
            path for path in (Path(directory), *Path(directory).parents) if not path.exists()
        ]
        for path in reversed(missing):
            path.mkdir()
            made.append(str(path))
    return made


def remove_mount_points(made: Sequence[str]) -> list[str]:
    """Remove directories, the last made first; return those that are not empty, or in use."""
    left = []
    for directory in reversed(made):
        try:
            Path(directory).rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            left.append(directory)
    return left
