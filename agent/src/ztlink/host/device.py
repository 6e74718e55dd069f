"""What is told of a network's device: its name, what is wrong with it, what the kernel counted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

COUNTED: Final = tuple(
    f"{direction}_{what}"
    for direction in ("rx", "tx")
    for what in ("bytes", "packets", "errors", "dropped")
)
"""`rx` is what the machine receives from the network."""

PARTS: Final = ("addresses", "routes")
"""What a device is given beside its name."""


@dataclass(frozen=True, slots=True)
class DeviceState:
    """A device as the kernel tells it."""

    name: str = ""
    """Empty where there is none."""
    fault: str | None = None
    """A sentence; None where all is as it should be."""
    counters: Mapping[str, int] = field(default_factory=dict)
    """By the names in `COUNTED`."""
    lacks: tuple[str, ...] = ()
    """What a device that is up is missing: of `PARTS`, those of which it is something."""
    remedy: str = ""
    """What helps; empty where it is set right by itself."""
