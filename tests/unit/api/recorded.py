"""The recorded state of the original's nodes, as snapshots of a core: the views' inverse."""

from collections.abc import Iterator
from ipaddress import ip_address, ip_interface
from typing import Any

from tests.vectors.loading import load
from ztlink.host.desired import Policy
from ztlink.ids import Endpoint, Mac, MulticastGroup, NetworkId, SocketId, parse_address
from ztlink.node.events import NetworkStatus
from ztlink.node.status import NetworkView, NodeView, PathView, PeerRole, PeerView
from ztlink.wire.identity import Identity
from ztlink.wire.netconf import (
    ConfigFlag,
    Dns,
    NetworkConfig,
    NetworkType,
    Route,
    Specialist,
    SpecialistRole,
)

Json = dict[str, Any]


def answers(*beginnings: str) -> Iterator[Json]:
    """Yield the good answers to GET of paths that begin so."""
    for entry in load("localapi.json")["entries"]:
        request = entry.get("request")
        if request and request["method"] == "GET" and entry["status"] == 200:
            path = request["path"].partition("?")[0]
            if path.startswith(beginnings) and entry.get("json") is not None:
                yield entry


def objects(*beginnings: str) -> list[Json]:
    """Return the objects in them: of lists the elements; each once."""
    found: list[Json] = []
    for entry in answers(*beginnings):
        content = entry["json"]
        for item in content if isinstance(content, list) else [content]:
            if item and item not in found:
                found.append(item)
    return found


def endpoint(text: str) -> Endpoint:
    ip, _, port = text.rpartition("/")
    return Endpoint(ip_address(ip), int(port))


def node_view(status: Json) -> NodeView:
    return NodeView(
        identity=Identity.from_text(status["publicIdentity"]),
        online=status["online"],
        is_root=False,
        planet_id=status["planetWorldId"],
        planet_timestamp=status["planetWorldTimestamp"],
        surface=tuple(endpoint(t) for t in status["config"]["settings"]["surfaceAddresses"]),
        roots=(),
    )


def peer_view(peer: Json) -> PeerView:
    version = (peer["versionMajor"], peer["versionMinor"], peer["versionRev"])
    return PeerView(
        identity=Identity(parse_address(peer["address"]), bytes(64)),
        role=PeerRole(peer["role"]),
        version=None if version[0] < 0 else version,
        protocol=12,
        latency_ms=peer["latency"],
        last_receive_unix_ms=0,
        paths=tuple(_path_view(path) for path in peer["paths"]),
    )


def _path_view(path: Json) -> PathView:
    return PathView(
        endpoint=endpoint(path["address"]),
        socket=SocketId(path["localSocket"]),
        last_send_unix_ms=path["lastSend"],
        last_receive_unix_ms=path["lastReceive"],
        trusted_path_id=path["trustedPathId"],
        latency_ms=-1,
        active=path["active"],
        expired=path["expired"],
        preferred=path["preferred"],
    )


def network_view(network: Json) -> NetworkView:
    groups = (
        MulticastGroup(Mac(bytes.fromhex(group["mac"].replace(":", ""))), group["adi"])
        for group in network["multicastSubscriptions"]
    )
    return NetworkView(
        network_id=NetworkId(int(network["id"], 16)),
        mac=Mac(bytes.fromhex(network["mac"].replace(":", ""))),
        status=NetworkStatus[network["status"]],
        reason="joined",
        config=_config(network) if network["netconfRevision"] else None,
        groups=tuple(groups),
        config_unix_ms=0,
    )


def _config(network: Json) -> NetworkConfig:
    own = parse_address("cd35adcab8")
    flags = ConfigFlag.BROADCAST if network["broadcastEnabled"] else ConfigFlag(0)
    bridges = (Specialist(own, SpecialistRole.ACTIVE_BRIDGE),) if network["bridge"] else ()
    return NetworkConfig(
        network_id=NetworkId(int(network["id"], 16)),
        timestamp=1,
        issued_to=own,
        revision=network["netconfRevision"],
        name=network["name"].encode(),
        mtu=network["mtu"],
        type=NetworkType[network["type"]],
        flags=flags,
        specialists=bridges,
        addresses=tuple(ip_interface(text) for text in network["assignedAddresses"]),
        routes=tuple(
            Route(
                ip_interface(route["target"]),
                ip_address(route["via"]) if route["via"] else None,
                route["flags"],
                route["metric"],
            )
            for route in network["routes"]
        ),
        dns=Dns(
            network["dns"]["domain"].encode(),
            tuple(ip_address(server) for server in network["dns"]["servers"]),
        ),
    )


def policy(network: Json) -> Policy:
    return Policy(
        network["allowManaged"],
        network["allowGlobal"],
        network["allowDefault"],
        network["allowDNS"],
    )


def shape(value: object) -> object:
    """Return the names and types of a JSON value; of a list those of its elements."""
    match value:
        case dict():
            return {key: shape(value[key]) for key in sorted(value)}
        case list():
            return [shape(value[0])] if value else []
        case _:
            return type(value).__name__
