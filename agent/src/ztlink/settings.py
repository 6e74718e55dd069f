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
"""Devices whose names begin so carry pods or other overlays: VL1 does not run over them."""
EXCLUDED_DEVICES: Final = frozenset({"lo"})


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
    """The primary port; 0 for a random one."""
    is_port_given: bool = False
    """The operator named `port` for this run: that of local.conf gives way."""
    next_ports: int = 0
    """How many ports after `port` may be taken where it is in use."""
    role: Role = Role.NODE
    planet: Path | None = None
    """A world file to be taken as the planet; None for the home's, else the default."""
    has_controller: bool = False
    has_taps: bool = True
    bind: tuple[IpAddress, ...] = ()
    """Local addresses, before those of local.conf; empty for all that are eligible."""
    protocol: int = PROTOCOL_VERSION
    """Below 12, peers use Salsa20/12 with us: for machines without AES instructions."""
    interface_names: Mapping[NetworkId, str] = field(default_factory=dict)
    log_level: str = "INFO"


def is_excluded(name: str) -> bool:
    """Tell whether VL1 keeps off a device, whatever the operator says."""
    return name in EXCLUDED_DEVICES or name.startswith(EXCLUDED_INTERFACES)
