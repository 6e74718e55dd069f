"""Ends a bench, also one whose script was killed: what it borrowed and made is noted in a file."""

import json
import os
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from ci.cluster import loan, machine
from ci.cluster.docker import remove_cluster
from ci.cluster.errors import ClusterError
from ci.cluster.processes import processes_of

NOTE: Final = "bench.json"
PATIENCE: Final = 15.0
AT_ONCE: Final = 16
"""Files that are removed side by side."""


@dataclass(slots=True)
class Note:
    """What is to be given back, and removed."""

    name: str
    """Of the bench, and of the control group with all of it below."""
    namespaces: list[str] = field(default_factory=list)
    kind: list[str] = field(default_factory=list)
    """Of a cluster of kind: its program, the cluster's name, the kubeconfig."""
    owns_kind_network: bool = False
    """Kind's network was not there before."""

    def save(self, directory: Path) -> None:
        """Write it so that a reader finds all of it, or the one before."""
        file = directory / f"{NOTE}.new"
        file.write_text(json.dumps(asdict(self), indent=1))
        file.rename(directory / NOTE)


def load(directory: Path) -> Note:
    """Read the note of a bench; ClusterError where the directory is not one of ours."""
    try:
        note = Note(**json.loads((directory / NOTE).read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise ClusterError(f"{directory} is not the directory of a bench: {error}") from error
    return note


def kill_all(directory: Path) -> list[int]:
    """Kill the processes of a bench; return those that do not end.

    With the PID 1 of a node go its pods, and with its mount namespace its mounts.
    """
    deadline = time.monotonic() + PATIENCE
    while left := processes_of(directory):
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return left


def remove(directory: Path, note: Note) -> list[str]:
    """End all of a bench; return, as sentences, what could not be removed."""
    left = [f"process {pid} does not end" for pid in kill_all(directory)]
    for namespace in note.namespaces:
        if Path("/run/netns", namespace).exists():
            done = subprocess.run(["ip", "netns", "delete", namespace], capture_output=True)
            left += [f"network namespace {namespace}"] if done.returncode else []
    if note.kind:
        left += remove_cluster(*note.kind, network=note.owns_kind_network)
    left += [f"control group {group}" for group in machine.remove_groups(note.name)]
    left += [f"directory {path}" for path in loan.give_back(note.name)]
    left += [f"mount {mount}" for mount in mounts_below(directory)]
    if not left:
        remove_tree(directory)
    return left


def remove_tree(directory: Path) -> None:
    """Remove a directory, its files side by side: nodes have unpacked ten thousands of them.

    A disk that is mounted with `discard` waits for its device at each, a minute for all of them
    one after the other where others use it, too.
    """
    files = [Path(folder, name) for folder, _, names in os.walk(directory) for name in names]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(_unlink, files))
    shutil.rmtree(directory, ignore_errors=True)


def _unlink(file: Path) -> None:
    with suppress(OSError):
        file.unlink()


def mounts_below(directory: Path, table: Path = Path("/proc/self/mounts")) -> list[str]:
    """Return the mount points of this machine below a directory."""
    points = [line.split()[1] for line in table.read_text().splitlines()]
    return [point for point in points if point.startswith(f"{directory}/")]


def remove_noted(directory: Path) -> None:
    """Remove a bench whose script was killed."""
    remove(directory, load(directory))
