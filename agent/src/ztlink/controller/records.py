"""Networks and members as a controller keeps them, and as its REST API shows and takes them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from ztlink.controller.fields import (
    MAX_UINT32,
    FieldError,
    Reading,
    as_attribute,
    as_number,
    boolean,
    integer,
    interface,
    ip,
    items,
    mapping,
    read_fields,
    refuse,
    text,
    trace_target,
)
from ztlink.errors import WireError
from ztlink.ids import (
    Address,
    IpAddress,
    IpInterface,
    NetworkId,
    format_address,
    format_network_id,
)
from ztlink.wire.rules import MAX_CAPABILITY_RULES, MAX_NETWORK_RULES, Rule, RuleType
from ztlink.wire.rules_json import rule_from_json, rule_to_json

Json = dict[str, Any]

MIN_MTU: Final = 1280
MAX_MTU: Final = 10_000
MAX_ASSIGNMENTS: Final = 32
MAX_TIME: Final = 1 << 62
MAX_TEXT: Final = 1 << 20
MAX_REASON: Final = 300
"""Letters of what is wrong with a rule."""
_V6_MODES: Final = frozenset({"zt", "rfc4193", "6plane"})
ACCEPT_ALL: Final = (Rule(RuleType.ACTION_ACCEPT),)


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
        return replace(self, **read_fields(body, NETWORK_FIELDS))


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
        """Return the form that the REST API shows, without texts that nobody has given yet."""
        address = format_address(self.address)
        texts = {"identity": self.identity, "name": self.name}
        return {
            "activeBridge": self.active_bridge,
            "address": address,
            "authenticationExpiryTime": self.authentication_expiry,
            "authorized": self.authorized,
            "capabilities": list(self.capabilities),
            "creationTime": self.creation_unix_ms,
            "id": address,
            **{key: text for key, text in texts.items() if text},
            "ipAssignments": [str(ip) for ip in self.ip_assignments],
            "lastAuthorizedCredential": self.credential,
            "lastAuthorizedCredentialType": self.credential_type,
            "lastAuthorizedTime": self.last_authorized_unix_ms,
            "lastDeauthorizedTime": self.last_deauthorized_unix_ms,
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
        changed = replace(self, **read_fields(body, MEMBER_FIELDS))
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


def _routes(key: str, value: object) -> tuple[ManagedRoute, ...]:
    routes = []
    for item in items(key, value):
        entry = mapping(key, item)
        via = entry.get("via")
        target = interface(f"{key}.target", entry.get("target"))
        gateway = None if via in (None, "") else ip(f"{key}.via", via)
        if gateway is not None and gateway.version != target.version:
            raise refuse(f"{key}.via", via, "of the family of its target")
        routes.append(ManagedRoute(target, gateway))
    return tuple(routes)


def _pools(key: str, value: object) -> tuple[Pool, ...]:
    pools = []
    for item in items(key, value):
        entry = mapping(key, item)
        start = ip(f"{key}.ipRangeStart", entry.get("ipRangeStart"))
        end = ip(f"{key}.ipRangeEnd", entry.get("ipRangeEnd"))
        if start.version != end.version or int(end) < int(start):
            raise refuse(key, item, "a range: its end is before its start or of another family")
        pools.append(Pool(start, end))
    return tuple(pools)


def _rules(key: str, value: object, most: int = MAX_NETWORK_RULES) -> tuple[Rule, ...]:
    rules = []
    for index, item in enumerate(items(key, value, most)):
        try:
            rules.append(rule_from_json(mapping(key, item)))
        except WireError as error:
            raise FieldError(f"{key}[{index}]: {error}"[:MAX_REASON]) from error
    return tuple(rules)


def _capabilities(key: str, value: object) -> tuple[CapabilityRecord, ...]:
    found: dict[int, CapabilityRecord] = {}
    for item in items(key, value):
        entry = mapping(key, item)
        number = integer(f"{key}.id", entry.get("id"), 0, MAX_UINT32)
        rules = _rules(f"{key}.rules", entry.get("rules", []), MAX_CAPABILITY_RULES)
        default = boolean(f"{key}.default", entry.get("default", False))
        found[number] = CapabilityRecord(number, default, rules)
    return tuple(found[number] for number in sorted(found))


def _tag_records(key: str, value: object) -> tuple[TagRecord, ...]:
    found: dict[int, TagRecord] = {}
    for item in items(key, value):
        entry = mapping(key, item)
        number = integer(f"{key}.id", entry.get("id"), 0, MAX_UINT32)
        default = entry.get("default")
        if default is not None:
            default = integer(f"{key}.default", default, 0, MAX_UINT32)
        found[number] = TagRecord(number, default)
    return tuple(found[number] for number in sorted(found))


def _tag_values(key: str, value: object) -> tuple[tuple[int, int], ...]:
    found: dict[int, int] = {}
    for item in items(key, value):
        pair = items(key, item, 2)
        if len(pair) != 2:
            raise refuse(key, item, "a pair of tag id and value")
        found[integer(key, pair[0], 0, MAX_UINT32)] = integer(key, pair[1], 0, MAX_UINT32)
    return tuple(sorted(found.items()))


def _capability_ids(key: str, value: object) -> tuple[int, ...]:
    return tuple(sorted({integer(key, item, 0, MAX_UINT32) for item in items(key, value)}))


def _assignments(key: str, value: object) -> tuple[IpAddress, ...]:
    found = []
    for item in items(key, value, MAX_ASSIGNMENTS):
        has_prefix = isinstance(item, str) and "/" in item
        found.append(interface(key, item).ip if has_prefix else ip(key, item))
    return tuple(dict.fromkeys(found))


def _tokens(key: str, value: object) -> tuple[tuple[str, int], ...]:
    if value in (None, [], [None]):
        return ()
    entries = mapping(key, value).items()
    return tuple((text(key, name), integer(key, expiry, 0, MAX_TIME)) for name, expiry in entries)


def _dns(key: str, value: object) -> dict[str, Any]:
    if value in (None, [], {}):
        return {"dns_domain": "", "dns_servers": ()}
    entry = mapping(key, value)
    servers = items(f"{key}.servers", entry.get("servers", []), 4)
    return {
        "dns_domain": text(f"{key}.domain", entry.get("domain", "")),
        "dns_servers": tuple(ip(f"{key}.servers", server) for server in servers),
    }


def _v4_mode(key: str, value: object) -> dict[str, Any]:
    if value == "zt":
        return {"v4_zt": True}
    entry = mapping(key, value)
    return {"v4_zt": boolean(f"{key}.zt", entry.get("zt", False))}


def _v6_mode(key: str, value: object) -> dict[str, Any]:
    if isinstance(value, str):
        words = [word.strip() for word in value.split(",") if word.strip()]
        if not _V6_MODES.issuperset(words):
            raise refuse(key, value, f"a list of {', '.join(sorted(_V6_MODES))}")
        value = dict.fromkeys(words, True)
    entry = mapping(key, value)
    return {
        "v6_zt": boolean(f"{key}.zt", entry.get("zt", False)),
        "v6_rfc4193": boolean(f"{key}.rfc4193", entry.get("rfc4193", False)),
        "v6_sixplane": boolean(f"{key}.6plane", entry.get("6plane", False)),
    }


def _long_text(key: str, value: object) -> str:
    return text(key, value, MAX_TEXT)


def _optional_text(key: str, value: object) -> str | None:
    return None if value is None else text(key, value, MAX_TEXT)


def _address_json(address: Address | None) -> str | None:
    return None if address is None else format_address(address)


NETWORK_FIELDS: Final[Mapping[str, Reading]] = {
    "name": as_attribute("name", text),
    "private": as_attribute("private", boolean),
    "enableBroadcast": as_attribute("enable_broadcast", boolean),
    "multicastLimit": as_number("multicast_limit", 0, 1 << 20),
    "mtu": as_number("mtu", MIN_MTU, MAX_MTU),
    "v4AssignMode": _v4_mode,
    "v6AssignMode": _v6_mode,
    "routes": as_attribute("routes", _routes),
    "ipAssignmentPools": as_attribute("pools", _pools),
    "rules": as_attribute("rules", _rules),
    "capabilities": as_attribute("capabilities", _capabilities),
    "tags": as_attribute("tags", _tag_records),
    "authTokens": as_attribute("auth_tokens", _tokens),
    "dns": _dns,
    "remoteTraceTarget": as_attribute("trace_target", trace_target),
    "remoteTraceLevel": as_number("trace_level", 0, 100),
}
MEMBER_FIELDS: Final[Mapping[str, Reading]] = {
    "authorized": as_attribute("authorized", boolean),
    "activeBridge": as_attribute("active_bridge", boolean),
    "noAutoAssignIps": as_attribute("no_auto_assign_ips", boolean),
    "ipAssignments": as_attribute("ip_assignments", _assignments),
    "tags": as_attribute("tags", _tag_values),
    "capabilities": as_attribute("capabilities", _capability_ids),
    "name": as_attribute("name", text),
    "authenticationExpiryTime": as_number("authentication_expiry", 0, MAX_TIME),
    "remoteTraceTarget": as_attribute("trace_target", trace_target),
    "remoteTraceLevel": as_number("trace_level", 0, 100),
}
NETWORK_FILE_FIELDS: Final[Mapping[str, Reading]] = {
    "creationTime": as_number("creation_unix_ms", 0, MAX_TIME),
    "revision": as_number("revision", 0, MAX_TIME),
    "certificateTimeoutWindowSize": as_number("credential_window_ms", 0, MAX_TIME),
    "rulesSource": as_attribute("rules_source", _long_text),
    "ssoEnabled": as_attribute("sso_enabled", boolean),
    "clientId": as_attribute("client_id", _long_text),
    "authorizationEndpoint": as_attribute("authorization_endpoint", _long_text),
}
"""What only a file may set, beside the fields of requests."""
MEMBER_FILE_FIELDS: Final[Mapping[str, Reading]] = {
    "creationTime": as_number("creation_unix_ms", 0, MAX_TIME),
    "revision": as_number("revision", 0, MAX_TIME),
    "identity": as_attribute("identity", _long_text),
    "lastAuthorizedTime": as_number("last_authorized_unix_ms", 0, MAX_TIME),
    "lastDeauthorizedTime": as_number("last_deauthorized_unix_ms", 0, MAX_TIME),
    "lastAuthorizedCredentialType": as_attribute("credential_type", _optional_text),
    "lastAuthorizedCredential": as_attribute("credential", _optional_text),
    "ssoExempt": as_attribute("sso_exempt", boolean),
    "vProto": as_number("protocol", -1, MAX_UINT32),
}
"""The same of members; their version is in three fields."""
