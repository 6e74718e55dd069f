"""What benches borrow from the machine together: the first takes it, the last gives it back.

Sysctls belong to all of the machine, and so does a directory that a node mounts its own over:
removed, the kernel would take the mounts of every other bench away, too.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from ci.cluster.machine import (
    SYSCTLS,
    make_mount_points,
    read_sysctls,
    remove_mount_points,
    restore_sysctls,
)

RECORD: Final = Path("/run/ztlink-bench.json")


@dataclass(slots=True)
class Loan:
    """What has been taken, and who uses it."""

    users: list[str] = field(default_factory=list)
    sysctls: dict[str, str] = field(default_factory=dict)
    """Values of before."""
    mount_points: list[str] = field(default_factory=list)
    """Directories that were not there before, in the order of their making."""


def borrow(
    user: str, directories: Sequence[str], record: Path = RECORD, sysctls: Path = SYSCTLS
) -> None:
    """Note the machine as it is, unless another bench has, and make what is to be mounted over."""
    with _alone(record):
        loan = _read(record)
        loan.sysctls = loan.sysctls or read_sysctls(sysctls)
        loan.users = [*loan.users, user]
        _write(record, loan)
        loan.mount_points = [*loan.mount_points, *make_mount_points(directories)]
        _write(record, loan)


def give_back(user: str, record: Path = RECORD, sysctls: Path = SYSCTLS) -> list[str]:
    """Leave the machine as it was, unless another bench is on it; return what is still in use."""
    with _alone(record):
        loan = _read(record)
        loan.users = [other for other in loan.users if other != user]
        if loan.users:
            _write(record, loan)
            return []
        restore_sysctls(loan.sysctls, sysctls)
        left = remove_mount_points(loan.mount_points)
        record.unlink(missing_ok=True)
        return left


def users(record: Path = RECORD) -> list[str]:
    """Return the benches that are on this machine."""
    with _alone(record):
        return _read(record).users


def _read(record: Path) -> Loan:
    return Loan(**json.loads(record.read_text())) if record.exists() else Loan()


def _write(record: Path, loan: Loan) -> None:
    """Write it so that a reader finds all of it, or the one before."""
    new = record.with_suffix(".new")
    new.write_text(json.dumps(asdict(loan), indent=1))
    new.rename(record)


@contextmanager
def _alone(record: Path) -> Iterator[None]:
    """Keep other benches out; the lock is on the directory, so that no file of it stays."""
    descriptor = os.open(record.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
