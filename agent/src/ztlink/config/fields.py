"""Kinds of values in the YAML that configures a node: networks' ids, devices' names, ports."""

import re
from collections.abc import Iterable
from ipaddress import ip_network
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from ztlink.config.environment import read_ids
from ztlink.errors import ConfigError
from ztlink.host.desired import IpNetwork
from ztlink.ids import NetworkId, format_network_id, parse_network_id
from ztlink.yaml_file import AbsolutePath, Model

_DEVICE_NAME: Final = re.compile(r"(?!(?:\.{1,2}|all|default)$)[A-Za-z0-9_.@+=,~-]{1,15}")
"""What the kernel takes, and rules of the firewall can say; `all` and `default` mean others."""


def network_id(value: object) -> int:
    """Take the 16 hex digits of a network."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError('is a number to YAML: put the 16 hex digits in quotes, "8056c2e21c000001"')
    if not isinstance(value, str):
        raise ValueError("should be 16 hex digits such as 8056c2e21c000001")
    return parse_network_id(value)


def _device_name(value: str) -> str:
    if value and not _DEVICE_NAME.fullmatch(value):
        raise ValueError(
            "should be a device's name such as zt-mesh: at most 15 letters, digits, or any of "
            "_ . @ + = , ~ -"
        )
    return value


def _network(value: object) -> str:
    """Take a range; one with bits behind its prefix is a mistake more often than meant."""
    wrong = ValueError("should be a range of addresses such as 10.20.0.0/16")
    if not isinstance(value, str):
        raise wrong
    try:
        meant = ip_network(value, strict=False)
    except ValueError:
        raise wrong from None
    if str(meant) != value and meant != _exactly(value):
        raise ValueError(f"has bits behind its prefix: should be {meant}, or the address alone")
    return str(meant)


def _exactly(text: str) -> IpNetwork | None:
    try:
        return ip_network(text)
    except ValueError:
        return None


def networks(texts: Iterable[str]) -> tuple[IpNetwork, ...]:
    """Return the networks that are written so."""
    return tuple(map(ip_network, texts))


def _network_name(value: object) -> str:
    return format_network_id(NetworkId(network_id(value)))


NetworkIdField = Annotated[
    int,
    BeforeValidator(network_id),
    WithJsonSchema({"type": "string", "pattern": "^[0-9a-fA-F]{16}$"}),
]
NetworkName = Annotated[
    str,
    BeforeValidator(_network_name),
    WithJsonSchema({"type": "string", "pattern": "^[0-9a-fA-F]{16}$"}),
]
NetworkField = Annotated[
    str,
    BeforeValidator(_network),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9a-fA-F.:]+(/\d{1,3})?$"}),
]
DeviceName = Annotated[
    str,
    AfterValidator(_device_name),
    WithJsonSchema({"type": "string", "pattern": r"^[A-Za-z0-9_.@+=,~-]{0,15}$"}),
]
"""Empty for one that is derived from the network's id."""
Port = Annotated[int, Field(ge=1, le=65535)]


class Named(Model):
    """A network's id, itself or in a file."""

    id: NetworkIdField | None = None
    id_file: AbsolutePath | None = None

    @model_validator(mode="after")
    def _is_named_once(self) -> Self:
        if (self.id is None) == (self.id_file is None):
            raise ValueError(
                "should have either id or idFile; one entry may do without where "
                "ZEROTIER_NETWORK_ID of the environment names its network"
            )
        return self

    def network_id(self) -> NetworkId:
        """Return the id, read from its file if it is in one."""
        if self.id is not None:
            return NetworkId(self.id)
        assert self.id_file is not None
        found = read_ids(self.id_file, "idFile")
        if len(found) > 1:
            raise ConfigError(f"idFile: {self.id_file} holds {len(found)} ids: it should hold one")
        return parse_network_id(found[0])
