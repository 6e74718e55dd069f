"""The face of a node: commands go in, and what they cause comes out."""

from tests.sim.mesh import Mesh
from tests.sim.node import SimNode
from tests.unit.vl1.mesh import SOCKET, endpoint, identity, planet, seeded_bytes
from tests.unit.vl2.rig import START, revocation_of
from ztlink.clock import Now
from ztlink.ids import Address, NetworkId
from ztlink.node.core import Core, CoreSettings
from ztlink.node.events import Event, NetworkJoined, NetworkStatus, NetworkStatusChanged
from ztlink.stats import Drop
from ztlink.vl1.waiting import WAITING_LIFETIME

NETWORK = NetworkId(identity(5).address << 24 | 1)
MOON = 99


def make_core(*, settings: CoreSettings | None = None) -> Core:
    """Return a node that knows a root and has not heard of it."""
    core = Core(identity(1), planet(0), random_bytes=seeded_bytes(1), now=START, settings=settings)
    core.set_sockets({SOCKET: endpoint(1)}, START)
    core.handle_timer(START)
    return core


def events(core: Core) -> list[Event]:
    """Take all events."""
    taken: list[Event] = []
    while (event := core.next_event()) is not None:
        taken.append(event)
    return taken


def test_a_core_says_who_it_is_and_where_it_is_bound() -> None:
    core = make_core()
    assert core.identity == identity(1).public
    assert dict(core.sockets()) == {SOCKET: endpoint(1)}


def test_what_is_sent_is_counted_when_it_is_taken() -> None:
    core = make_core()
    taken = core.transmits()
    assert [transmit.destination for transmit in taken] == [endpoint(0)]
    assert core.stats.bytes_out == len(taken[0].buffer)
    assert core.stats.datagrams_out == 1
    assert core.transmits() == []


def test_a_timer_is_always_ahead_once_what_is_due_was_done() -> None:
    deadline = make_core().get_timer()
    assert deadline is not None
    assert deadline > START.mono


def test_joining_is_told_and_leaving_ends_it() -> None:
    core = make_core()
    core.join(NETWORK, START)
    assert any(isinstance(event, NetworkJoined) for event in events(core))
    assert [view.network_id for view in core.network_views(START)] == [NETWORK]
    core.leave(NETWORK, START)
    assert core.network_views(START) == []


def is_found(seeker: SimNode, address: Address) -> bool:
    """Seek a node, and give the roots time to answer."""
    assert isinstance(seeker.core, Core)
    seeker.core.seek(address, seeker.clock.now())
    seeker.world.run(30.0)
    return seeker.core.knows(address, seeker.clock.now())


def test_a_node_that_is_not_known_is_looked_for_at_the_roots() -> None:
    mesh = Mesh(5)
    a, b = mesh.add("a"), mesh.add("b")
    mesh.run(5.0)
    assert is_found(a, b.address)


def test_a_node_that_is_known_is_not_looked_for() -> None:
    core = make_core()
    core.transmits()
    core.seek(identity(0).address, START)
    assert (core.knows(identity(0).address, START), core.transmits()) == (True, [])


def test_a_node_that_nobody_knows_is_not_found() -> None:
    mesh = Mesh(5)
    a = mesh.add("a")
    mesh.run(5.0)
    assert not is_found(a, Address(0x89E92CEEE5))


def test_trouble_of_a_port_is_a_status() -> None:
    core = make_core()
    core.join(NETWORK, START)
    events(core)
    core.set_port_error(NETWORK, "no TAP device", START)
    assert events(core) == [
        NetworkStatusChanged(NETWORK, NetworkStatus.PORT_ERROR, "no TAP device")
    ]


def test_a_moon_that_is_wanted_may_be_given_up_again() -> None:
    core = make_core()
    core.orbit(MOON, identity(7).address, START)
    core.deorbit(MOON, START)
    core.deorbit(MOON, START)
    assert core.node_view(START).roots == (identity(0).address,)
    assert events(core) == []


def test_a_revocation_for_a_member_that_stays_out_of_reach_is_a_counted_drop() -> None:
    core = make_core(settings=CoreSettings(controller_enabled=True))
    core.transmits()
    for seconds in (0.0, 2 * WAITING_LIFETIME):
        now = Now(START.mono + seconds, START.unix_ms)
        core.send_revocation([identity(0).address], revocation_of(identity(6)), now)
    assert core.transmits() == []
    assert core.stats.drops[Drop.NO_ROUTE] == 1  # the other waits
