"""What a process is told by its arguments: one frozen value, checked before anything starts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final

from ztlink.ids import IpAddress, NetworkId
from ztlink.wire.verbs import PROTOCOL_VERSION

DEFAULT_PORT: Final = 9993
DEFAULT_HOME: Final = Path("/var/lib/zerotier-one")
EXCLUDED_INTERFACES: Final = (
    "lo",
    "zt",
    "tun",
    "tap",
    "cali",
    "cilium_",
    "lxc",
    "cni",
    "flannel",
    "veth",
    "docker",
    "kube-",
    "br-",
    "wg",
    "tailscale",
)
"""Interfaces whose names begin so carry pods or other overlays: VL1 does not run over them."""


class Role(Enum):
    """What a process is for."""

    NODE = "node"
    ROOT = "root"
    CONTROLLER = "controller"


@dataclass(frozen=True, slots=True)
class Settings:
    """How a node is to run."""

    home: Path = DEFAULT_HOME
    port: int = DEFAULT_PORT
    role: Role = Role.NODE
    planet: Path | None = None
    """A world file to be taken as the planet; None for the home's, else the default."""
    has_controller: bool = False
    has_taps: bool = True
    bind: tuple[IpAddress, ...] = ()
    """Local addresses; empty for all that are eligible."""
    protocol: int = PROTOCOL_VERSION
    """Below 12, peers use Salsa20/12 with us: for machines without AES instructions."""
    interface_names: Mapping[NetworkId, str] = field(default_factory=dict)
    log_level: str = "INFO"


def is_excluded(name: str) -> bool:
    """Tell whether VL1 keeps off an interface."""
    return name.startswith(EXCLUDED_INTERFACES)
