"""Messages that wait for a way to a peer that is known, and when they are sent."""

import pytest

from tests.unit.vl1.mesh import Mesh, endpoint, identity
from ztlink.clock import Now
from ztlink.ids import Address
from ztlink.stats import Drop, Stats
from ztlink.vl1 import waiting
from ztlink.vl1.waiting import WAITING_LIFETIME, WaitingRoom
from ztlink.wire.known_peer import KnownPeer
from ztlink.wire.verbs import Verb

A, B = Address(0x0A0A0A0A0A), Address(0x0B0B0B0B0B)
NOW = Now(1000.0, 1_700_000_000_000)


def after(seconds: float) -> Now:
    return Now(NOW.mono + seconds, NOW.unix_ms + int(seconds * 1000))


class Room:
    """A waiting room, and who was sent what since."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.stats = Stats()
        self.room = WaitingRoom(self.stats)

    def add(self, address: Address, name: str, now: Now = NOW) -> bool:
        return self.room.add(address, lambda later: self.sent.append(name), now)


# -- the room --------------------------------------------------------------------------------


def test_what_waits_is_sent_in_its_order_when_there_is_a_way() -> None:
    one = Room()
    for address, name in ((A, "first"), (B, "other"), (A, "second")):
        one.add(address, name)
    one.room.way_found(A, after(1))
    assert (one.sent, len(one.room)) == (["first", "second"], 1)


def test_what_waits_for_anybody_is_sent_when_there_is_a_root() -> None:
    one = Room()
    one.add(A, "a")
    one.add(B, "b")
    one.room.root_found(after(1))
    assert (one.sent, len(one.room)) == (["a", "b"], 0)


@pytest.mark.parametrize(
    ("seconds", "sent", "lost"),
    [(WAITING_LIFETIME, ["a"], 0), (WAITING_LIFETIME + 0.01, [], 1)],
)
def test_what_waited_too_long_is_not_sent_but_counted(
    seconds: float, sent: list[str], lost: int
) -> None:
    one = Room()
    one.add(A, "a")
    one.room.way_found(A, after(seconds))
    assert (one.sent, one.stats.drops[Drop.NO_ROUTE], len(one.room)) == (sent, lost, 0)


def test_a_full_room_takes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "MAX_WAITING", 2)
    one = Room()
    assert [one.add(A, "a"), one.add(B, "b"), one.add(B, "c")] == [True, True, False]


def test_a_full_room_has_room_again_when_all_are_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "MAX_WAITING", 2)
    one = Room()
    one.add(A, "a")
    one.add(B, "b")
    assert one.add(A, "c", after(WAITING_LIFETIME + 1))
    assert (A in one.room, B in one.room, len(one.room)) == (True, False, 1)
    assert one.stats.drops[Drop.NO_ROUTE] == 2


# -- a node that was just started ------------------------------------------------------------


def restarted(*, root_is_away: bool) -> Mesh:
    """Return a mesh whose node 1 was just started, and knows node 2 from before."""
    mesh = Mesh(3)
    mesh.run(1.0)
    if root_is_away:
        mesh.blocked = {(0, 1), (1, 0), (0, 2), (2, 0)}
    mesh.restart(1, [KnownPeer(identity(2).public, 12, (1, 14, 1), (endpoint(2),))])
    return mesh


def tell(mesh: Mesh, *, is_patient: bool) -> bool:
    """Have node 1 send to node 2 at once; return whether it got there within the second."""
    egress = mesh.nodes[1].vl1.egress
    payload = b"news"
    egress.send(identity(2).address, Verb.NOP, payload, mesh.now, is_patient=is_patient)
    mesh.run(1.0)
    return mesh.nodes[2].ctx.stats.packets_in[Verb.NOP] == 1


@pytest.mark.parametrize("root_is_away", [False, True])
def test_what_is_patient_reaches_a_peer_that_was_known_before(root_is_away: bool) -> None:
    assert tell(restarted(root_is_away=root_is_away), is_patient=True)


def test_what_is_not_patient_is_lost_where_there_is_no_way_yet() -> None:
    mesh = restarted(root_is_away=True)
    assert not tell(mesh, is_patient=False)
    assert mesh.nodes[1].ctx.stats.drops[Drop.NO_ROUTE] == 1


def test_what_finds_no_room_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "MAX_WAITING", 0)
    mesh = restarted(root_is_away=True)
    assert not tell(mesh, is_patient=True)
    assert mesh.nodes[1].ctx.stats.drops[Drop.QUEUE_FULL] == 1


def test_a_peer_is_looked_for_where_it_was_before_its_turn_comes() -> None:
    mesh = restarted(root_is_away=True)
    crowd = [KnownPeer(identity(n).public, 12, (1, 14, 1), (endpoint(n),)) for n in range(3, 40)]
    last = KnownPeer(identity(2).public, 12, (1, 14, 1), (endpoint(2),))
    mesh.restart(1, [*crowd, last])
    mesh.nodes[1].vl1.egress.send(identity(2).address, Verb.NOP, b"", mesh.now, is_patient=True)
    greeted = [t.destination for t in mesh.nodes[1].ctx.transmits]
    assert endpoint(2) in greeted
