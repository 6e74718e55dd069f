"""The JSON of the original's local API, made from snapshots of the core."""

from collections.abc import Sequence
from typing import Any

from ztlink.clock import Now
from ztlink.drivers.binder import Bound
from ztlink.host.desired import Policy
from ztlink.ids import Endpoint, format_address, format_mac, format_network_id
from ztlink.node.status import NetworkView, NodeView, PathView, PeerView
from ztlink.wire.verbs import SOFTWARE_VERSION
from ztlink.wire.world import World

Json = dict[str, Any]
VERSION = ".".join(str(part) for part in SOFTWARE_VERSION)


def status_json(
    node: NodeView, listening: Sequence[Endpoint], home: str, bound: Bound, now: Now, conf: Json
) -> Json:
    """Return GET /status; `conf` is local.conf, in which the settings show what is in force."""
    major, minor, revision = SOFTWARE_VERSION
    settings = conf.get("settings")
    return {
        "address": format_address(node.identity.address),
        "clock": now.unix_ms,
        "config": conf
        | {
            "settings": (settings if isinstance(settings, dict) else {})
            | {
                "allowTcpFallbackRelay": False,
                "forceTcpRelay": False,
                "homeDir": home,
                "listeningOn": [str(endpoint) for endpoint in listening],
                "portMappingEnabled": False,
                "primaryPort": bound.primary,
                "secondaryPort": bound.secondary,
                "softwareUpdate": "disable",
                "softwareUpdateChannel": "release",
                "surfaceAddresses": [str(endpoint) for endpoint in node.surface],
                "tertiaryPort": bound.tertiary,
            }
        },
        "online": node.online,
        "planetWorldId": node.planet_id,
        "planetWorldTimestamp": node.planet_timestamp,
        "publicIdentity": str(node.identity),
        "tcpFallbackActive": False,
        "version": VERSION,
        "versionBuild": 0,
        "versionMajor": major,
        "versionMinor": minor,
        "versionRev": revision,
    }


def peer_json(peer: PeerView) -> Json:
    """Return one element of GET /peer."""
    version = peer.version or (-1, -1, -1)
    return {
        "address": format_address(peer.identity.address),
        "isBonded": False,
        "latency": peer.latency_ms,
        "paths": [_path_json(path) for path in peer.paths],
        "role": peer.role.value,
        "tunneled": False,
        "version": ".".join(str(part) for part in version),
        "versionMajor": version[0],
        "versionMinor": version[1],
        "versionRev": version[2],
    }


def _path_json(path: PathView) -> Json:
    return {
        "active": path.active,
        "address": str(path.endpoint),
        "expired": path.expired,
        "lastReceive": path.last_receive_unix_ms,
        "lastSend": path.last_send_unix_ms,
        "localPort": 0,
        "localSocket": path.socket,
        "preferred": path.preferred,
        "trustedPathId": path.trusted_path_id,
    }


def moon_json(moon: World) -> Json:
    """Return one element of GET /moon."""
    return {
        "id": f"{moon.world_id:016x}",
        "roots": [
            {
                "identity": str(root.identity),
                "stableEndpoints": [str(endpoint) for endpoint in root.endpoints],
            }
            for root in moon.roots
        ],
        "signature": moon.signature.hex(),
        "timestamp": moon.timestamp,
        "updatesMustBeSignedBy": moon.next_update_key.hex(),
        "waiting": False,
    }


def waiting_moon_json(moon_id: int) -> Json:
    """Return what is told of a moon that was asked for and is not here yet."""
    return {
        "id": f"{moon_id:016x}",
        "roots": [],
        "signature": None,
        "timestamp": 0,
        "updatesMustBeSignedBy": None,
        "waiting": True,
    }


def network_json(network: NetworkView, policy: Policy, device: str) -> Json:
    """Return one element of GET /network; `statusReason` is ours."""
    config = network.config
    network_id = format_network_id(network.network_id)
    return {
        "allowDNS": policy.allow_dns,
        "allowDefault": policy.allow_default,
        "allowGlobal": policy.allow_global,
        "allowManaged": policy.allow_managed,
        "assignedAddresses": [str(address) for address in config.addresses] if config else [],
        "bridge": False if config is None else config.issued_to in config.active_bridges,
        "broadcastEnabled": config is not None and config.allows_broadcast,
        "dhcp": False,
        "dns": {
            "domain": config.dns.domain.decode(errors="replace") if config else "",
            "servers": [str(ip) for ip in config.dns.servers] if config else [],
        },
        "id": network_id,
        "mac": format_mac(network.mac),
        "mtu": config.mtu if config else 2800,
        "multicastSubscriptions": [
            {"adi": group.adi, "mac": format_mac(group.mac)} for group in network.groups
        ],
        "name": config.name.decode(errors="replace") if config else "",
        "netconfRevision": config.revision if config else 0,
        "nwid": network_id,
        "portDeviceName": device,
        "portError": 0,
        "routes": [
            {
                "flags": route.flags,
                "metric": route.metric,
                "target": str(route.target),
                "via": str(route.via) if route.via else None,
            }
            for route in (config.routes if config else ())
        ],
        "status": network.status.name,
        "statusReason": network.reason,
        "type": "PUBLIC" if config is not None and config.is_public else "PRIVATE",
    }
