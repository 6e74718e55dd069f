"""The JSON of `/zerotier/`: health, status and manifest. Nothing secret is known here."""

from dataclasses import fields
from importlib.metadata import version
from typing import Any, Final

from ztlink.api.judgement import Json, Judgement, rfc3339
from ztlink.api.observe import Membership, Observation, Report, Row
from ztlink.host.dns.entries import coredns_stub, name_servers
from ztlink.ids import NetworkId, format_address, format_mac, format_network_id
from ztlink.node.status import PathView, PeerView
from ztlink.settings import Settings
from ztlink.wire.verbs import SOFTWARE_VERSION

VERSION: Final = ".".join(str(part) for part in SOFTWARE_VERSION)
"""What peers are told."""
MODULE: Final = "zerotier-k8s-link"
SCHEMA_PATH: Final = "/zerotier/schema"


def health_json(seen: Observation | None, judged: Judgement, settings: Settings) -> Json:
    """Return GET /zerotier/health; `seen` is None for a node that does not answer."""
    judgement = {
        "status": "ok" if judged.is_well else "degraded",
        "ready": judged.is_ready,
        "conditions": judged.json(),
    }
    if seen is None:
        return judgement | {"started": False, "role": settings.role.value, "version": VERSION}
    return judgement | {
        "started": bool(seen.sockets),
        "role": settings.role.value,
        "address": format_address(seen.node.identity.address),
        "node": settings.node_name,
        "version": VERSION,
        "online": seen.node.online,
        "engine": seen.node.engine,
        "onStop": settings.on_stop.value,
        "world": {
            "id": f"{seen.node.planet_id:016x}",
            "timestamp": seen.node.planet_timestamp,
        },
        "networks": [_health_of(one, settings) for one in seen.memberships],
        "clock": seen.now.unix_ms,
    }


def _health_of(membership: Membership, settings: Settings) -> Json:
    view = membership.view
    required = {m.network_id for m in settings.memberships if m.is_required}
    return {
        "id": format_network_id(view.network_id),
        "name": network_name(membership),
        "required": view.network_id in required,
        "status": view.status.name,
        "reason": view.reason,
        "addresses": [str(one) for one in view.config.addresses] if view.config else [],
        "device": membership.device.name,
        "fault": membership.device.fault,
    }


def status_json(seen: Observation, judged: Judgement, settings: Settings) -> Json:
    """Return GET /zerotier/status: all that is known of the node, and nothing secret."""
    return health_json(seen, judged, settings) | {
        "identity": str(seen.node.identity),
        "roots": [format_address(one) for one in seen.node.roots],
        "sockets": [str(one) for one in seen.sockets],
        "surface": [str(one) for one in seen.node.surface],
        "networks": [_health_of(one, settings) | _network_json(one) for one in seen.memberships],
        "peers": [_peer_json(one) for one in seen.peers],
        "managed": {report.name: _report_json(report) for report in seen.reports},
    }


def _network_json(membership: Membership) -> Json:
    view, policy, device = membership.view, membership.policy, membership.device
    config = view.config
    return {
        "mac": format_mac(view.mac),
        "mtu": config.mtu if config else None,
        "configured": rfc3339(view.config_unix_ms / 1000) if view.config_unix_ms else None,
        "allow": {
            "managed": policy.allow_managed,
            "global": policy.allow_global,
            "default": policy.allow_default,
            "dns": policy.allow_dns,
        },
        "routes": [
            {"target": str(route.target.network), "via": str(route.via) if route.via else None}
            for route in (config.routes if config else ())
        ],
        "dns": {
            "domain": config.dns.domain.decode(errors="replace") if config else "",
            "servers": [str(ip) for ip in config.dns.servers] if config else [],
            "coredns": coredns_stub(name_servers(config)),
        },
        "counters": dict(device.counters),
    }


def _peer_json(peer: PeerView) -> Json:
    return {
        "address": format_address(peer.identity.address),
        "role": peer.role.value,
        "version": peer_version(peer),
        "latency": peer.latency_ms / 1000 if peer.latency_ms >= 0 else None,
        "direct": any(path.active for path in peer.paths),
        "lastReceive": rfc3339(peer.last_receive_unix_ms / 1000)
        if peer.last_receive_unix_ms
        else None,
        "paths": [_path_json(path) for path in peer.paths],
    }


def _path_json(path: PathView) -> Json:
    return {
        "endpoint": str(path.endpoint),
        "active": path.active,
        "preferred": path.preferred,
        "latency": path.latency_ms / 1000 if path.latency_ms >= 0 else None,
    }


def _report_json(report: Report) -> Json:
    return {"rows": [row_json(row) for row in report.rows]}


def row_json(row: Row) -> Json:
    """Return a row's fields, each as a number, a truth or text."""
    return {one.name: _plain(getattr(row, one.name), one.name) for one in fields(row)}


def _plain(value: object, name: str = "") -> Any:  # noqa: ANN401 - JSON
    if name == "network_id" and isinstance(value, int):
        return format_network_id(NetworkId(value))
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return str(value)


def manifest_json(settings: Settings) -> Json:
    """Return GET /zerotier/manifest: what this module is to the others of a platform."""
    is_own = settings.has_controller or settings.planet is not None
    return {
        "module": MODULE,
        "version": version("ztlink"),
        "layer": "overlay",
        "requires": ["kubernetes"] if is_own else ["kubernetes", "zerotier-central"],
        "provides": ["encrypted-mesh", "private-routing", "nat-traversal"],
        "config_schema": SCHEMA_PATH,
        "health_endpoint": "/zerotier/health",
        "metrics_endpoint": "/zerotier/metrics",
    }


def network_name(membership: Membership) -> str:
    """Return what the controller calls a network; it may be any text."""
    config = membership.view.config
    return config.name.decode(errors="replace") if config else ""


def peer_version(peer: PeerView) -> str:
    """Return a peer's version; empty while unknown."""
    return ".".join(str(part) for part in peer.version) if peer.version else ""
