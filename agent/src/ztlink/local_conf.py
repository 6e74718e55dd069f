"""`local.conf`: what an operator says of ports and physical networks (wire.adoc#local-conf).

The file is the original's and is only read here, so that a home can be given back as it was. What
makes no sense is a ConfigError with the key, the value and what would be right; what is understood
but has no effect in this program, or is not known at all, becomes a note.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any, Final, TypeVar

from ztlink.errors import ConfigError
from ztlink.ids import Address, Endpoint, IpAddress, parse_address
from ztlink.vl1.context import IpNetwork, PhysicalNetwork

LOCAL_CONF: Final = "local.conf"
MAX_PHYSICAL: Final = 32
MIN_MTU: Final = 1400
MAX_MTU: Final = 10_324
_MAX_PORT: Final = 65_535
_MAX_TRUSTED_PATH_ID: Final = 2**64 - 1

WITH_EFFECT: Final = frozenset(
    {
        "allowManagementFrom",
        "allowSecondaryPort",
        "bind",
        "interfacePrefixBlacklist",
        "primaryPort",
        "secondaryPort",
        "tertiaryPort",
    }
)
"""Settings that are followed."""
WITHOUT_EFFECT: Final[Mapping[str, tuple[object, str]]] = {
    "portMappingEnabled": (False, "ports are not mapped by UPnP or NAT-PMP"),
    "allowTcpFallbackRelay": (False, "there is no TCP relay: without UDP the node is offline"),
    "forceTcpRelay": (False, "there is no TCP relay: packets go by UDP"),
    "tcpFallbackRelay": (None, "there is no TCP relay"),
    "lowBandwidthMode": (False, "there is no such mode"),
    "softwareUpdate": ("disable", "the program does not update itself"),
    "softwareUpdateChannel": (None, "the program does not update itself"),
    "softwareUpdateDist": (False, "the program does not update itself"),
    "multipathMode": (0, "there is no bonding"),
    "defaultBondingPolicy": ("none", "there is no bonding"),
    "policies": ({}, "there is no bonding"),
    "peerSpecificBonds": ({}, "there is no bonding"),
    "multicoreEnabled": (False, "packets are handled by one thread"),
    "concurrency": (None, "packets are handled by one thread"),
    "cpuPinningEnabled": (False, "threads are not tied to processors"),
}
"""Settings of the original that change nothing here, the value that needs no note, and why."""

Json = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LocalConf:
    """What the file says, checked."""

    primary_port: int | None = None
    """None where it is not said; 0 for a random one."""
    secondary_port: int | None = 0
    """None for none at all; 0 for a random one."""
    tertiary_port: int | None = None
    bind: tuple[IpAddress, ...] = ()
    interface_prefixes: tuple[str, ...] = ()
    """Devices whose names begin so are not used, beyond those that never are."""
    physical: tuple[PhysicalNetwork, ...] = ()
    """The longest prefix first."""
    management: tuple[IpNetwork, ...] = ()
    """Who may use the local API, beside this machine."""
    hints: tuple[tuple[Address, tuple[Endpoint, ...]], ...] = ()
    """Where peers may be found, by address."""
    notes: tuple[str, ...] = ()
    """What has no effect, a sentence each."""


def parse_local_conf(content: bytes, where: str) -> LocalConf:
    """Read the file; `where` names it in messages. ConfigError says what to change."""
    return _Parser(where).parse(content)


class _Parser:
    """One reading of the file; gathers notes on the way."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._notes: list[str] = []

    def parse(self, content: bytes) -> LocalConf:
        if not content.strip():
            return LocalConf()
        try:
            whole = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise ConfigError(
                f"{self._where} is not JSON ({error}); it was left as it is: correct it there"
            ) from error
        if not isinstance(whole, dict):
            raise self._error("", whole, 'an object, as {"settings": {}}')
        settings = self._object(whole, "settings", "")
        physical = self._physical(self._object(whole, "physical", ""))
        hints = self._hints(self._object(whole, "virtual", ""))
        self._note_unknown(whole, "", {"settings", "physical", "virtual"})
        return self._settings(settings, physical, hints)

    # -- sections ----------------------------------------------------------------------------

    def _settings(
        self,
        settings: Json,
        physical: tuple[PhysicalNetwork, ...],
        hints: tuple[tuple[Address, tuple[Endpoint, ...]], ...],
    ) -> LocalConf:
        allows_secondary = self._flag(settings, "allowSecondaryPort", "settings", default=True)
        primary, tertiary = (
            self._port(settings, "primaryPort"),
            self._port(settings, "tertiaryPort"),
        )
        secondary = self._port(settings, "secondaryPort") or 0
        self._check_distinct(primary, secondary, tertiary)
        bind = self._list(settings, "bind", "an IP address, as 192.0.2.1", ip_address)
        wanted = "the beginning of device names"
        prefixes = self._list(settings, "interfacePrefixBlacklist", wanted, _prefix)
        wanted = "a network, as 192.0.2.0/24, or 192.0.2.1/32 for one address"
        management = self._list(settings, "allowManagementFrom", wanted, _management)
        self._note_without_effect(settings)
        return LocalConf(
            primary_port=primary,
            secondary_port=secondary if allows_secondary else None,
            tertiary_port=tertiary or None,
            bind=bind,
            interface_prefixes=prefixes,
            physical=physical,
            management=management,
            hints=hints,
            notes=tuple(self._notes),
        )

    def _note_without_effect(self, settings: Json) -> None:
        for key, (silent, why) in WITHOUT_EFFECT.items():
            if key in settings and settings[key] != silent:
                self._notes.append(f"settings.{key} has no effect: {why}")
        self._note_unknown(settings, "settings.", {*WITH_EFFECT, *WITHOUT_EFFECT})

    def _physical(self, section: Json) -> tuple[PhysicalNetwork, ...]:
        if len(section) > MAX_PHYSICAL:
            raise self._error("physical", len(section), f"at most {MAX_PHYSICAL} networks")
        networks = [self._physical_network(text, section) for text in section]
        return tuple(sorted(networks, key=lambda network: -network.prefix.prefixlen))

    def _physical_network(self, text: str, section: Json) -> PhysicalNetwork:
        prefix = self._network(text, "physical", text)
        fields = self._object(section, text, "physical.")
        where = f"physical.{text}"
        mtu = self._number(fields, "mtu", where, _MAX_PORT) or 0
        if mtu and not MIN_MTU <= mtu <= MAX_MTU:
            clamped = min(max(mtu, MIN_MTU), MAX_MTU)
            self._notes.append(f"{where}.mtu is {mtu}: taken as {clamped}")
            mtu = clamped
        self._note_unknown(fields, f"{where}.", {"mtu", "trustedPathId", "blacklist"})
        return PhysicalNetwork(
            prefix,
            mtu,
            self._number(fields, "trustedPathId", where, _MAX_TRUSTED_PATH_ID) or 0,
            self._flag(fields, "blacklist", where, default=False),
        )

    def _hints(self, section: Json) -> tuple[tuple[Address, tuple[Endpoint, ...]], ...]:
        hints = []
        for text in section:
            try:
                address = parse_address(text)
            except ValueError as error:
                what = "the 10 hex digits of a node"
                raise self._error("virtual", text, what) from error
            fields = self._object(section, text, "virtual.")
            where = f"virtual.{text}."
            wanted = "an endpoint, as 192.0.2.1/9993"
            endpoints = self._list(fields, "try", wanted, _endpoint, where)
            if fields.get("blacklist"):
                self._notes.append(f"{where}blacklist has no effect: use physical")
            self._note_unknown(fields, where, {"try", "blacklist"})
            hints.append((address, endpoints))
        return tuple(hints)

    # -- values ------------------------------------------------------------------------------

    def _object(self, parent: Json, key: str, where: str) -> Json:
        value = parent.get(key, {})
        if not isinstance(value, dict):
            raise self._error(where + key, value, "an object in braces")
        return value

    def _flag(self, parent: Json, key: str, where: str, *, default: bool) -> bool:
        value = parent.get(key, default)
        if not isinstance(value, bool):
            raise self._error(f"{where}.{key}", value, "true or false")
        return value

    def _port(self, settings: Json, key: str) -> int | None:
        return self._number(settings, key, "settings", _MAX_PORT)

    def _number(self, parent: Json, key: str, where: str, greatest: int) -> int | None:
        """Return a whole number; also one in quotes, as people write those of 64 bits."""
        value = parent.get(key)
        if key not in parent:
            return None
        number = int(value) if isinstance(value, str) and _is_decimal(value) else value
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= greatest:
            raise self._error(f"{where}.{key}", value, f"a whole number from 0 to {greatest}")
        return number

    def _network(self, text: str, key: str, value: object) -> IpNetwork:
        wanted = "networks with a prefix length above 0, as 192.0.2.0/24"
        try:
            network = ip_network(text, strict=False)
        except ValueError as error:
            raise self._error(key, value, wanted) from error
        if "/" not in text or network.prefixlen == 0:
            raise self._error(key, value, wanted)
        return network

    def _list(
        self,
        parent: Json,
        key: str,
        wanted: str,
        read: Callable[[str], T],
        where: str = "settings.",
    ) -> tuple[T, ...]:
        values = parent.get(key, [])
        if not isinstance(values, list):
            raise self._error(where + key, values, f"a list in brackets, each {wanted}")
        found = []
        for value in values:
            try:
                found.append(read(_text(value)))
            except ValueError as error:
                raise self._error(where + key, value, wanted) from error
        return tuple(dict.fromkeys(found))

    def _check_distinct(self, *ports: int | None) -> None:
        fixed = [port for port in ports if port]
        if len(set(fixed)) < len(fixed):
            raise self._error("settings", fixed, "different ports")

    # -- what is said ------------------------------------------------------------------------

    def _note_unknown(self, parent: Json, where: str, known: set[str]) -> None:
        self._notes += [
            f"{where}{key} is not known and has no effect" for key in parent if key not in known
        ]

    def _error(self, key: str, value: object, wanted: str) -> ConfigError:
        text = json.dumps(value)
        shown = text if len(text) <= 80 else text[:77] + "..."
        what = f"{key} is {shown}" if key else f"the whole is {shown}"
        return ConfigError(
            f"{self._where}: {what}, and must be {wanted}; the file was left as it is"
        )


def _is_decimal(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 20


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("not a string")
    return value


def _prefix(text: str) -> str:
    if not text or any(letter.isspace() or letter == "/" for letter in text):
        raise ValueError(text)
    return text


def _management(text: str) -> IpNetwork:
    if "/" not in text:  # the original takes that for everybody
        raise ValueError(text)
    return ip_network(text, strict=False)


def _endpoint(text: str) -> Endpoint:
    ip, slash, port = text.rpartition("/")
    if not slash or not _is_decimal(port) or not 0 < int(port) <= _MAX_PORT:
        raise ValueError(text)
    return Endpoint(ip_address(ip), int(port))
