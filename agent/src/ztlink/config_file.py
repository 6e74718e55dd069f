"""The YAML of `ztlink node|root|controller --config FILE`, and the settings that it means."""

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ztlink.controller.fields import FieldError
from ztlink.controller.records import NetworkRecord
from ztlink.errors import ConfigError
from ztlink.host.desired import Policy
from ztlink.ids import NetworkId, parse_network_id
from ztlink.settings import (
    DEFAULT_HEALTH_PORT,
    DEFAULT_HOME,
    DEFAULT_PORT,
    DeclaredNetwork,
    HealthSettings,
    Membership,
    Settings,
)
from ztlink.yaml_file import AbsolutePath, Model, read_word, read_yaml

HOST_IP: Final = "HOST_IP"
"""The variable with the address of the machine that a pod runs on (downward API)."""
DEVICE_NAME: Final = re.compile(r"(?!\.{1,2}$)[^\s/:%]{1,15}")
"""What the kernel takes."""
_BLANK: Final = NetworkRecord(NetworkId(0), 0)


def _network_id(value: object) -> int:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError('is a number to YAML: put the 16 hex digits in quotes, "8056c2e21c000001"')
    if not isinstance(value, str):
        raise ValueError("should be 16 hex digits such as 8056c2e21c000001")
    return parse_network_id(value)


def _device_name(value: str) -> str:
    if value and not DEVICE_NAME.fullmatch(value):
        raise ValueError("should be a device's name: at most 15 characters, none of '/', ':', ' '")
    return value


def _network_fields(value: dict[str, Any]) -> dict[str, Any]:
    unknown = sorted(value.keys() - _BLANK.to_json().keys())
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: not a field of a controller's network")
    try:
        _BLANK.updated(value)
    except FieldError as error:
        raise ValueError(str(error)) from error
    return value


def _ip_or_nothing(value: str) -> str:
    return value and str(ip_address(value))


Port = Annotated[int, Field(ge=1, le=65535)]


class _Named(Model):
    """A network's id, itself or in a file."""

    id: Annotated[int, BeforeValidator(_network_id)] | None = None
    id_file: AbsolutePath | None = None

    @model_validator(mode="after")
    def _is_named_once(self) -> Self:
        if (self.id is None) == (self.id_file is None):
            raise ValueError("should have either id or idFile")
        return self

    def network_id(self) -> NetworkId:
        """Return the id, read from its file if it is in one."""
        if self.id is not None:
            return NetworkId(self.id)
        assert self.id_file is not None
        try:
            return parse_network_id(read_word(self.id_file))
        except ValueError as error:
            raise ConfigError(f"{self.id_file}: {error}") from error


class NetworkEntry(_Named):
    """A network to be joined."""

    required: bool = True
    interface_name: Annotated[str, AfterValidator(_device_name)] = ""
    allow_managed: bool = True
    allow_global: bool = False
    allow_default: bool = False
    allow_dns: Annotated[bool, Field(alias="allowDNS")] = False

    def membership(self) -> Membership:
        """Return what it means."""
        policy = Policy(self.allow_managed, self.allow_global, self.allow_default, self.allow_dns)
        return Membership(self.network_id(), self.required, policy)


class HealthEntry(Model):
    """Where health and metrics are served."""

    enabled: bool = True
    port: Port = DEFAULT_HEALTH_PORT
    address: Annotated[str, AfterValidator(_ip_or_nothing)] = ""

    def settings(self, environment: Mapping[str, str]) -> HealthSettings | None:
        """Return what it means; None for not at all."""
        if not self.enabled:
            return None
        try:
            ip = ip_address(self.address or environment.get(HOST_IP) or "127.0.0.1")
        except ValueError as error:
            raise ConfigError(f"{HOST_IP} in the environment: {error}") from error
        return HealthSettings(ip, self.port)


class DeclaredEntry(_Named):
    """A network that the controller is to have."""

    settings: Annotated[dict[str, Any], AfterValidator(_network_fields)] = Field(
        default_factory=dict
    )


class ControllerEntry(Model):
    """What a controller starts with."""

    networks: list[DeclaredEntry] = Field(default_factory=list)
    auto_authorize: bool = False


class NodeFile(Model):
    """All that such a file may say."""

    home: AbsolutePath = DEFAULT_HOME
    port: Port = DEFAULT_PORT
    planet: AbsolutePath | None = None
    identity: AbsolutePath | None = None
    networks: list[NetworkEntry] = Field(default_factory=list)
    health: HealthEntry = Field(default_factory=HealthEntry)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    engine: Literal["auto", "jit", "portable", "plain"] = "auto"
    controller: ControllerEntry | None = None


def read_settings(file: Path, environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings that a file means; ConfigError names all that is wrong in it."""
    read = read_yaml(file, NodeFile)
    memberships = [entry.membership() for entry in read.networks]
    names = {
        membership.network_id: entry.interface_name
        for membership, entry in zip(memberships, read.networks, strict=True)
        if entry.interface_name
    }
    return _with_controller(
        read.controller,
        Settings(
            home=read.home,
            port=read.port,
            is_port_given="port" in read.model_fields_set,
            planet=read.planet,
            identity=read.identity,
            memberships=tuple(memberships),
            interface_names=names,
            health=read.health.settings(environment),
            log_level=read.log_level,
            engine=read.engine,
        ),
    )


def _with_controller(entry: ControllerEntry | None, settings: Settings) -> Settings:
    if entry is None:
        return settings
    return replace(
        settings,
        declared=tuple(DeclaredNetwork(one.network_id(), one.settings) for one in entry.networks),
        auto_authorize=entry.auto_authorize,
    )
