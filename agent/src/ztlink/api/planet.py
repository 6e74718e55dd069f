"""The planet that a node was given, as its file says it now.

A file that was replaced while the node runs is the usual reason why a node does not find private
roots: what it holds is told beside what the node follows.
"""

from dataclasses import dataclass
from pathlib import Path

from ztlink.errors import WireError
from ztlink.wire.buffer import Reader
from ztlink.wire.world import World


@dataclass(frozen=True, slots=True)
class GivenPlanet:
    """What the file holds."""

    world_id: int | None = None
    """None where no file was named, or it cannot be read."""
    timestamp: int = 0
    error: str = ""
    """A sentence; empty where it can be read."""


class PlanetFile:
    """Reads the file again when it was changed."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._stamp: tuple[int, int, int] | None = None
        self._read = GivenPlanet()

    def read(self) -> GivenPlanet:
        """Return what it holds."""
        if self._file is None:
            return self._read
        try:
            found = self._file.stat()
            stamp = (found.st_ino, found.st_size, found.st_mtime_ns)
            if stamp != self._stamp:
                self._read, self._stamp = _decode(self._file), stamp
        except OSError as error:
            self._stamp = None
            return GivenPlanet(error=f"cannot read the planet {self._file}: {error.strerror}")
        return self._read


def _decode(file: Path) -> GivenPlanet:
    try:
        world = World.decode(Reader(file.read_bytes()))
    except WireError as error:
        return GivenPlanet(error=f"{file} is not a world file: {error}")
    return GivenPlanet(world.world_id, world.timestamp)
