"""Rules of a network, enforced by either kind of node against the other, and by ours alone."""

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import pytest

from tests.interop.rulebook import (
    ACCEPT,
    Enforcer,
    drop_tcp_port,
    new_tcp_by_capability,
    owned_addresses_only,
    port_capability,
    same_group_only,
)
from tests.lab.measure import connects, datagram_arrives, first_answer, listener
from tests.lab.mesh import Mesh
from tests.lab.node import LabNode
from tests.lab.wait import wait_until

pytestmark = [pytest.mark.interop, pytest.mark.netadmin]

FIRST_ANSWER_TIMEOUT = 20.0
SETTLE_TIMEOUT = 20.0
CREDENTIALS_APART = 1.2  # a node takes credentials of one peer once a second and drops the rest
REFUSED = 1.5  # long enough for a second SYN
FOREIGN_IP = "10.77.0.250"
GROUPS: Final = (1, 1, 2, 2)
_serials = itertools.count(1)

# The members are ours, theirs, theirs, ours.
directions = pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(0, 1, id="ours-to-theirs"),
        pytest.param(1, 0, id="theirs-to-ours"),
        pytest.param(0, 3, id="ours-to-ours"),
    ],
)
enforcers = pytest.mark.parametrize("enforcer", list(Enforcer), ids=lambda each: each.value)


class Two(NamedTuple):
    """A sender and a receiver."""

    one: LabNode
    other: LabNode


@pytest.fixture
def serial() -> int:
    """A number that no other test has: for ids and ports."""
    return next(_serials)


@pytest.fixture
def ruled(four: Mesh) -> Iterator[Mesh]:
    """Four members that all know each other, and no rules afterwards."""
    _reach_all(four)
    yield four
    four.apply({"rules": ACCEPT})


def _two(mesh: Mesh, one: int, other: int) -> Two:
    return Two(mesh.members[one], mesh.members[other])


def _spread_credentials(mesh: Mesh, serial: int) -> None:
    """Let all members get what they were given, and show it to each other.

    Credentials travel ahead of the first frame after a new configuration, and a sender judges a
    peer whose tags it has not seen in the peer's favour.
    """
    time.sleep(CREDENTIALS_APART)
    mesh.apply({"name": f"lab {serial}"})
    _reach_all(mesh)


def _reach_all(mesh: Mesh) -> None:
    for one, other in itertools.permutations(mesh.members, 2):
        first_answer(one.host, mesh.ip(other), timeout=FIRST_ANSWER_TIMEOUT)


def _is_refused(mesh: Mesh, two: Two, port: int) -> bool:
    return not connects(two.one.host, mesh.ip(two.other), port, timeout=REFUSED)


def _soon_connects(mesh: Mesh, two: Two, port: int) -> bool:
    """Wait until new rules and credentials are with both sides; raises when they never are."""
    return wait_until(
        lambda: connects(two.one.host, mesh.ip(two.other), port),
        timeout=SETTLE_TIMEOUT,
        what=f"{two.one!r} to {two.other!r}, TCP {port}",
    )


@contextmanager
def _listening(mesh: Mesh, node: LabNode, *ports: int) -> Iterator[None]:
    first, *rest = ports
    with listener(node.host, mesh.ip(node), first):
        if rest:
            with _listening(mesh, node, *rest):
                yield
        else:
            yield


@enforcers
@directions
def test_a_dropped_tcp_port_is_closed_and_another_stays_open(
    ruled: Mesh, one: int, other: int, enforcer: Enforcer
) -> None:
    two = _two(ruled, one, other)
    with _listening(ruled, two.other, 22, 80):
        assert connects(two.one.host, ruled.ip(two.other), 22)
        ruled.apply({"rules": drop_tcp_port(22, enforcer)})
        assert _soon_connects(ruled, two, 80)
        assert _is_refused(ruled, two, 22)


@enforcers
@pytest.mark.parametrize(
    ("one", "friend", "stranger"),
    [
        pytest.param(0, 1, 2, id="ours-to-theirs"),
        pytest.param(1, 0, 3, id="theirs-to-ours"),
        pytest.param(3, 2, 0, id="ours-to-ours"),
    ],
)
def test_tags_separate_two_groups(
    ruled: Mesh, serial: int, one: int, friend: int, stranger: int, enforcer: Enforcer
) -> None:
    ruled.apply({"tags": [{"id": serial, "default": None}]})
    for member, group in zip(ruled.members, GROUPS, strict=True):
        ruled.controller.update_member(ruled.network_id, member, {"tags": [[serial, group]]})
    _spread_credentials(ruled, serial)
    ruled.apply({"rules": same_group_only(serial, enforcer)})
    near, far = _two(ruled, one, friend), _two(ruled, one, stranger)
    port = 8000 + serial
    with _listening(ruled, near.other, port), _listening(ruled, far.other, port):
        assert _soon_connects(ruled, near, port)
        assert _is_refused(ruled, far, port)


@enforcers
@pytest.mark.parametrize(
    ("holder", "bare", "server"),
    [
        pytest.param(0, 2, 1, id="ours-to-theirs"),
        pytest.param(1, 3, 0, id="theirs-to-ours"),
        pytest.param(0, 1, 3, id="ours-to-ours"),
    ],
)
def test_a_capability_opens_a_port_to_its_holder_only(
    ruled: Mesh, serial: int, holder: int, bare: int, server: int, enforcer: Enforcer
) -> None:
    port = 8000 + serial
    ruled.apply({"capabilities": [port_capability(serial, port)]})
    ruled.controller.update_member(
        ruled.network_id, ruled.members[holder], {"capabilities": [serial]}
    )
    _spread_credentials(ruled, serial)
    ruled.apply({"rules": new_tcp_by_capability(enforcer)})
    granted, refused = _two(ruled, holder, server), _two(ruled, bare, server)
    with _listening(ruled, granted.other, port, port + 1000):
        assert _soon_connects(ruled, granted, port)
        assert _is_refused(ruled, granted, port + 1000)
        assert _is_refused(ruled, refused, port)


@enforcers
@directions
def test_a_foreign_source_address_is_stopped_where_ownership_is_required(
    ruled: Mesh, one: int, other: int, enforcer: Enforcer
) -> None:
    two = _two(ruled, one, other)
    target = ruled.ip(two.other)
    with _extra_address(ruled, two.one, FOREIGN_IP):
        assert datagram_arrives(two.one.host, two.other.host, target, source=FOREIGN_IP)
        ruled.apply({"rules": owned_addresses_only(enforcer)})
        first_answer(two.one.host, target, timeout=FIRST_ANSWER_TIMEOUT)
        own = ruled.ip(two.one)
        assert datagram_arrives(two.one.host, two.other.host, target, source=own)
        assert not datagram_arrives(two.one.host, two.other.host, target, source=FOREIGN_IP)


@contextmanager
def _extra_address(mesh: Mesh, node: LabNode, ip: str) -> Iterator[None]:
    where = ("address", f"{ip}/24", "dev", mesh.device(node))
    node.host.namespace.ip(where[0], "add", *where[1:])
    try:
        yield
    finally:
        node.host.namespace.ip(where[0], "del", *where[1:])
