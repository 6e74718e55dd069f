"""What the kernel tells of processes."""

from contextlib import suppress
from pathlib import Path
from typing import Final

from ci.leftovers import marked

MARK: Final = "ZTLINK_BENCH"  # in the environment of all that a bench starts: its directory
PROC: Final = Path("/proc")


def processes_of(directory: Path, proc: Path = PROC) -> list[int]:
    """Return the processes that a bench started, and those that these started outside of pods."""
    return marked(MARK, directory, proc)


def processes_in(network: int, proc: Path = PROC) -> list[int]:
    """Return the processes in a network namespace, by the number of its file."""
    found = []
    for entry in proc.glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            if (entry / "ns" / "net").stat().st_ino == network:
                found.append(int(entry.name))
    return found


def children_of(pid: int, proc: Path = PROC) -> list[int]:
    """Return the children of a process; none of one that has ended."""
    try:
        text = (proc / str(pid) / "task" / str(pid) / "children").read_text()
    except OSError:
        return []
    return [int(child) for child in text.split()]


def command_of(pid: int, proc: Path = PROC) -> list[str]:
    """Return the command line of a process; nothing of one that has ended."""
    try:
        return (proc / str(pid) / "cmdline").read_text().split("\0")[:-1]
    except OSError:
        return []
