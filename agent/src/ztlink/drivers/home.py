"""A directory that one process holds: locked, and every file in it replaced as a whole.

A write goes to a temporary file in the same directory, is flushed to disk, then renamed. Ours are
kept out by a lock, the original, which knows nothing of that, is noticed by its pid file.
"""

import contextlib
import fcntl
import os
import tempfile
from pathlib import Path
from typing import Final

from ztlink.errors import ConfigError

PID: Final = "zerotier-one.pid"
LOCK: Final = "ztlink.lock"
_MAX_FILE: Final = 1 << 20
_ORIGINAL: Final = "zerotier-one"
_UNFINISHED: Final = ".unfinished"
"""How the names of files end that are being written."""


class HeldError(ConfigError):
    """Another process holds the home."""


class Home:
    """One home directory."""

    folders: tuple[str, ...] = ()
    """Folders in it that hold files of ours."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._lock: int | None = None

    # -- the directory -----------------------------------------------------------------------

    def open(self) -> None:
        """Make the directory if there is none, and hold it against other processes."""
        try:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self.home / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(f"cannot use the home {self.home}: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._lock, 32, 0).decode(errors="replace").strip()
            self.close()
            raise HeldError(
                f"the home {self.home} is in use by process {holder or 'unknown'}: "
                "stop it, or name another home, by --home or in the configuration file"
            ) from error
        try:
            self._refuse_original()
        except ConfigError:
            self.close()
            raise
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, str(os.getpid()).encode(), 0)
        self._sweep()

    def _refuse_original(self) -> None:
        """Look whether the original runs on this home: it knows nothing of our lock."""
        content = (self.read(PID) or b"").strip()
        if not content.isdigit():
            return
        try:
            name = Path(f"/proc/{int(content)}/comm").read_text().strip()
        except OSError:
            return  # it has ended and left its file
        if name == _ORIGINAL:
            raise ConfigError(
                f"the home {self.home} is in use by {name} (process {int(content)}): stop it, or "
                "name another home, by --home or in the configuration file"
            )

    def _sweep(self) -> None:
        """Remove what a killed process was about to write."""
        for folder in (".", *self.folders):
            for file in (self.home / folder).glob(f".*{_UNFINISHED}"):
                file.unlink(missing_ok=True)

    def close(self) -> None:
        """Let others use the directory."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def read(self, key: str) -> bytes | None:
        """Return a file's content, or None where there is none."""
        try:
            with (self.home / key).open("rb") as file:
                return file.read(_MAX_FILE)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigError(f"cannot read {self.home / key}: {error.strerror}") from error

    def stamp(self, key: str) -> tuple[int, int, int] | None:
        """Return what differs when a file was written anew; None where there is none."""
        try:
            found = (self.home / key).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def write(
        self, key: str, value: bytes | None, mode: int = 0o600, *, is_flushed: bool = True
    ) -> None:
        """Replace a file as a whole, or remove it.

        Where it is not flushed, a loss of power may leave the former file, or an empty one.
        """
        target = self.home / key
        try:
            if value is None:
                target.unlink(missing_ok=True)
            else:
                _replace(target, value, mode, is_flushed=is_flushed)
        except OSError as error:
            raise ConfigError(f"cannot write {target}: {error.strerror}") from error


def _replace(target: Path, value: bytes, mode: int, *, is_flushed: bool) -> None:
    target.parent.mkdir(mode=0o700, exist_ok=True)
    descriptor, name = tempfile.mkstemp(_UNFINISHED, f".{target.name}.", target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(value)
            file.flush()
            os.fchmod(file.fileno(), mode)
            if is_flushed:
                os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
    if not is_flushed:
        return
    directory = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
