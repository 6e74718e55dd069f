"""A process of the laboratory: its output goes to a file, and it dies with us."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.lab.errors import LabError

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_KILL_TIMEOUT: Final = 10.0


class Process:
    """A running command with a log."""

    def __init__(
        self,
        argv: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.argv = tuple(argv)
        self.log = log
        # The kernel ends it when we end without a chance to tidy up.
        guard = ("setpriv", "--pdeathsig", "KILL", "--")
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                (*guard, *self.argv),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # an interrupt at the terminal is for us to handle
                env=None if environment is None else {**os.environ, **environment},
            )

    @property
    def pid(self) -> int:
        """The process id; every step from the guard to the command is an exec."""
        return self._popen.pid

    @property
    def exit_status(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self._popen.poll()

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(errors="replace")

    def wait(self, timeout: float) -> int:
        """Wait for the end and return the exit status."""
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise LabError(f"{self.argv[-1]}: still runs after {timeout:g} s") from error

    def signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.exit_status is None:
            self._popen.send_signal(number)

    def stop(self, timeout: float = 10.0) -> int:
        """Ask it to end and return the exit status; it is killed if it does not."""
        self.signal(signal.SIGTERM)
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise LabError(f"{' '.join(self.argv)}: no end {timeout:g} s after SIGTERM") from None

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self.signal(signal.SIGKILL)
        self._popen.wait(_KILL_TIMEOUT)

    def cpu_seconds(self) -> float:
        """Return the CPU time used by it and by its children, ended ones included."""
        return sum(_cpu_seconds(pid) for pid in _family(self.pid))

    def own_cpu_seconds(self) -> float:
        """Return the CPU time used by it alone, without children."""
        return sum(_ticks(self.pid)[:2]) / _TICKS

    def resident_bytes(self) -> int:
        """Return the resident memory of it and of its children."""
        return sum(_resident_bytes(pid) for pid in _family(self.pid))


def _family(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from _family(int(child))


def _cpu_seconds(pid: int) -> float:
    return sum(_ticks(pid)) / _TICKS


def _ticks(pid: int) -> list[int]:
    """Return utime, stime, cutime, cstime."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return [int(ticks) for ticks in after_name[11:15]]


def _resident_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0
