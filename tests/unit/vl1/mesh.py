"""A few VL1 layers on a perfect network without delay: for tests that look at one rule."""

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from ipaddress import ip_address

from tests.vectors.loading import load
from ztlink.batch import Train, Transmit, Verdict
from ztlink.clock import Now
from ztlink.crypto.identity import sign
from ztlink.ids import Address, Endpoint, SocketId
from ztlink.lane.portable import PortableEngine
from ztlink.vl1.context import Context
from ztlink.vl1.layer import Vl1
from ztlink.vl1.switch import Message
from ztlink.wire.identity import SecretIdentity
from ztlink.wire.known_peer import KnownPeer
from ztlink.wire.world import Root, World, WorldType

SOCKET = SocketId(1)


def identity(number: int) -> SecretIdentity:
    """Return one of a thousand identities that are known to be valid."""
    return SecretIdentity.from_text(load("identities-many.json")["identities"][number])


def endpoint(number: int, port: int = 9993) -> Endpoint:
    return Endpoint(ip_address(f"10.0.0.{number + 1}"), port)


def planet(*roots: int) -> World:
    """Return a planet with these nodes as roots, signed by the first."""
    signer = identity(roots[0])
    world = World(
        WorldType.PLANET,
        77,
        1_700_000_000_000,
        signer.public.public_key,
        bytes(96),
        tuple(Root(identity(n).public, (endpoint(n),)) for n in roots),
    )
    return dataclasses.replace(world, signature=sign(signer, world.signing_input()))


def seeded_bytes(seed: int) -> Callable[[int], bytes]:
    """Return a source of bytes that is the same in every run."""
    counter = 0

    def random_bytes(size: int) -> bytes:
        nonlocal counter
        counter += 1
        return hashlib.shake_128(f"{seed}/{counter}".encode()).digest(size)

    return random_bytes


class Node:
    """One VL1 with what it sent upwards."""

    def __init__(
        self, number: int, world: World, now: Now, known: Sequence[KnownPeer] = ()
    ) -> None:
        from ztlink.node.dispatch import Dispatch

        self.number = number
        self.ctx = Context(identity(number), seeded_bytes(number), PortableEngine())
        self.upper = _NoVl2()
        self.messages: list[Message] = []
        dispatch = Dispatch(self.ctx, self.upper)  # type: ignore[arg-type]  # a stand-in for Vl2
        self.vl1 = Vl1(self.ctx, world, (), dispatch, known)
        dispatch.connect(self.vl1)
        self.vl1.on_peer_known = lambda peer, now: None
        self.vl1.on_online = lambda online, now: None
        self.vl1.on_root_found = lambda root, now: None
        self.vl1.start(now)
        self.vl1.set_sockets({SOCKET: endpoint(number)}, now)

    @property
    def address(self) -> Address:
        return self.ctx.address


class _NoVl2:
    def handle(self, *_: object) -> Verdict | None:
        return None

    def receive_run(self, *_: object) -> Verdict:
        return Verdict.ACCEPTED

    def handle_error(self, *_: object, is_answer: bool) -> Verdict:
        return Verdict.ACCEPTED

    def handle_ok(self, *_: object) -> Verdict:
        return Verdict.ACCEPTED


class Mesh:
    """Nodes 0 to n - 1, of which the first are roots."""

    def __init__(self, nodes: int, roots: int = 1) -> None:
        self.now = Now(1000.0, 1_700_000_000_000)
        self.world = planet(*range(roots))
        self.nodes = [Node(n, self.world, self.now) for n in range(nodes)]
        self.blocked: set[tuple[int, int]] = set()
        self.log: list[tuple[int, int, bytes]] = []
        """Sender, receiver and bytes of every datagram that arrived."""

    def run(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now.mono + seconds
        while True:
            while self._settle():
                pass
            heads = [h for n in self.nodes if (h := n.ctx.timers.head()) is not None]
            following = min(heads, default=until)
            if following > until:
                self._advance(until)
                return
            self._advance(following)

    def restart(self, number: int, known: Sequence[KnownPeer] = ()) -> Node:
        """Replace a node by one that remembers no more than this."""
        self.nodes[number] = Node(number, self.world, self.now, known)
        return self.nodes[number]

    def inject(self, receiver: int, data: bytes, source: Endpoint) -> None:
        """Have a datagram arrive from anywhere."""
        train = Train(memoryview(bytearray(data)), len(data), source, SOCKET)
        self.nodes[receiver].vl1.receive(train, self.now)

    def _advance(self, mono: float) -> None:
        elapsed = max(mono - self.now.mono, 0.0)
        self.now = Now(self.now.mono + elapsed, self.now.unix_ms + round(elapsed * 1000))

    def _settle(self) -> bool:
        for node in self.nodes:
            while (owner := node.ctx.timers.pop_due(self.now.mono)) is not None:
                owner.handle_timer(self.now)
        moved = False
        for node in self.nodes:
            transmits, node.ctx.transmits = node.ctx.transmits, []
            for transmit in transmits:
                moved = True
                self._carry(node.number, transmit)
        return moved

    def _carry(self, sender: int, transmit: Transmit) -> None:
        for node in self.nodes:
            is_blocked = (sender, node.number) in self.blocked
            if endpoint(node.number) == transmit.destination and not is_blocked:
                data = bytes(transmit.buffer)
                self.log.append((sender, node.number, data))
                self.inject(node.number, data, endpoint(sender))
