"""A folder /etc of one's own, and what the C library finds with it."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from tests.host import name_server
from tests.host.machine import give_address
from tests.lab.process import Process
from tests.lab.wait import wait_until
from ztlink.host.dns.entries import NameServers
from ztlink.host.dns.manager import Wanted
from ztlink.ids import NetworkId

SERVED_BY_NETWORK: Final = "10.147.1.53"
SERVED_BY_MACHINE: Final = "192.0.2.1"
DB: Final = "db.mesh.example"
WWW: Final = "www.example"
DB_IP: Final = "10.147.1.7"
WWW_IP: Final = "192.0.2.80"
PLAIN: Final = f"# of this machine\nnameserver {SERVED_BY_MACHINE}\n"
OWNER: Final = "35da09f211"
"""The node that sets them."""
NETWORK: Final = NetworkId(0x8056C2E21C000001)
MESH: Final = NameServers("mesh.example", (ip_address(SERVED_BY_NETWORK),))
WANTED: Final = {NETWORK: Wanted("lo", MESH)}
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
def two_serving(folder: Path, others: str = "REFUSED") -> Iterator[Process]:
    """Run the machine's name server and a network's, which says `others`; yield the latter."""
    for address in (SERVED_BY_NETWORK, SERVED_BY_MACHINE):
        give_address("lo", f"{address}/32")
    with (
        serving(folder, SERVED_BY_MACHINE, "NXDOMAIN", {WWW: WWW_IP}),
        serving(folder, SERVED_BY_NETWORK, others, {DB: DB_IP}) as network_s,
    ):
        yield network_s


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
