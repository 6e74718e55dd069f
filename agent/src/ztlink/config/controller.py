"""What the YAML says of a controller."""

from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field

from ztlink.config.fields import Named
from ztlink.controller.fields import FieldError
from ztlink.controller.records import NetworkRecord
from ztlink.ids import NetworkId
from ztlink.yaml_file import Model

_BLANK: Final = NetworkRecord(NetworkId(0), 0)


def _network_fields(value: dict[str, Any]) -> dict[str, Any]:
    unknown = sorted(value.keys() - _BLANK.to_json().keys())
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: not a field of a controller's network")
    try:
        _BLANK.updated(value)
    except FieldError as error:
        raise ValueError(str(error)) from error
    return value


class DeclaredEntry(Named):
    """A network that the controller is to have."""

    settings: Annotated[dict[str, Any], AfterValidator(_network_fields)] = Field(
        default_factory=dict
    )


class ControllerEntry(Model):
    """What a controller starts with."""

    networks: list[DeclaredEntry] = Field(default_factory=list)
    auto_authorize: bool = False
