"""What managers of the machine's state count: one shape for all, of which metrics are made."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tally:
    """What a manager has counted since the process began."""

    unchanged: int = 0
    """Passes in which all was as it should be."""
    changed: int = 0
    """Passes that changed something: of one that loads all at once, loads."""
    failed: int = 0
    """Passes that could not be made, or in which something was refused."""
    seconds: float = 0.0
    """What all passes took together."""
    drift: int = 0
    """Things that others had changed, and that were repaired."""


@dataclass(frozen=True, slots=True)
class DropTally(Tally):
    """Of a manager that drops packets, too."""

    drops: tuple[tuple[str, int], ...] = ()
    """Packets by what dropped them."""
