"""The original's controller.d: taken over once, and written for whoever goes back.

Its files stay where they are. They hold what the original wrote, coerced values included; what is
harmless is put right and said, anything else stops the start, as no guess at who may come in, and
what they may send, would be a good one.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from ztlink.controller.fields import FieldError, Reading, integer, mapping
from ztlink.controller.kept import text_of
from ztlink.controller.records import (
    MEMBER_FIELDS,
    MEMBER_FILE_FIELDS,
    NETWORK_FIELDS,
    NETWORK_FILE_FIELDS,
    MemberRecord,
    NetworkRecord,
)
from ztlink.controller.store import ControllerStore
from ztlink.errors import ConfigError
from ztlink.ids import (
    Address,
    NetworkId,
    format_address,
    format_network_id,
    parse_address,
    parse_network_id,
)

logger = logging.getLogger(__name__)

DIRECTORY: Final = "controller.d"
_HARMLESS: Final = frozenset(
    {
        "name",
        "mtu",
        "multicastLimit",
        "dns",
        "remoteTraceTarget",
        "remoteTraceLevel",
        "creationTime",
        "revision",
        "certificateTimeoutWindowSize",
        "rulesSource",
        "clientId",
        "authorizationEndpoint",
        "lastAuthorizedTime",
        "lastDeauthorizedTime",
        "lastAuthorizedCredentialType",
        "lastAuthorizedCredential",
        "vProto",
    }
)
"""Fields whose defaults let nobody in and nothing through."""
_NETWORK: Final[Mapping[str, Reading]] = {**NETWORK_FIELDS, **NETWORK_FILE_FIELDS}
_MEMBER: Final[Mapping[str, Reading]] = {**MEMBER_FIELDS, **MEMBER_FILE_FIELDS}


def adopt(directory: Path, store: ControllerStore) -> int:
    """Take over the networks of the original that are not known yet; return how many.

    This is done once for a database, as a whole or not at all; ConfigError names the file that
    does not make sense.
    """
    networks = directory / "network"
    if not networks.is_dir() or store.note(DIRECTORY) is not None:
        return 0
    known = {network.network_id for network in store.networks()}
    count = 0
    with store.transaction():
        for file, network_id in _numbered(networks, 16):
            if network_id in known:
                continue
            store.put_network(_network(file, NetworkId(network_id)))
            count += 1
            for member_file, address in _numbered(file.with_suffix("") / "member", 10):
                store.put_member(_member(member_file, NetworkId(network_id), Address(address)))
        store.put_note(DIRECTORY, f"{count} networks of {directory}")
    return count


def write_original(store: ControllerStore, directory: Path) -> None:
    """Write all records as files of the original into a directory that is made for them."""
    try:
        directory.mkdir(mode=0o700)
        for network in store.networks():
            file = directory / "network" / format_network_id(network.network_id)
            (file / "member").mkdir(parents=True)
            file.with_suffix(".json").write_text(text_of(network))
        for member in store.members():
            file = directory / "network" / format_network_id(member.network_id) / "member"
            (file / f"{format_address(member.address)}.json").write_text(text_of(member))
    except OSError as error:
        raise ConfigError(f"cannot write {error.filename}: {error.strerror}") from error


def _numbered(directory: Path, digits: int) -> Iterator[tuple[Path, int]]:
    """Yield the files that are named by a number, in order; others are not the original's."""
    parse = parse_network_id if digits == 16 else parse_address
    for file in sorted(directory.glob("*.json")):
        try:
            yield file, parse(file.stem)
        except ValueError:
            logger.warning("passed over, as its name is no number file=%s", file)


def _network(file: Path, network_id: NetworkId) -> NetworkRecord:
    content = _content(file)
    return replace(NetworkRecord(network_id, 0), **_read(file, content, _NETWORK))


def _member(file: Path, network_id: NetworkId, address: Address) -> MemberRecord:
    content = _content(file)
    member = replace(MemberRecord(network_id, address, 0), **_read(file, content, _MEMBER))
    try:
        major, minor, revision = (
            integer(key, content.get(key, -1), -1, 1 << 16) for key in ("vMajor", "vMinor", "vRev")
        )
    except FieldError:
        return member  # it says so anew when it asks
    return replace(member, version=(major, minor, revision))


def _content(file: Path) -> dict[str, Any]:
    try:
        return mapping("its content", json.loads(file.read_text()))
    except (OSError, ValueError, RecursionError) as error:
        raise _unusable(file, error) from error


def _read(file: Path, content: dict[str, Any], fields: Mapping[str, Reading]) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    for key, reading in fields.items():
        if key not in content:
            continue
        try:
            attributes |= reading(key, content[key])
        except FieldError as error:
            if key not in _HARMLESS:
                raise _unusable(file, error) from error
            logger.warning("a field is left at its default file=%s reason=%s", file, error)
    return attributes


def _unusable(file: Path, error: Exception) -> ConfigError:
    return ConfigError(
        f"cannot take over {file} of ZeroTierOne's controller ({error}): correct the file, or "
        "move it away"
    )
