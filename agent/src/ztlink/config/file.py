"""The YAML of `ztlink agent|node|root|controller --config FILE`, and the settings that it means."""

import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, model_validator

from ztlink.config.controller import ControllerEntry
from ztlink.config.environment import NODE_NAME, Overlaid, overlay
from ztlink.config.fields import Port
from ztlink.config.firewall import FirewallEntry
from ztlink.config.http import HttpEntry, MetricsEntry
from ztlink.config.log import Level, LogEntry
from ztlink.config.networks import NetworkEntry
from ztlink.config.routes import ClusterEntry, RouteEntry, RoutingEntry, routing_settings
from ztlink.errors import ConfigError
from ztlink.ids import format_network_id
from ztlink.settings import (
    DEFAULT_HOME,
    DEFAULT_PORT,
    DeclaredNetwork,
    Membership,
    OnStop,
    Settings,
)
from ztlink.yaml_file import AbsolutePath, Model, check, load_yaml, mistaken

T = TypeVar("T")
_MAX_NAME: Final = 253
"""As Kubernetes has it."""


class DnsEntry(Model):
    """Whether networks' name servers become the machine's."""

    apply: bool = False


def _node_name(value: str) -> str:
    if not value.isprintable() or len(value) > _MAX_NAME:
        raise ValueError(f"should be a name in one line, of at most {_MAX_NAME} characters")
    return value


def _each_once(entries: list[NetworkEntry]) -> list[NetworkEntry]:
    for what, values in (
        ("id", [f"{entry.id:016x}" for entry in entries if entry.id is not None]),
        ("interfaceName", [entry.interface_name for entry in entries if entry.interface_name]),
    ):
        twice = [value for value, count in Counter(values).items() if count > 1]
        if twice:
            raise ValueError(f"{what} {', '.join(twice)} is there twice: each should be there once")
    return entries


class NodeFile(Model):
    """All that such a file may say."""

    former_keys: ClassVar[Mapping[str, str]] = {"health": "http"}
    home: AbsolutePath = DEFAULT_HOME
    port: Port = DEFAULT_PORT
    planet: AbsolutePath | None = None
    identity: AbsolutePath | None = None
    engine: Literal["auto", "jit", "portable", "plain"] = "auto"
    log: LogEntry = Field(default_factory=LogEntry)
    log_level: Level | None = None
    """An older name of `log.level`."""
    node_name: Annotated[str, AfterValidator(_node_name)] = ""
    """Empty for NODE_NAME of the environment, else the host's name."""
    on_stop: Literal["remove", "keep"] = "remove"
    networks: Annotated[list[NetworkEntry], AfterValidator(_each_once)] = Field(
        default_factory=list
    )
    http: HttpEntry = Field(default_factory=HttpEntry)
    metrics: MetricsEntry = Field(default_factory=MetricsEntry)
    dns: DnsEntry = Field(default_factory=DnsEntry)
    firewall: FirewallEntry | None = None
    routing: RoutingEntry | None = None
    cluster: ClusterEntry | None = None
    routes: list[RouteEntry] = Field(default_factory=list)
    controller: ControllerEntry | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.http.enabled and self.http.port == self.port:
            raise ValueError(
                f"port and http.port are both {self.port}: the local API listens on TCP {self.port}"
                f" already, give http another, such as {self.port + 1}"
            )
        level = self.log.level if "level" in self.log.model_fields_set else self.log_level
        if self.log_level not in (None, level):
            raise ValueError(
                f"logLevel is {self.log_level} and log.level {level}: say one, which is log.level"
            )
        return self


@dataclass(frozen=True, slots=True)
class Reading:
    """A file that was read, with the environment over it."""

    settings: Settings
    said: NodeFile
    origins: Mapping[str, str]
    """The variables that paths are from, where they are not from the file."""
    files: tuple[Path, ...]
    """All that was read: where one changes, it is to be read again."""


def read_settings(file: Path, environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings that a file means; ConfigError names all that is wrong in it."""
    return read_file(file, environment).settings


def read_file(file: Path, environment: Mapping[str, str] = os.environ) -> Reading:
    """Read a file with all that it names; ConfigError names all that is wrong in it."""
    overlaid = overlay(load_yaml(file), environment)
    said = check(overlaid.content, NodeFile, file, overlaid.origins)
    settings = _settings(file, said, overlaid, environment)
    files = (file, *overlaid.files, *(one.id_file for one in said.networks if one.id_file))
    return Reading(settings, said, overlaid.origins, files)


class _Mistakes:
    """Gathers what is wrong with what is beside the file, to say it at once."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def of(self, path: str, work: Callable[[], T]) -> T | None:
        try:
            return work()
        except ConfigError as error:
            self.found.append(f"{path}{error}")
            return None


def _settings(
    file: Path, said: NodeFile, overlaid: Overlaid, environment: Mapping[str, str]
) -> Settings:
    mistakes = _Mistakes()
    memberships = [
        mistakes.of(f"networks[{index}].", entry.membership)
        for index, entry in enumerate(said.networks)
    ]
    http = mistakes.of("", lambda: said.http.settings(environment))
    node_name = said.node_name or environment.get(NODE_NAME) or os.uname().nodename
    known = [one for one in memberships if one is not None]
    routing = mistakes.of(
        "",
        lambda: routing_settings(
            said.routing, said.cluster, said.routes, known, environment, node_name
        ),
    )
    declared = [
        mistakes.of(f"controller.networks[{index}].", entry.network_id)
        for index, entry in enumerate(said.controller.networks if said.controller else ())
    ]
    if mistakes.found:
        raise mistaken(file, mistakes.found)
    joined = [(one, entry) for one, entry in zip(memberships, said.networks, strict=True) if one]
    settings = Settings(
        home=said.home,
        port=said.port,
        is_port_given="port" in said.model_fields_set,
        planet=said.planet,
        identity=said.identity,
        memberships=_once([one for one, _ in joined], overlaid, file),
        interface_names={
            one.network_id: entry.interface_name for one, entry in joined if entry.interface_name
        },
        http=http,
        metrics=said.metrics.settings(),
        apply_dns=said.dns.apply,
        log=said.log.settings(said.log_level),
        engine=said.engine,
        on_stop=OnStop(said.on_stop),
        firewall=None if said.firewall is None else said.firewall.beside(http, routing),
        node_name=node_name,
        routing=routing,
    )
    if said.controller is None:
        return settings
    return replace(
        settings,
        declared=tuple(
            DeclaredNetwork(network_id, entry.settings)
            for network_id, entry in zip(declared, said.controller.networks, strict=True)
            if network_id is not None
        ),
        auto_authorize=said.controller.auto_authorize,
    )


def _once(memberships: list[Membership], overlaid: Overlaid, file: Path) -> tuple[Membership, ...]:
    """Return each network once: the environment may name one that a file holds the id of."""
    found: dict[int, Membership] = {}
    for index, one in enumerate(memberships):
        if one.network_id not in found:
            found[one.network_id] = one
        elif f"networks[{index}].id" not in overlaid.origins:
            name = format_network_id(one.network_id)
            raise mistaken(
                file, [f"networks[{index}]: network {name} is there twice: once is enough"]
            )
    return tuple(found.values())
