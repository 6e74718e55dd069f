"""A folder /etc of one's own, and what the C library finds with it."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.host import name_server
from tests.lab.process import Process
from tests.lab.wait import wait_until

SERVED_BY_NETWORK: Final = "10.147.1.53"
SERVED_BY_MACHINE: Final = "192.0.2.1"
DB: Final = "db.mesh.example"
WWW: Final = "www.example"
DB_IP: Final = "10.147.1.7"
WWW_IP: Final = "192.0.2.80"
PLAIN: Final = f"# of this machine\nnameserver {SERVED_BY_MACHINE}\n"
_SCRIPT: Final = Path(__file__).with_name("own_etc.sh")


def copy_etc(folder: Path, resolv_conf: str = PLAIN) -> Path:
    """Make a folder with what /etc has, but for secrets, and another resolv.conf."""
    etc = folder / "etc"
    ignored = shutil.ignore_patterns("shadow*", "gshadow*", "ssh", "resolv.conf")
    shutil.copytree("/etc", etc, symlinks=True, ignore=ignored)
    (etc / "resolv.conf").write_text(resolv_conf)
    return etc


def with_etc(etc: Path) -> tuple[str, ...]:
    """Return the words before a program that has this folder for /etc."""
    return ("sh", str(_SCRIPT), str(etc))


def lookup(etc: Path, name: str, entry: tuple[str, ...] = ()) -> str | None:
    """Return the address that the C library finds; None where there is no such name."""
    asked = (*entry, *with_etc(etc), "getent", "ahostsv4", name)
    done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == ""
    return done.stdout.split()[0] if done.stdout else None


@contextmanager
def serving(
    folder: Path, ip: str, others: str, names: dict[str, str], entry: tuple[str, ...] = ()
) -> Iterator[Process]:
    """Run a name server for names; for `others` it says NXDOMAIN or REFUSED."""
    named = (f"{name}={value}" for name, value in names.items())
    program = (sys.executable, str(Path(name_server.__file__)), ip, others, *named)
    process = Process((*entry, *program), folder / f"name-server-{ip}.log")
    try:
        wait_until(
            lambda: f"{ip}:53" in _listeners(entry), timeout=30, what="the name server listens"
        )
        yield process
    finally:
        process.kill()


def _listeners(entry: tuple[str, ...]) -> str:
    return subprocess.run(
        (*entry, "ss", "-Hlun"), capture_output=True, text=True, check=True
    ).stdout
