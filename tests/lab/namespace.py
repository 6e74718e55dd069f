"""One network namespace: made, entered and removed.

Sockets are opened inside a namespace without a process in it: a short-lived thread enters the
namespace, opens the socket and ends. A socket stays where it was opened, so everything else
(connecting, reading, HTTP) happens in the caller's thread.
"""

import ctypes
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from tests.lab.errors import LabError

NETNS_DIRECTORY: Final = Path("/run/netns")
_CLONE_NEWNET: Final = 0x40000000
_COMMAND_TIMEOUT: Final = 60.0
T = TypeVar("T")


def run(*argv: str, stdin: str | None = None, check: bool = True) -> str:
    """Run a command and return what it printed; LabError with its complaint if it fails."""
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=_COMMAND_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"{' '.join(argv)}: {error}") from error
    if check and done.returncode != 0:
        complaint = (done.stderr or done.stdout).strip()
        raise LabError(f"{' '.join(argv)}: exit status {done.returncode}: {complaint}")
    return done.stdout


class Namespace:
    """A named network namespace."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def file(self) -> Path:
        """What a process opens to enter the namespace."""
        return NETNS_DIRECTORY / self.name

    @property
    def entry(self) -> tuple[str, ...]:
        """The words before a command that is to run inside."""
        return ("nsenter", f"--net={self.file}", "--")

    def create(self) -> None:
        """Make the namespace, with its loopback up."""
        run("ip", "netns", "add", self.name)
        self.ip("link", "set", "lo", "up")

    def delete(self) -> None:
        """Remove the namespace and every device in it; harmless when it is gone already."""
        run("ip", "netns", "del", self.name, check=False)

    def ip(self, *arguments: str, check: bool = True) -> str:
        """Run `ip` on the namespace."""
        return run("ip", "-n", self.name, *arguments, check=check)

    def run(self, *argv: str, stdin: str | None = None, check: bool = True) -> str:
        """Run a command inside and return what it printed."""
        return run(*self.entry, *argv, stdin=stdin, check=check)

    def nft(self, script: str) -> None:
        """Apply an nftables script."""
        self.run("nft", "-f", "-", stdin=script)

    def sysctl(self, key: str, value: str) -> None:
        """Set a setting below `net.`; keys are written as paths."""
        self.run("sh", "-c", f"echo {value} > /proc/sys/net/{key}")

    def open_socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """Open a socket inside."""
        return self.within(lambda: socket.socket(family, kind, protocol))

    def within(self, work: Callable[[], T]) -> T:
        """Run something in a short-lived thread that has entered the namespace."""
        with ThreadPoolExecutor(max_workers=1) as pool:
            return pool.submit(self._entered, work).result()

    def _entered(self, work: Callable[[], T]) -> T:
        _enter(self.file)
        return work()

    @contextmanager
    def inhabited(self) -> Iterator[None]:
        """Move this thread inside and back; threads and processes that it starts are there too."""
        former = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(self.file)
            try:
                yield
            finally:
                _enter(Path(f"/proc/self/fd/{former}"))
        finally:
            os.close(former)


def _enter(file: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(descriptor, _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise LabError(f"{file}: setns: {os.strerror(number)}")
    finally:
        os.close(descriptor)
