"""The YAML of `ztlink node|root|controller --config FILE`, and the settings that it means."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import Field

from ztlink.config.controller import ControllerEntry
from ztlink.config.fields import Port
from ztlink.config.http import HealthEntry
from ztlink.config.networks import NetworkEntry
from ztlink.settings import DEFAULT_HOME, DEFAULT_PORT, DeclaredNetwork, Settings
from ztlink.yaml_file import AbsolutePath, Model, read_yaml


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
