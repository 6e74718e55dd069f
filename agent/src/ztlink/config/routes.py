"""What the YAML says of routes, and of the cluster that they must not harm."""

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from ztlink.config.fields import NetworkField, NetworkName, networks
from ztlink.errors import ConfigError
from ztlink.host.routes.wanted import (
    CNI_DIRECTORY,
    DEFAULT_METRIC,
    DEFAULT_RULE_PRIORITY,
    ClusterSettings,
    DeclaredRoute,
    RoutingSettings,
)
from ztlink.ids import (
    Address,
    IpAddress,
    NetworkId,
    format_address,
    format_network_id,
    parse_address,
    parse_network_id,
)
from ztlink.settings import Membership
from ztlink.yaml_file import AbsolutePath, Model

SERVICE_HOST: Final = "KUBERNETES_SERVICE_HOST"
"""The address of the cluster's API, as pods find it: one of the services'."""
_MAX: Final = (1 << 32) - 1
_RESERVED_TABLES: Final = {0: "unspec", 253: "default", 254: "main", 255: "local"}
_LAST_RULE: Final = 32_765
"""The rule to the table `main` comes right behind it."""
_LEAST_MTU: Final = {4: 68, 6: 1280}


def _target(value: str) -> str:
    network = ip_network(value)
    if network.is_multicast or network.is_loopback or network.is_link_local:
        raise ValueError("should be a range that others have: not multicast, loopback, link-local")
    return value


def _via(value: object) -> str:
    """Take an IP address, or a member's 10 hex digits."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(
            'is a number to YAML: put a member\'s 10 hex digits in quotes, "89e92ceee5"'
        )
    if isinstance(value, str):
        for read in (lambda text: format_address(parse_address(text)), _ip):
            try:
                return str(read(value))
            except ValueError:
                continue
    raise ValueError(
        'should be an IP address, or the 10 hex digits of a member such as "89e92ceee5"'
    )


def _ip(value: object) -> str:
    try:
        # One with a zone is of a device that is somebody else's.
        return str(ip_address(value if isinstance(value, str) and "%" not in value else ""))
    except ValueError:
        raise ValueError("should be an IP address such as 10.147.17.5") from None


def _table(value: int) -> int:
    if value in _RESERVED_TABLES:
        name = _RESERVED_TABLES[value]
        raise ValueError(f"is the kernel's table {name}: should be another, such as 100; or null")
    return value


Table = Annotated[int, Field(ge=1, le=_MAX), AfterValidator(_table)]
Via = Annotated[
    str,
    BeforeValidator(_via),
    WithJsonSchema({"type": "string", "pattern": "^([0-9a-fA-F]{10}|[0-9a-fA-F.:]+)$"}),
]
Ip = Annotated[
    str, BeforeValidator(_ip), WithJsonSchema({"type": "string", "pattern": "^[0-9a-fA-F.:]+$"})
]
Mtu = Annotated[
    int,
    Field(le=65_535),
    WithJsonSchema({"type": "integer", "minimum": min(_LEAST_MTU.values()), "maximum": 65_535}),
]
"""At least what the target's family needs, see `RouteEntry`."""


class RoutingEntry(Model):
    """Where routes are put."""

    table: Table | None = None
    rule_priority: Annotated[int, Field(ge=1, le=_LAST_RULE)] = DEFAULT_RULE_PRIORITY


class ClusterEntry(Model):
    """The ranges of the cluster that the machine is a node of."""

    pod_cidrs: list[NetworkField] = Field(default_factory=list)
    service_cidrs: list[NetworkField] = Field(default_factory=list)
    node_cidrs: list[NetworkField] = Field(default_factory=list)
    detect: bool = True
    cni_directory: AbsolutePath = CNI_DIRECTORY

    def settings(self, environment: Mapping[str, str]) -> ClusterSettings:
        """Return what it means."""
        return ClusterSettings(
            networks(self.pod_cidrs),
            networks(self.service_cidrs),
            networks(self.node_cidrs),
            self.detect,
            self.cni_directory,
            _service_ip(environment) if self.detect else None,
        )


