"""Snapshots count what passed between us and a peer, and what the rules said."""

from tests.sim.mesh import ADHOC
from tests.unit.node.rig import Pair
from ztlink.ids import PacketId
from ztlink.node.status import PeerView
from ztlink.wire.control import Error
from ztlink.wire.verbs import ErrorCode, Verb

FRAME = ADHOC.to_bytes(8, "big") + b"\x88\xb5" + b"data"


def view_of_b(pair: Pair) -> PeerView:
    view = pair.a.peer(pair.b.address)
    assert view is not None
    return view


def test_packets_of_a_peer_are_counted() -> None:
    pair = Pair()
    before = view_of_b(pair)
    pair.forger.deliver(pair.forger.seal(Verb.FRAME, FRAME))
    after = view_of_b(pair)
    assert after.packets_in == before.packets_in + 1
    assert after.packet_errors == before.packet_errors


def test_packets_in_its_name_that_are_not_authentic_are_counted_apart() -> None:
    pair = Pair()
    before = view_of_b(pair)
    packet = bytearray(pair.forger.seal(Verb.FRAME, FRAME))
    packet[-1] ^= 1
    pair.forger.deliver(bytes(packet))
    after = view_of_b(pair)
    assert after.packets_in == before.packets_in
    assert after.packet_errors == before.packet_errors + 1


def test_packets_to_a_peer_are_counted() -> None:
    pair = Pair()
    before = view_of_b(pair).packets_out
    pair.forger.deliver(pair.forger.seal(Verb.ECHO, b""))
    assert view_of_b(pair).packets_out == before + 1


def test_round_trips_of_a_peer_are_counted() -> None:
    pair = Pair()
    view = view_of_b(pair)
    assert sum(view.latency_counts) > 0
    assert view.latency_sum > 0.0


def test_errors_are_counted_by_their_code() -> None:
    pair = Pair()
    error = Error(
        Verb.NETWORK_CONFIG_REQUEST, PacketId(1), ErrorCode.OBJ_NOT_FOUND, ADHOC.to_bytes(8, "big")
    )
    pair.forger.deliver(pair.forger.seal(Verb.ERROR, error.to_bytes()))
    assert pair.a.core.stats.errors_in[ErrorCode.OBJ_NOT_FOUND] == 1


def test_what_the_rules_said_is_counted_for_each_network() -> None:
    pair = Pair()
    before = pair.a.core.network_views(pair.a.clock.now())[0].verdicts["rx", True]
    pair.forger.deliver(pair.forger.seal(Verb.FRAME, FRAME))
    after = pair.a.core.network_views(pair.a.clock.now())[0].verdicts["rx", True]
    assert after == before + 1
