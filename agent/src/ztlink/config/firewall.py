"""What the YAML says of the firewall."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from ztlink.config.fields import NetworkField, NetworkName, Port, networks
from ztlink.host.desired import IpNetwork
from ztlink.host.firewall.wanted import (
    TABLE,
    FirewallSettings,
    Forwarding,
    HttpGuard,
    Masquerade,
    PortRange,
    Protocol,
    Service,
)
from ztlink.host.routes.wanted import RoutingSettings
from ztlink.ids import parse_network_id
from ztlink.settings import HttpSettings, Settings
from ztlink.yaml_file import Model

_NAME: Final = re.compile(r"[A-Za-z0-9 _./-]{0,63}")
_SUFFIX: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
_HIGHEST: Final = 65_535


def _ports(value: object) -> str:
    """Take a port, or a range such as "8000-8100"."""
    wrong = ValueError('should be a port, or a range such as "8000-8100", of 1 to 65535')
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise wrong
    first, dash, last = str(value).partition("-")
    if not first.isdecimal() or (dash and not last.isdecimal()):
        raise wrong
    if not 1 <= int(first) <= int(last or first) <= _HIGHEST:
        raise wrong
    return str(value)


def _range(text: str) -> PortRange:
    first, _, last = text.partition("-")
    return PortRange(int(first), int(last or first))


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("should be at most 63 letters, digits, spaces, or any of _ . / -")
    return value


def _suffix(value: str) -> str:
    if value and not _SUFFIX.fullmatch(value):
        raise ValueError("should be at most 32 small letters, digits, or - between them")
    return value


PortsField = Annotated[
    str,
    BeforeValidator(_ports),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": _HIGHEST},
                {"type": "string", "pattern": r"^\d{1,5}(-\d{1,5})?$"},
            ]
        }
    ),
]
Name = Annotated[
    str,
    AfterValidator(_name),
    WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"}),
]
Suffix = Annotated[
    str,
    AfterValidator(_suffix),
    WithJsonSchema({"type": "string", "pattern": f"^({_SUFFIX.pattern})?$"}),
]


class Limits(Model):
    """Who of the overlay may reach something."""

    name: Name = ""
    sources: Annotated[list[NetworkField], Field(alias="from")] = Field(default_factory=list)
    networks: list[NetworkName] = Field(default_factory=list)

    def service(self, protocol: str, ports: Sequence[PortRange]) -> Service:
        """Return what it means for a protocol and ports."""
        return Service(
            Protocol(protocol),
            tuple(ports),
            self.name,
            networks(self.sources),
            tuple(parse_network_id(one) for one in self.networks),
        )


class AllowEntry(Limits):
    """What of this machine the overlay may reach."""

    protocol: Literal["tcp", "udp", "icmp", "any"]
    ports: list[PortsField] = Field(default_factory=list)

    @model_validator(mode="after")
    def _has_ports_where_there_are_any(self) -> Self:
        if self.protocol == "icmp" and self.ports:
            raise ValueError("icmp has no ports: leave `ports` out")
        return self

    def settings(self) -> Service:
        """Return what it means."""
        return self.service(self.protocol, [_range(one) for one in self.ports])


class ExclusiveEntry(Limits):
    """A port of this machine that is open on the overlay, and on no other device."""

    port: Port
    protocol: Literal["tcp", "udp"] = "tcp"

    def settings(self) -> Service:
        """Return what it means."""
        return self.service(self.protocol, [PortRange(self.port, self.port)])


class ForwardEntry(Model):
    """What passes between the overlay and what is behind this machine."""

    from_overlay: Literal["deny", "declared", "allow"] = "deny"
    to_overlay: Literal["deny", "declared", "allow"] = "allow"
    inside: list[NetworkField] = Field(default_factory=list)
    outside: list[NetworkField] = Field(default_factory=list)


class FirewallEntry(Model):
    """The rules on the overlay's devices."""

    enabled: bool = True
    allow: list[AllowEntry] = Field(default_factory=list)
    exclusive: list[ExclusiveEntry] = Field(default_factory=list)
    forward: ForwardEntry = Field(default_factory=ForwardEntry)
    masquerade: Literal["none", "outsideDeclared", "all"] = "none"
    clamp_mss: bool = True
    http_from: list[NetworkField] | None = None
    table_suffix: Suffix = ""

    def beside(
        self, http: HttpSettings | None, routing: RoutingSettings | None
    ) -> FirewallSettings:
        """Return what it means beside these settings."""
        routing = routing or RoutingSettings()
        cluster = routing.cluster
        return self.settings(
            http_port=http.port if http is not None else None,
            inside=(*cluster.pods, *cluster.services),
            outside=routing.targets,
            # Half of them would shut the other half out.
            near=(*cluster.nodes, *cluster.pods) if cluster.nodes and cluster.pods else (),
        )

    def settings(
        self,
        *,
        http_port: int | None = None,
        inside: Sequence[IpNetwork] = (),
        outside: Sequence[IpNetwork] = (),
        near: Sequence[IpNetwork] = (),
    ) -> FirewallSettings:
        """Return what it means, with what the rest of the file says.

        `inside` are the pods and services of the cluster, `outside` the targets of declared routes,
        and from `near` - nodes and pods - the HTTP port is reached where `httpFrom` says nothing.
        """
        callers = tuple(near) if self.http_from is None else networks(self.http_from)
        is_guarded = self.http_from is not None or bool(near)
        return FirewallSettings(
            is_enabled=self.enabled,
            services=tuple(one.settings() for one in self.allow),
            exclusive=tuple(one.settings() for one in self.exclusive),
            from_overlay=Forwarding(self.forward.from_overlay),
            to_overlay=Forwarding(self.forward.to_overlay),
            inside=tuple(dict.fromkeys([*networks(self.forward.inside), *inside])),
            masquerade=Masquerade(self.masquerade),
            outside=tuple(dict.fromkeys([*networks(self.forward.outside), *outside])),
            clamp_mss=self.clamp_mss,
            http=HttpGuard(http_port, callers) if http_port and is_guarded else None,
            table=f"{TABLE}-{self.table_suffix}" if self.table_suffix else TABLE,
        )


def of_agent(settings: Settings) -> Settings:
    """Return what an agent takes a file for that says nothing of the firewall: it has one."""
    default = FirewallEntry().beside(settings.http, settings.routing)
    return replace(settings, firewall=settings.firewall or default)
