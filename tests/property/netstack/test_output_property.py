"""What is sent while nothing is under way, beside what the general rule would have."""

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.netstack.tcp.rig import ACK, MSS, Rig, rig_in
from ztlink.netstack.tcp import verbs
from ztlink.netstack.tcp.connection import Connection
from ztlink.netstack.tcp.output import _new_size, next_segment
from ztlink.netstack.tcp.settings import ConnectionOptions
from ztlink.netstack.tcp.state import State


def waiting(size: int, window: int, *, no_delay: bool) -> tuple[Rig, Connection]:
    """Return a connection of which nothing is under way, and so many bytes wait."""
    rig = rig_in(State.ESTABLISHED)
    rig.receive(ACK, window=window)
    rig.layer.set_options(rig.id, ConnectionOptions(no_delay=no_delay), rig.now)
    connection = rig.layer.connections[rig.id]
    verbs.write(connection, bytes(size), rig.mono)
    return rig, connection


@given(st.integers(1, 3 * MSS), st.integers(0, 3 * MSS), st.integers(1, 9000), st.booleans())
def test_what_is_alone_is_as_long_as_the_general_rule_has_it(
    size: int, window: int, limit: int, no_delay: bool
) -> None:
    rig, connection = waiting(size, window, no_delay=no_delay)
    room = max(limit - limit % MSS, MSS)
    expected = _new_size(connection, room, MSS, rig.mono)
    outgoing = next_segment(connection, limit, rig.mono)
    assert (-1 if outgoing is None else outgoing.size) == expected
