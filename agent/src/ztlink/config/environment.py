"""What the environment says: it wins over the file, and holds what is not to be in one.

What may be secret can also be in a file that a variable names (`..._FILE`), as Kubernetes mounts
them; the variable itself wins over that file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ztlink.bounded_file import read_bounded, require_regular
from ztlink.errors import ConfigError
from ztlink.ids import parse_network_id

NETWORK_ID: Final = "ZEROTIER_NETWORK_ID"
NETWORK_ID_FILE: Final = "ZEROTIER_NETWORK_ID_FILE"
HOST_IP: Final = "HOST_IP"
"""The address of the machine that a pod runs on (downward API), where the file names none."""
NODE_NAME: Final = "NODE_NAME"
"""The machine's name in its cluster (downward API), where the file says none."""
KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "ZTLINK_HOME": ("home",),
    "ZTLINK_ENGINE": ("engine",),
    "ZTLINK_LOG_LEVEL": ("log", "level"),
    "ZTLINK_LOG_FORMAT": ("log", "format"),
    "ZEROTIER_IDENTITY_FILE": ("identity",),
    "ZEROTIER_PLANET_FILE": ("planet",),
}
"""Where in the file a variable's value goes."""
_MAX_IDS: Final = 1 << 16


@dataclass(slots=True)
class Overlaid:
    """Keys and values of a file under those of the environment."""

    content: dict[str, Any]
    origins: dict[str, str] = field(default_factory=dict)
    """The variable that a path's value is from, where it is not from the file."""
    files: list[Path] = field(default_factory=list)
    """What was read beside the file."""


def overlay(content: dict[str, Any], environment: Mapping[str, str]) -> Overlaid:
    """Put the environment's values over a file's; ConfigError where they are none."""
    made = Overlaid(dict(content))
    for variable, path in KEYS.items():
        if environment.get(variable):
            _put(made, path, environment[variable], variable)
    _add_networks(made, environment)
    return made


def _put(made: Overlaid, path: tuple[str, ...], value: str, variable: str) -> None:
    place = made.content
    for key in path[:-1]:
        inner = place.get(key)
        if inner is not None and not isinstance(inner, dict):
            return  # a mistake of the file, which is going to be said
        place[key] = place = dict(inner or {})
    place[path[-1]] = value
    made.origins[".".join(path)] = variable


@dataclass(frozen=True, slots=True)
class Named:
    """Networks that the environment names."""

    variable: str = ""
    ids: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    """What was read for that."""


def named_networks(environment: Mapping[str, str]) -> Named:
    """Return the networks that the environment names; ConfigError where their ids are none."""
    if environment.get(NETWORK_ID):
        ids = _ids(environment[NETWORK_ID], f"{NETWORK_ID} in the environment")
        return Named(NETWORK_ID, tuple(ids))
    if environment.get(NETWORK_ID_FILE):
        file = Path(environment[NETWORK_ID_FILE])
        return Named(NETWORK_ID_FILE, tuple(read_ids(file, NETWORK_ID_FILE)), (file,))
    return Named()


def read_ids(file: Path, what: str) -> list[str]:
    """Return the networks' ids in a file; what it holds instead is not repeated."""
    try:
        require_regular(file, what)
        text = read_bounded(file, _MAX_IDS).decode("ascii", errors="replace")
    except OSError as error:
        raise ConfigError(
            f"{what}: cannot read {file}: {error.strerror}; it should hold a network's id"
        ) from error
    found = _ids(text, f"{what}: {file}")
    if not found:
        raise ConfigError(f"{what}: {file} is empty: it should hold a network's id")
    return found


def _ids(text: str, where: str) -> list[str]:
    """Return ids that are parted by commas or white space."""
    words = text.replace(",", " ").split()
    for word in words:
        try:
            parse_network_id(word)
        except ValueError:
            raise ConfigError(
                f"{where}: {len(word)} characters that are no network's id, which is 16 hex "
                "digits such as 8056c2e21c000001"
            ) from None
    return list(dict.fromkeys(words))


def _add_networks(made: Overlaid, environment: Mapping[str, str]) -> None:
    """Name the file's entry without an id, then add what no entry names."""
    named = named_networks(environment)
    made.files += named.files
    entries = made.content.get("networks") or []
    if not named.ids or not isinstance(entries, list):
        return
    entries = list(entries)
    known = [entry.get("id") for entry in entries if isinstance(entry, dict)]
    left = [one for one in named.ids if one not in known]
    for index, entry in enumerate(entries):
        if isinstance(entry, dict) and not entry.keys() & {"id", "idFile"} and left:
            entries[index] = {"id": left.pop(0), **entry}
            made.origins[f"networks[{index}].id"] = named.variable
    for one in left:
        made.origins[f"networks[{len(entries)}].id"] = named.variable
        entries.append({"id": one})
    made.content["networks"] = entries
