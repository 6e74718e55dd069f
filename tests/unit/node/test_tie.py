"""Where the two layers meet: what VL2 asks of its `vl2.underlay`, and what the node's tie does."""

from typing import Protocol, get_type_hints

import pytest

from tests.sim.mesh import ADHOC, Mesh
from tests.unit.node.rig import Pair
from tests.unit.vl1.mesh import identity, planet, seeded_bytes
from ztlink.batch import SuperFrame
from ztlink.clock import Now
from ztlink.ids import Address
from ztlink.lane.portable import PortableEngine
from ztlink.node.core import Core
from ztlink.node.tie import Tie
from ztlink.stats import Drop
from ztlink.vl1.context import Context
from ztlink.vl2.underlay import Underlay
from ztlink.wire.verbs import Verb

NOW = Now(1000.0, 1_700_000_000_000)
STRANGER = Address(0x1234567890)


@pytest.fixture
def pair() -> Pair:
    return Pair()


def tie_of(core: object) -> Tie:
    """Return the tie of a whole core."""
    tie = vars(core)["_tie"]
    assert isinstance(tie, Tie)
    return tie


def test_the_tie_is_what_vl2_asks_for() -> None:
    tie = Tie(Context(identity(0), seeded_bytes(0), PortableEngine()))
    asked = {name for name in vars(Underlay) if not name.startswith("_")}
    asked |= set(get_type_hints(Underlay))
    assert Protocol in Underlay.__mro__
    assert {name for name in asked if not hasattr(tie, name)} == set()


def test_a_message_for_a_peer_goes_out(pair: Pair) -> None:
    sent = pair.a.core.stats.packets_out[Verb.NOP]
    packet_id = tie_of(pair.a.core).send(pair.b.address, Verb.NOP, b"", pair.a.clock.now())
    assert packet_id is not None
    assert pair.a.core.stats.packets_out[Verb.NOP] == sent + 1


def test_the_identity_of_a_peer_is_known(pair: Pair) -> None:
    tie = tie_of(pair.a.core)
    assert tie.identity_of(pair.b.address) == pair.b.identity.public
    assert tie.identity_of(STRANGER) is None


def test_the_roots_are_told_in_order() -> None:
    mesh = Mesh(seed=6, roots=2)
    node = mesh.add("node")
    expected = sorted(root.address for root in mesh.roots)
    assert list(tie_of(node.core).roots()) == expected


def test_a_root_knows_that_it_is_one() -> None:
    mesh = Mesh(seed=6)
    node = mesh.add("node")
    assert tie_of(mesh.roots[0].core).is_root()
    assert not tie_of(node.core).is_root()


def test_a_node_is_online_once_a_root_answered() -> None:
    mesh = Mesh(seed=6)
    node = mesh.add("node")
    assert not tie_of(node.core).is_online()
    mesh.wait_online()
    assert tie_of(node.core).is_online()


def test_a_frame_for_an_unknown_peer_waits_for_its_identity() -> None:
    mesh = Mesh(seed=7)
    a, b = mesh.add("a"), mesh.add("b")
    mesh.wait_online()
    frame = SuperFrame(memoryview(bytearray(bytes(12) + b"\x08\0" + b"data")))
    prefix = bytes([Verb.FRAME]) + ADHOC.to_bytes(8, "big") + b"\x08\0"
    tie_of(a.core).send_frame(b.address, frame, prefix, 14, a.clock.now())
    frame.buffer[14:] = b"gone"  # it was borrowed
    a.drain()
    mesh.run(2.0)
    assert a.core.stats.packets_out[Verb.FRAME] == 1
    assert b.core.stats.packets_in[Verb.FRAME] == 1


def test_a_frame_for_nobody_that_may_be_is_counted() -> None:
    core = Core(identity(1), planet(0), random_bytes=seeded_bytes(1), now=NOW)
    frame = SuperFrame(memoryview(bytearray(bytes(12) + b"\x08\0" + b"data")))
    tie_of(core).send_frame(Address(0xFF_0000_0001), frame, b"\x06", 14, NOW)
    assert core.stats.drops[Drop.QUEUE_FULL] == 1
