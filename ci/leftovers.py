"""What a script that was killed leaves behind: how that is found, and who removes it."""

import importlib
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

TOP: Final = Path(__file__).parents[1]
DISMISSED: Final = b"."
_PROC: Final = Path("/proc")


def marked(mark: str, directory: Path, proc: Path = _PROC) -> list[int]:
    """Return the processes that have a directory under this name in their environment.

    These are those that a script started with it, and those that they started.
    """
    wanted = f"{mark}={directory}".encode()
    found = []
    for entry in proc.glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is not ours
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


class Guard:
    """A process that removes what its script leaves, if that is killed: it sees a pipe's end."""

    def __init__(self, module: str, directory: Path) -> None:
        """Start it; `remove_noted` of the module knows from the directory what is to go."""
        script = "import sys; from ci.leftovers import guard; guard(*sys.argv[1:])"
        self._process: Final = subprocess.Popen(
            [sys.executable, "-c", script, module, str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=TOP,
            start_new_session=True,
        )

    def dismiss(self) -> None:
        """Tell it that there is nothing to remove, or that it is to stay."""
        with suppress(BrokenPipeError):
            self._process.communicate(DISMISSED)


def guard(module: str, directory: str) -> None:
    """Wait for the script to end; without a word from it, have the module remove what it made."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if sys.stdin.buffer.read() != DISMISSED:
        importlib.import_module(module).remove_noted(Path(directory))
