"""Snapshots of the parts for `Core`'s face."""

from ztlink.clock import Now
from ztlink.node.status import NetworkView, NodeView, PathView, PeerRole, PeerView
from ztlink.vl1.context import Context, wall_clock
from ztlink.vl1.layer import Vl1
from ztlink.vl1.path import UNKNOWN_LATENCY, Path, PathState
from ztlink.vl1.peer import Peer
from ztlink.vl2.network import Network


def node_view(ctx: Context, vl1: Vl1, now: Now) -> NodeView:
    """Describe the node."""
    topology = vl1.topology
    return NodeView(
        identity=ctx.identity.public,
        online=topology.online,
        is_root=topology.is_root,
        planet_id=topology.planet.world_id,
        planet_timestamp=topology.planet.timestamp,
        surface=tuple(vl1.discovery.surface(now)),
        roots=tuple(sorted(topology.roots)),
        engine=ctx.engine.name,
    )


def peer_view(vl1: Vl1, peer: Peer, now: Now) -> PeerView:
    """Describe a peer."""
    root = vl1.topology.roots.get(peer.address)
    role = PeerRole.LEAF
    if root is not None:
        role = PeerRole.PLANET if root.is_planet else PeerRole.MOON
    best = peer.best_path()
    return PeerView(
        identity=peer.identity,
        role=role,
        version=peer.version,
        protocol=peer.protocol,
        latency_ms=_milliseconds(peer.latency),
        last_receive_unix_ms=wall_clock(now, peer.last_receive),
        paths=tuple(
            _path_view(path, path is best, now)
            for path in peer.paths.values()
            if path.state in (PathState.CONFIRMED, PathState.STALE)
        ),
        packets_in=peer.packets_in,
        packets_out=peer.packets_out,
        packet_errors=peer.packet_errors,
        latency_counts=tuple(peer.latencies.counts),
        latency_sum=peer.latencies.total,
    )


def network_view(network: Network) -> NetworkView:
    """Describe a membership."""
    return NetworkView(
        network_id=network.network_id,
        mac=network.mac,
        status=network.status,
        reason=network.reason,
        config=network.config,
        groups=tuple(network.own_groups()),
        config_unix_ms=network.config_unix_ms,
        verdicts=dict(network.verdicts),
    )


def _path_view(path: Path, is_best: bool, now: Now) -> PathView:
    return PathView(
        endpoint=path.endpoint,
        socket=path.socket,
        last_send_unix_ms=wall_clock(now, path.last_out),
        last_receive_unix_ms=wall_clock(now, path.last_in),
        trusted_path_id=path.trusted_path_id,
        latency_ms=_milliseconds(path.latency),
        active=path.is_confirmed,
        expired=not path.is_confirmed,
        preferred=is_best,
    )


def _milliseconds(latency: float) -> int:
    return -1 if latency >= UNKNOWN_LATENCY else round(latency)