class RouteEntry(Model):
    """A route through a network."""

    network: NetworkName | None = None
    target: Annotated[NetworkField, AfterValidator(_target)]
    via: Via | None = None
    metric: Annotated[int, Field(ge=1, le=_MAX)] = DEFAULT_METRIC
    table: Table | None = None
    source: Ip | None = None
    mtu: Mtu | None = None
    nodes: list[Annotated[str, Field(min_length=1)]] = Field(default_factory=list)
    allow_overlap: bool = False

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        version = ip_network(self.target).version
        via = self._via_ip()
        if via is not None and version == 6 and via.version == 4:
            raise ValueError(f"via {via} is IPv4 and target {self.target} IPv6: via should be IPv6")
        if self.source is not None and ip_address(self.source).version != version:
            raise ValueError(
                f"source {self.source} is not of the family of target {self.target}: "
                f"it should be an IPv{version} address of this machine, or null"
            )
        if self.mtu is not None and self.mtu < _LEAST_MTU[version]:
            raise ValueError(f"mtu {self.mtu}: should be at least {_LEAST_MTU[version]}, or null")
        return self

    def _via_ip(self) -> IpAddress | None:
        return None if self.via is None or self._member() is not None else ip_address(self.via)

    def _member(self) -> Address | None:
        try:
            return parse_address(self.via or "")
        except ValueError:
            return None

    def settings(self, only: NetworkId | None) -> DeclaredRoute:
        """Return what it means where `only` is the one network of the file."""
        network_id = parse_network_id(self.network) if self.network is not None else only
        return DeclaredRoute(
            ip_network(self.target),
            network_id,
            self._via_ip(),
            self._member(),
            self.metric,
            self.table,
            ip_address(self.source) if self.source is not None else None,
            self.mtu,
            tuple(self.nodes),
            self.allow_overlap,
        )


def routing_settings(
    routing: RoutingEntry | None,
    cluster: ClusterEntry | None,
    routes: Sequence[RouteEntry],
    memberships: Iterable[Membership],
    environment: Mapping[str, str],
    node_name: str,
) -> RoutingSettings | None:
    """Return what the file means; None where it says nothing of routes, and nothing is to be done.

    ConfigError names all that is wrong with one entry beside others.
    """
    if routing is None and cluster is None and not routes:
        return None
    known = {one.network_id: one.is_required for one in memberships}
    only = next(iter(known)) if len(known) == 1 else None
    declared = [entry.settings(only) for entry in routes]
    mistakes = [*_nameless(declared, known), *_twice(declared)]
    if mistakes:
        raise ConfigError("\n  ".join(mistakes))
    routing = routing or RoutingEntry()
    return RoutingSettings(
        tuple(declared),
        (cluster or ClusterEntry()).settings(environment),
        routing.table,
        routing.rule_priority,
        node_name,
        frozenset(network_id for network_id, is_required in known.items() if is_required),
    )


def _nameless(declared: Sequence[DeclaredRoute], known: Iterable[NetworkId]) -> list[str]:
    """Tell of routes that name no network where the file has several."""
    names = ", ".join(format_network_id(one) for one in known)
    return [
        f"routes[{index}].network: is missing: should be one of {names}, as there are several"
        for index, one in enumerate(declared)
        if one.network_id is None and names
    ]


def _twice(declared: Sequence[DeclaredRoute]) -> list[str]:
    """Tell of routes that the kernel can have once only, and that are for the same nodes."""
    first: dict[object, int] = {}
    mistakes = []
    for index, one in enumerate(declared):
        at = first.setdefault((one.target, one.table, one.metric, one.nodes), index)
        if at != index:
            mistakes.append(
                f"routes[{index}].target: {one.target} is in routes[{at}] already: should have "
                "another metric, another table, or other nodes"
            )
    return mistakes


def _service_ip(environment: Mapping[str, str]) -> IpAddress | None:
    try:
        return ip_address(environment.get(SERVICE_HOST, ""))
    except ValueError:  # there is none, or it is a name
        return None
