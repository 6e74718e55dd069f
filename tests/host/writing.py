"""A process that writes state until it is killed, and tells what is written for certain."""

from ipaddress import ip_address
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from tests.vectors.loading import load
from ztlink.controller.records import NetworkRecord
from ztlink.controller.store import ControllerStore
from ztlink.drivers.store import Store
from ztlink.drivers.writer import StateWriter
from ztlink.ids import Endpoint, NetworkId
from ztlink.wire.identity import SecretIdentity
from ztlink.wire.known_peer import KnownPeer
from ztlink.wire.netconf import NetworkConfig

_TEXTS: Final[list[str]] = load("identities-many.json")["identities"]
OWN: Final = SecretIdentity.from_text(_TEXTS[0])
NETWORKS: Final = tuple(NetworkId(0x8056C2E21C000000 + number) for number in range(3))
PEERS: Final = tuple(SecretIdentity.from_text(text).public for text in _TEXTS[1:20])
DATABASE: Final = "controller.db"


def config(network_id: NetworkId, revision: int) -> NetworkConfig:
    """Return a configuration whose size changes from one to the next."""
    return NetworkConfig(
        network_id=network_id,
        timestamp=1_700_000_000_000,
        issued_to=OWN.address,
        revision=revision,
        name=b"x" * (revision * 37 % 120),
    )


def write(home: Path, told: Connection, revision: int) -> None:
    """Write all that a node writes, and a controller, from a revision on and for ever."""
    store = Store(home)
    store.open()
    database = ControllerStore(home / DATABASE)
    writer = StateWriter(store)
    writer.start()
    told.send(0)  # it begins; nothing of this run is certain
    while True:
        revision += 1
        store.save_identity(OWN)  # a node does so once; here every kill may hit it
        for network_id in NETWORKS:
            writer.keep_network(network_id, config(network_id, revision))
        for peer in PEERS:
            endpoint = Endpoint(ip_address("44.1.0.2"), 1 + revision % 65_535)
            known = KnownPeer(peer, 12, (1, 14, 1), (endpoint,))
            writer.put(f"peers.d/{peer.address:010x}.peer", known.to_bytes())
        database.put_network(NetworkRecord(NETWORKS[0], 1, revision=revision))
        writer.flush()
        told.send(revision)
