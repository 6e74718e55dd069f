"""What a process is told by its arguments: one frozen value, checked before anything starts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ztlink.host.desired import Policy
from ztlink.ids import Endpoint, IpAddress, NetworkId
from ztlink.wire.verbs import PROTOCOL_VERSION

if TYPE_CHECKING:
    # A node that leaves its machine alone starts without them.
    from ztlink.host.firewall.wanted import FirewallSettings
    from ztlink.host.routes.wanted import RoutingSettings

DEFAULT_PORT: Final = 9993
DEFAULT_HTTP_PORT: Final = 9994
LOOPBACK: Final = IPv4Address("127.0.0.1")
DEFAULT_HOME: Final = Path("/var/lib/zerotier-one")
ENGINES: Final = ("auto", "jit", "portable", "plain")
"""Of the data lane; `auto` is the fastest that is to be had, and no complaint where it is not."""
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
class Membership:
    """A network that is joined at the start."""

    network_id: NetworkId
    is_required: bool = True
    """The node is not ready before this network is."""
    policy: Policy = field(default_factory=Policy)


class Expose(StrEnum):
    """What of the agent's HTTP others than this machine may see."""

    HEALTH = "health"
    """Health, probes and metrics."""
    ALL = "all"
    """The page and the whole status, too."""


class LogFormat(StrEnum):
    """How lines of the log are written."""

    JSON = "json"
    CONSOLE = "console"


class OnStop(StrEnum):
    """What an agent that ends does with devices, addresses, routes and tables."""

    REMOVE = "remove"
    KEEP = "keep"
    """They stay for the next process, and connections through the overlay with them."""


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Where health and metrics are served."""

    ip: IpAddress = LOOPBACK
    port: int = DEFAULT_HTTP_PORT
    expose: Expose = Expose.HEALTH


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Which series are made beside those that all nodes have."""

    per_peer: bool = False
    has_original: bool = False
    """Those of the original, by their own names."""


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is logged, and how."""

    level: str = "INFO"
    format: LogFormat = LogFormat.CONSOLE


@dataclass(frozen=True, slots=True)
class DeclaredNetwork:
    """A network that a controller is to have; made where it is not there, never changed."""

    network_id: NetworkId
    fields: Mapping[str, Any] = field(default_factory=dict)
    """As the controller's REST API takes them."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a node is to run."""

    home: Path = DEFAULT_HOME
    port: int = DEFAULT_PORT
    """The primary port; 0 for one by lot of the address, or a random one where that is in use."""
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
    engine: str = "auto"
    """The data lane's: one of `ENGINES`."""
    interface_names: Mapping[NetworkId, str] = field(default_factory=dict)
    log: LogSettings = field(default_factory=LogSettings)
    identity: Path | None = None
    """A secret identity to be used in place of the home's; it is not copied there."""
    memberships: tuple[Membership, ...] = ()
    http: HttpSettings | None = None
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    apply_dns: bool = False
    """Networks that may (`Policy.allow_dns`) change the machine's name servers."""
    on_stop: OnStop = OnStop.REMOVE
    node_name: str = ""
    """The machine's, as its cluster knows it."""
    routing: "RoutingSettings | None" = None
    """None where nothing is said of routes: then none but those of networks are seen to."""
    declared: tuple[DeclaredNetwork, ...] = ()
    allow_loopback: bool = False
    """Loopback addresses may be paths: for tests and demonstrations on one machine."""
    firewall: "FirewallSettings | None" = None
    """None for none, and for leaving the machine's rules alone."""
    auto_authorize: bool = False
    """Let in whoever asks for a declared network, unless somebody has shut it out."""


@dataclass(frozen=True, slots=True)
class BootstrapSettings:
    """What `ztlink bootstrap` makes in a cluster, where it is not there yet."""

    namespace: str
    secret_name: str
    """Holds the identity of root and controller, and the key that signs worlds."""
    world_name: str
    """A ConfigMap with the planet."""
    network_name: str
    """A ConfigMap with the network's id."""
    endpoints: tuple[Endpoint, ...]
    """Where nodes find the root."""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RetireSettings:
    """Which agents `ztlink retire` has take everything away when they end."""

    namespace: str
    config_map_name: str
    """Holds their file, `config.yaml`."""
    daemon_set_name: str
    labels: Mapping[str, str]
    """Of their pods."""
    health_port: int | None = None
    """Where they are asked; None where they serve no health, or to their own machine only."""
    health_ip: IpAddress | None = None
    """None for each node's own address."""
    patience: float = 60.0
    """Seconds that are given to them."""
    image: str = ""
    """For the command that is told where one does not follow."""


@dataclass(frozen=True, slots=True)
class ClusterAccess:
    """How a pod reaches the API of its cluster."""

    url: str
    token: Path
    """Read anew for every request: the kubelet replaces it."""
    ca: Path


def is_excluded(name: str) -> bool:
    """Tell whether VL1 keeps off a device, whatever the operator says."""
    return name in EXCLUDED_DEVICES or name.startswith(EXCLUDED_INTERFACES)
