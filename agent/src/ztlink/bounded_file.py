"""Files that others write: read to a bound, and never waited for."""

from pathlib import Path
from stat import S_ISDIR, S_ISREG

from ztlink.errors import ConfigError


def read_bounded(file: Path, limit: int) -> bytes:
    """Return what a file holds; of more than `limit` bytes, one more than that many."""
    with file.open("rb") as opened:
        return opened.read(limit + 1)


def require_regular(file: Path, what: str = "") -> None:
    """ConfigError where something is there that is no file: a pipe would be waited for.

    `what` is said of the file first, such as the key that names it.
    """
    mode = file.stat().st_mode
    if not (S_ISREG(mode) or S_ISDIR(mode)):  # of which the reading tells
        raise ConfigError(
            f"{what}{': ' if what else ''}cannot read {file}: it is a pipe or a device, and should "
            "be a file"
        )
