"""Networks and members as a controller keeps them, and as its REST API shows and takes them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_interface
from typing import Any, Final, Self

from ztlink.errors import ZtError
from ztlink.ids import (
    Address,
    IpAddress,
    IpInterface,
    NetworkId,
    format_address,
    format_network_id,
    parse_address,
)
from ztlink.wire.rules import MAX_CAPABILITY_RULES, MAX_NETWORK_RULES, Rule, RuleType
from ztlink.wire.rules_json import rule_from_json, rule_to_json

Json = dict[str, Any]

MIN_MTU: Final = 1280
MAX_MTU: Final = 10_000
MAX_ITEMS: Final = 128
MAX_ASSIGNMENTS: Final = 32
MAX_NAME: Final = 127
MAX_UINT32: Final = 0xFFFF_FFFF
ACCEPT_ALL: Final = (Rule(RuleType.ACTION_ACCEPT),)


class FieldError(ZtError, ValueError):
    """A field of a request is not good; the message names it, its value and the reason."""


@dataclass(frozen=True, slots=True)
class Pool:
    """A range from which addresses are given out."""

    start: IpAddress
    end: IpAddress


@dataclass(frozen=True, slots=True)
class ManagedRoute:
    """A route that members are told."""

    target: IpInterface
    via: IpAddress | None = None


@dataclass(frozen=True, slots=True)
class CapabilityRecord:
    """Rules that members may be given."""

    capability_id: int
    is_default: bool
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class TagRecord:
    """A tag, and the value that a member has unless it is given another."""

    tag_id: int
    default: int | None = None


@dataclass(frozen=True, slots=True)
class NetworkRecord:
    """A network."""

    network_id: NetworkId
    creation_unix_ms: int
    name: str = ""
    private: bool = True
    revision: int = 1
    enable_broadcast: bool = True
    multicast_limit: int = 32
    mtu: int = 2800
    v4_zt: bool = False
    v6_zt: bool = False
    v6_rfc4193: bool = False
    v6_sixplane: bool = False
    routes: tuple[ManagedRoute, ...] = ()
    pools: tuple[Pool, ...] = ()
    rules: tuple[Rule, ...] = ACCEPT_ALL
    capabilities: tuple[CapabilityRecord, ...] = ()
    tags: tuple[TagRecord, ...] = ()
    auth_tokens: tuple[tuple[str, int], ...] = ()
    """Token and expiry in Unix milliseconds, 0 for never."""
    dns_domain: str = ""
    dns_servers: tuple[IpAddress, ...] = ()
    trace_target: Address | None = None
    trace_level: int = 0
    credential_window_ms: int | None = None
    """By how much certificates may differ in age; in files of the original alone, as are the rest.

    The REST API shows these fields and passes over them in requests.
    """
    rules_source: str = ""
    sso_enabled: bool = False
    client_id: str = ""
    authorization_endpoint: str = ""

    def to_json(self) -> Json:
        """Return the form that the REST API shows."""
        dns: Any = []
        if self.dns_domain or self.dns_servers:
            dns = {"domain": self.dns_domain, "servers": [str(ip) for ip in self.dns_servers]}
        network_id = format_network_id(self.network_id)
        return {
            "authTokens": dict(self.auth_tokens) or [None],
            "authorizationEndpoint": self.authorization_endpoint,
            "capabilities": [
                {
                    "id": c.capability_id,
                    "default": c.is_default,
                    "rules": [rule_to_json(rule) for rule in c.rules],
                }
                for c in self.capabilities
            ],
            **self._window_json(),
            "clientId": self.client_id,
            "creationTime": self.creation_unix_ms,
            "dns": dns,
            "enableBroadcast": self.enable_broadcast,
            "id": network_id,
            "ipAssignmentPools": [
                {"ipRangeStart": str(p.start), "ipRangeEnd": str(p.end)} for p in self.pools
            ],
            "mtu": self.mtu,
            "multicastLimit": self.multicast_limit,
            "name": self.name,
            "nwid": network_id,
            "objtype": "network",
            "private": self.private,
            "remoteTraceLevel": self.trace_level,
            "remoteTraceTarget": _address_json(self.trace_target),
            "revision": self.revision,
            "routes": [
                {"target": str(r.target), "via": str(r.via) if r.via else None} for r in self.routes
            ],
            "rules": [rule_to_json(rule) for rule in self.rules],
            "rulesSource": self.rules_source,
            "ssoEnabled": self.sso_enabled,
            "tags": [{"id": t.tag_id, "default": t.default} for t in self.tags],
            "v4AssignMode": {"zt": self.v4_zt},
            "v6AssignMode": {
                "6plane": self.v6_sixplane,
                "rfc4193": self.v6_rfc4193,
                "zt": self.v6_zt,
            },
        }

    def _window_json(self) -> Json:
        if self.credential_window_ms is None:
            return {}
        return {"certificateTimeoutWindowSize": self.credential_window_ms}

    def updated(self, body: Mapping[str, Any]) -> Self:
        """Return the network with the fields of a request put in; unknown ones are passed over."""
        return replace(self, **_read(body, _NETWORK_FIELDS))


@dataclass(frozen=True, slots=True)
class MemberRecord:
    """A member of a network."""

    network_id: NetworkId
    address: Address
    creation_unix_ms: int
    authorized: bool = False
    active_bridge: bool = False
    no_auto_assign_ips: bool = False
    name: str = ""
    identity: str = ""
    revision: int = 1
    ip_assignments: tuple[IpAddress, ...] = ()
    tags: tuple[tuple[int, int], ...] = ()
    capabilities: tuple[int, ...] = ()
    last_authorized_unix_ms: int = 0
    last_deauthorized_unix_ms: int = 0
    credential_type: str | None = None
    credential: str | None = None
    authentication_expiry: int = 0
    sso_exempt: bool = False
    trace_target: Address | None = None
    trace_level: int = 0
    version: tuple[int, int, int] = (-1, -1, -1)
    protocol: int = -1

    def to_json(self) -> Json:
        """Return the form that the REST API shows."""
        address = format_address(self.address)
        return {
            "activeBridge": self.active_bridge,
            "address": address,
            "authenticationExpiryTime": self.authentication_expiry,
            "authorized": self.authorized,
            "capabilities": list(self.capabilities),
            "creationTime": self.creation_unix_ms,
            "id": address,
            "identity": self.identity,
            "ipAssignments": [str(ip) for ip in self.ip_assignments],
            "lastAuthorizedCredential": self.credential,
            "lastAuthorizedCredentialType": self.credential_type,
            "lastAuthorizedTime": self.last_authorized_unix_ms,
            "lastDeauthorizedTime": self.last_deauthorized_unix_ms,
            "name": self.name,
            "noAutoAssignIps": self.no_auto_assign_ips,
            "nwid": format_network_id(self.network_id),
            "objtype": "member",
            "remoteTraceLevel": self.trace_level,
            "remoteTraceTarget": _address_json(self.trace_target),
            "revision": self.revision,
            "ssoExempt": self.sso_exempt,
            "tags": [[number, value] for number, value in self.tags],
            "vMajor": self.version[0],
            "vMinor": self.version[1],
            "vProto": self.protocol,
            "vRev": self.version[2],
        }

    def updated(self, body: Mapping[str, Any], unix_ms: int) -> Self:
        """Return the member with the fields of a request put in."""
        changed = replace(self, **_read(body, _MEMBER_FIELDS))
        return (
            changed
            if changed.authorized == self.authorized
            else changed.stamped(changed.authorized, "api", None, unix_ms)
        )

    def stamped(self, authorized: bool, kind: str, credential: str | None, unix_ms: int) -> Self:
        """Return the member authorised or not, with when and by what."""
        if not authorized:
            return replace(self, authorized=False, last_deauthorized_unix_ms=unix_ms)
        return replace(
            self,
            authorized=True,
            last_authorized_unix_ms=unix_ms,
            credential_type=kind,
            credential=credential,
        )


# -- reading fields ------------------------------------------------------------------------------

Reading = Callable[[str, object], dict[str, Any]]
"""Takes a field's name and value, returns attributes; raises FieldError."""


