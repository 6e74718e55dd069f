"""A controller in the world: the product's own, with its records in memory."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from tests.sim.node import SimNode
from ztlink.clock import Now
from ztlink.controller.kept import text_of
from ztlink.controller.records import MemberRecord, NetworkRecord
from ztlink.controller.service import ControllerService
from ztlink.controller.store import ControllerStore, Seen
from ztlink.ids import Address, NetworkId
from ztlink.node.core import Core
from ztlink.node.events import ConfigRequested, Event

T = TypeVar("T")

ADDRESSING: Final[dict[str, Any]] = {
    "v4AssignMode": {"zt": True},
    "v6AssignMode": {"rfc4193": True},
    "routes": [{"target": "10.147.0.0/16", "via": None}],
    "ipAssignmentPools": [{"ipRangeStart": "10.147.0.1", "ipRangeEnd": "10.147.255.254"}],
}


class MemoryStore(ControllerStore):
    """Records that last as long as the world."""

    def __init__(self) -> None:
        self._networks: dict[NetworkId, NetworkRecord] = {}
        self._members: dict[tuple[NetworkId, Address], MemberRecord] = {}
        self._seen: dict[tuple[NetworkId, Address], Seen] = {}
        self._ceiling = 0

    def ceiling(self) -> int:
        return self._ceiling

    def put_seen(self, seen: Iterable[Seen]) -> None:
        self._seen |= {(s.network_id, s.address): s for s in seen}

    def seen_since(self, unix_ms: int) -> list[Seen]:
        found = [s for s in self._seen.values() if s.unix_ms >= unix_ms]
        return sorted(found, key=lambda s: s.unix_ms)

    def raise_ceiling(self, unix_ms: int) -> None:
        self._ceiling = unix_ms

    def close(self) -> None:
        """Do nothing: there is no database."""

    def networks(self) -> list[NetworkRecord]:
        return list(self._networks.values())

    def members(self) -> list[MemberRecord]:
        return list(self._members.values())

    def member_texts(self, network_id: NetworkId) -> list[str]:
        addresses = sorted(a for network, a in self._members if network == network_id)
        return [text_of(self._members[network_id, address]) for address in addresses]

    def put_network(self, network: NetworkRecord) -> None:
        self._networks[network.network_id] = network

    def put_member(self, member: MemberRecord) -> None:
        self._members[member.network_id, member.address] = member

    def delete_network(self, network_id: NetworkId) -> None:
        del self._networks[network_id]
        self._members = {k: m for k, m in self._members.items() if k[0] != network_id}

    def delete_member(self, network_id: NetworkId, address: Address) -> None:
        del self._members[network_id, address]


class SimController:
    """A controller on top of one node, whose core must be enabled to serve as one."""

    def __init__(
        self, node: SimNode, *, answer_delay: float = 0.005, store: ControllerStore | None = None
    ) -> None:
        self.node = node
        self.answer_delay = answer_delay
        """Seconds that a decision takes."""
        self._store = store or MemoryStore()
        self.service = self._make_service()
        node.on_event = self._take

    def create(self, number: int = 1, **fields: object) -> NetworkId:
        """Make a network, with fields as its REST API takes them."""
        network_id = NetworkId(self.node.address << 24 | number)
        self.service.create_network(network_id, ADDRESSING | fields)
        return network_id

    def update(self, network_id: NetworkId, **fields: object) -> None:
        """Change a network; its members are told at once."""
        self.service.update_network(network_id, dict(fields))

    def authorise(self, network_id: NetworkId, member: Address) -> None:
        """Let a member in."""
        self.service.update_member(network_id, member, {"authorized": True})

    def deauthorise(self, network_id: NetworkId, member: Address) -> None:
        """Shut a member out; everybody online is told that its certificate is void."""
        self.service.update_member(network_id, member, {"authorized": False})

    def restart(self) -> None:
        """Be killed and start anew, with what the store has."""
        self.node.kill()
        self.service = self._make_service()
        self.node.start()

    def submit(self, command: Callable[[Core, Now], T]) -> "Future[T]":
        """Run a command on the core after the time that a decision takes."""
        future: Future[T] = Future()
        self.node.world.schedule.after(self.answer_delay, lambda: self._run(command, future))
        return future

    def _run(self, command: Callable[[Core, Now], T], future: "Future[T]") -> None:
        if not self.node.is_running:
            future.cancel()
            return
        core = self.node.core
        assert isinstance(core, Core)
        future.set_result(command(core, self.node.clock.now()))
        self.node.drain()

    def _make_service(self) -> ControllerService:
        node = self.node
        return ControllerService(
            node.identity, self._store, self, node.clock.now, node.chance.randbytes
        )

    def _take(self, event: Event) -> None:
        if isinstance(event, ConfigRequested):
            self.service.request(event)
