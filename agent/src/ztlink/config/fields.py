"""Kinds of values in the YAML that configures a node: networks' ids, devices' names, ports."""

import re
from ipaddress import ip_address
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ztlink.errors import ConfigError
from ztlink.ids import NetworkId, parse_network_id
from ztlink.yaml_file import AbsolutePath, Model, read_word

_DEVICE_NAME: Final = re.compile(r"(?!\.{1,2}$)[^\s/:%]{1,15}")
"""What the kernel takes."""


def _network_id(value: object) -> int:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError('is a number to YAML: put the 16 hex digits in quotes, "8056c2e21c000001"')
    if not isinstance(value, str):
        raise ValueError("should be 16 hex digits such as 8056c2e21c000001")
    return parse_network_id(value)


def _device_name(value: str) -> str:
    if value and not _DEVICE_NAME.fullmatch(value):
        raise ValueError("should be a device's name: at most 15 characters, none of '/', ':', ' '")
    return value


def _ip_or_nothing(value: str) -> str:
    return value and str(ip_address(value))


NetworkIdField = Annotated[int, BeforeValidator(_network_id)]
DeviceName = Annotated[str, AfterValidator(_device_name)]
"""Empty for one that is derived from the network's id."""
IpOrNothing = Annotated[str, AfterValidator(_ip_or_nothing)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Named(Model):
    """A network's id, itself or in a file."""

    id: NetworkIdField | None = None
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