def _read(body: Mapping[str, Any], fields: Mapping[str, Reading]) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    for key, reading in fields.items():
        if key in body:
            attributes |= reading(key, body[key])
    return attributes


def _refuse(key: str, value: object, wanted: str) -> FieldError:
    return FieldError(f"{key}: {value!r} is not {wanted}"[:300])


def _boolean(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise _refuse(key, value, "true or false")
    return value


def _integer(key: str, value: object, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _refuse(key, value, f"an integer from {low} to {high}")
    return value


def _text(key: str, value: object, most: int = MAX_NAME) -> str:
    # Half of a surrogate pair may stand in JSON, but it is no text.
    if not isinstance(value, str) or len(value.encode(errors="replace")) > most:
        raise _refuse(key, value, f"a text of at most {most} bytes")
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise _refuse(key, value, "a text in Unicode")
    return value


def _list(key: str, value: object, most: int = MAX_ITEMS) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise _refuse(key, value, f"a list of at most {most} items")
    return value


def _object(key: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _refuse(key, value, "an object")
    return value


def _ip(key: str, value: object) -> IpAddress:
    try:
        ip = ip_address(str(value))
    except ValueError as error:
        raise _refuse(key, value, "an IP address") from error
    if "%" in str(ip):  # the name of an interface of ours means nothing to members
        raise _refuse(key, value, "an IP address without a scope")
    return ip


def _interface(key: str, value: object) -> IpInterface:
    if not isinstance(value, str) or "/" not in value or "%" in value:
        raise _refuse(key, value, "an IP range such as 10.1.0.0/16")
    try:
        return ip_interface(value)
    except ValueError as error:
        raise _refuse(key, value, "an IP range such as 10.1.0.0/16") from error


def _as(attribute: str, read: Callable[[str, object], object]) -> Reading:
    return lambda key, value: {attribute: read(key, value)}


def _number(attribute: str, low: int, high: int) -> Reading:
    return lambda key, value: {attribute: _integer(key, value, low, high)}


def _routes(key: str, value: object) -> tuple[ManagedRoute, ...]:
    routes = []
    for item in _list(key, value):
        entry = _object(key, item)
        via = entry.get("via")
        target = _interface(f"{key}.target", entry.get("target"))
        gateway = None if via in (None, "") else _ip(f"{key}.via", via)
        if gateway is not None and gateway.version != target.version:
            raise _refuse(f"{key}.via", via, "of the family of its target")
        routes.append(ManagedRoute(target, gateway))
    return tuple(routes)


def _pools(key: str, value: object) -> tuple[Pool, ...]:
    pools = []
    for item in _list(key, value):
        entry = _object(key, item)
        start = _ip(f"{key}.ipRangeStart", entry.get("ipRangeStart"))
        end = _ip(f"{key}.ipRangeEnd", entry.get("ipRangeEnd"))
        if start.version != end.version or int(end) < int(start):
            raise _refuse(key, item, "a range: its end is before its start or of another family")
        pools.append(Pool(start, end))
    return tuple(pools)


def _rules(key: str, value: object, most: int = MAX_NETWORK_RULES) -> tuple[Rule, ...]:
    rules = []
    for index, item in enumerate(_list(key, value, most)):
        try:
            rules.append(rule_from_json(_object(key, item)))
        except (ValueError, KeyError, TypeError) as error:
            raise FieldError(f"{key}[{index}]: {error}") from error
    return tuple(rules)


def _capabilities(key: str, value: object) -> tuple[CapabilityRecord, ...]:
    found: dict[int, CapabilityRecord] = {}
    for item in _list(key, value):
        entry = _object(key, item)
        number = _integer(f"{key}.id", entry.get("id"), 0, MAX_UINT32)
        rules = _rules(f"{key}.rules", entry.get("rules", []), MAX_CAPABILITY_RULES)
        default = _boolean(f"{key}.default", entry.get("default", False))
        found[number] = CapabilityRecord(number, default, rules)
    return tuple(found[number] for number in sorted(found))


def _tag_records(key: str, value: object) -> tuple[TagRecord, ...]:
    found: dict[int, TagRecord] = {}
    for item in _list(key, value):
        entry = _object(key, item)
        number = _integer(f"{key}.id", entry.get("id"), 0, MAX_UINT32)
        default = entry.get("default")
        if default is not None:
            default = _integer(f"{key}.default", default, 0, MAX_UINT32)
        found[number] = TagRecord(number, default)
    return tuple(found[number] for number in sorted(found))


def _tag_values(key: str, value: object) -> tuple[tuple[int, int], ...]:
    found: dict[int, int] = {}
    for item in _list(key, value):
        pair = _list(key, item, 2)
        if len(pair) != 2:
            raise _refuse(key, item, "a pair of tag id and value")
        found[_integer(key, pair[0], 0, MAX_UINT32)] = _integer(key, pair[1], 0, MAX_UINT32)
    return tuple(sorted(found.items()))


def _capability_ids(key: str, value: object) -> tuple[int, ...]:
    return tuple(sorted({_integer(key, item, 0, MAX_UINT32) for item in _list(key, value)}))


def _assignments(key: str, value: object) -> tuple[IpAddress, ...]:
    texts = (str(item).partition("/")[0] for item in _list(key, value, MAX_ASSIGNMENTS))
    return tuple(dict.fromkeys(_ip(key, text) for text in texts))


def _tokens(key: str, value: object) -> tuple[tuple[str, int], ...]:
    if value in (None, [], [None]):
        return ()
    entries = _object(key, value).items()
    return tuple((_text(key, name), _integer(key, expiry, 0, 1 << 62)) for name, expiry in entries)


def _dns(key: str, value: object) -> dict[str, Any]:
    if value in (None, [], {}):
        return {"dns_domain": "", "dns_servers": ()}
    entry = _object(key, value)
    servers = _list(f"{key}.servers", entry.get("servers", []), 4)
    return {
        "dns_domain": _text(f"{key}.domain", entry.get("domain", "")),
        "dns_servers": tuple(_ip(f"{key}.servers", server) for server in servers),
    }


def _v4_mode(key: str, value: object) -> dict[str, Any]:
    if value == "zt":
        return {"v4_zt": True}
    entry = _object(key, value)
    return {"v4_zt": _boolean(f"{key}.zt", entry.get("zt", False))}


def _v6_mode(key: str, value: object) -> dict[str, Any]:
    if isinstance(value, str):
        value = dict.fromkeys((part.strip() for part in value.split(",") if part.strip()), True)
    entry = _object(key, value)
    return {
        "v6_zt": _boolean(f"{key}.zt", entry.get("zt", False)),
        "v6_rfc4193": _boolean(f"{key}.rfc4193", entry.get("rfc4193", False)),
        "v6_sixplane": _boolean(f"{key}.6plane", entry.get("6plane", False)),
    }


def _trace_target(key: str, value: object) -> Address | None:
    if value in (None, ""):
        return None
    try:
        return parse_address(str(value))
    except ValueError as error:
        raise _refuse(key, value, "a ZeroTier address") from error


def _address_json(address: Address | None) -> str | None:
    return None if address is None else format_address(address)


_NETWORK_FIELDS: Final[Mapping[str, Reading]] = {
    "name": _as("name", _text),
    "private": _as("private", _boolean),
    "enableBroadcast": _as("enable_broadcast", _boolean),
    "multicastLimit": _number("multicast_limit", 0, 1 << 20),
    "mtu": _number("mtu", MIN_MTU, MAX_MTU),
    "v4AssignMode": _v4_mode,
    "v6AssignMode": _v6_mode,
    "routes": _as("routes", _routes),
    "ipAssignmentPools": _as("pools", _pools),
    "rules": _as("rules", _rules),
    "capabilities": _as("capabilities", _capabilities),
    "tags": _as("tags", _tag_records),
    "authTokens": _as("auth_tokens", _tokens),
    "dns": _dns,
    "remoteTraceTarget": _as("trace_target", _trace_target),
    "remoteTraceLevel": _number("trace_level", 0, 100),
}
_MEMBER_FIELDS: Final[Mapping[str, Reading]] = {
    "authorized": _as("authorized", _boolean),
    "activeBridge": _as("active_bridge", _boolean),
    "noAutoAssignIps": _as("no_auto_assign_ips", _boolean),
    "ipAssignments": _as("ip_assignments", _assignments),
    "tags": _as("tags", _tag_values),
    "capabilities": _as("capabilities", _capability_ids),
    "name": _as("name", _text),
    "authenticationExpiryTime": _number("authentication_expiry", 0, 1 << 62),
    "remoteTraceTarget": _as("trace_target", _trace_target),
    "remoteTraceLevel": _number("trace_level", 0, 100),
}
