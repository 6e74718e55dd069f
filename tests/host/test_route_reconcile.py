"""One pass over the kernel's routes: how it acts without rights, and what it decides anew."""

import contextlib
import os
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from subprocess import run

import pytest

from tests.host.machine import ip, wire
from tests.host.routed import (
    MEMBER,
    NETWORK,
    OWN,
    Device,
    declare,
    device,
    made,
    rules,
    settings,
    targets,
)
from ztlink.host.adoption import mark_of
from ztlink.host.routes.reconcile import Reconciler
from ztlink.host.routes.resolve import RouteState
from ztlink.ids import Address, member_mac

pytestmark = [pytest.mark.netadmin, pytest.mark.usefixtures("own_network")]

WITHOUT_RIGHTS = ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")
PROGRAM = """
from ipaddress import ip_interface
from tests.host.routed import NETWORK, NAME, OWN, declare, settings
from ztlink.host.overlay import Overlay
from ztlink.host.routes.reconcile import Reconciler
own = (ip_interface("10.1.3.3/24"),)
overlay = Overlay(NETWORK, OWN, NAME, {index}, 2800, own)
row = Reconciler().reconcile(settings(declare()), {{NETWORK: overlay}}).rows[0]
print(row.state, row.cause, row.remedy, sep="|")
"""


@pytest.fixture
def port() -> Iterator[Device]:
    with device() as made:
        yield made


@pytest.fixture
def reconciler() -> Iterator[Reconciler]:
    made = Reconciler()
    yield made
    made.close()


def test_without_rights_a_route_fails_and_says_what_is_needed(port: Device) -> None:
    program = PROGRAM.format(index=port.overlay.index)
    done = run(
        (*WITHOUT_RIGHTS, sys.executable, "-c", program),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout == (
        "failed|the kernel refuses it: Operation not permitted|the agent needs CAP_NET_ADMIN\n"
    )


def test_what_was_decided_holds_while_nothing_changes(reconciler: Reconciler, port: Device) -> None:
    overlays, wanted = {NETWORK: port.overlay}, settings(declare())
    first = reconciler.reconcile(wanted, overlays)
    assert reconciler.reconcile(wanted, overlays).desired is first.desired


def test_it_is_decided_anew_when_the_machine_changes(reconciler: Reconciler, port: Device) -> None:
    overlays, wanted = {NETWORK: port.overlay}, settings(declare("172.18.0.0/24"))
    assert reconciler.reconcile(wanted, overlays).rows[0].state is RouteState.INSTALLED
    wire("eth0", "172.18.0.2/16")
    assert reconciler.reconcile(wanted, overlays).rows[0].state is RouteState.REFUSED


def test_a_route_whose_device_has_gone_is_no_failure(reconciler: Reconciler, port: Device) -> None:
    overlays, wanted = {NETWORK: port.overlay}, settings(declare())
    assert reconciler.reconcile(wanted, overlays).rows[0].state is RouteState.INSTALLED
    port.tap.close()
    done = reconciler.reconcile(wanted, overlays)
    assert (done.rows[0].state, done.failures) == (RouteState.WAITING, {})


def test_all_that_is_declared_is_removed_and_counted(reconciler: Reconciler, port: Device) -> None:
    reconciler.reconcile(settings(declare(), table=300), {NETWORK: port.overlay})
    assert (reconciler.remove_all(), reconciler.remove_all()) == (2, 0)


# -- another agent on the machine ----------------------------------------------------------------

ANOTHER = Address(0x89E92CEEE5)
THEIRS = declare("10.30.0.0/16", via=ip_address("10.1.4.9"))


def mark(port: Device, own: Address) -> Device:
    """Write on a device whose it is."""
    mac = member_mac(own, NETWORK).hex(":")
    ip("link", "set", port.overlay.device, "address", mac, "alias", mark_of(NETWORK))
    return port


@pytest.fixture
def second() -> Iterator[Device]:
    """The device of another agent, in the same network."""
    with device("zttest1", NETWORK, host=4) as made:
        yield mark(made, ANOTHER)


@pytest.fixture
def one(port: Device) -> Iterator[Reconciler]:
    """What keeps the routes of the device of tests."""
    mark(port, OWN)
    with contextlib.closing(Reconciler(OWN)) as reconciler:
        yield reconciler


@pytest.fixture
def other() -> Iterator[Reconciler]:
    """What keeps those of another agent."""
    with contextlib.closing(Reconciler(ANOTHER)) as reconciler:
        yield reconciler


def test_what_another_agent_has_made_is_left_alone(
    one: Reconciler, other: Reconciler, port: Device, second: Device
) -> None:
    passes = [
        (one, settings(declare(member=MEMBER), table=300), port),
        (other, settings(THEIRS, table=301, rule_priority=9500), second),
    ]
    for reconciler, wanted, its in passes:
        reconciler.reconcile(wanted, {NETWORK: its.overlay})
    assert rules() == [(9000, "300"), (9500, "301")]
    for reconciler, wanted, its in passes:
        assert reconciler.reconcile(wanted, {NETWORK: its.overlay}).plan.size == 0


def test_an_agent_takes_away_its_own_when_it_ends(
    one: Reconciler, other: Reconciler, port: Device, second: Device
) -> None:
    one.reconcile(settings(declare(), table=300), {NETWORK: port.overlay})
    other.reconcile(settings(THEIRS, table=301), {NETWORK: second.overlay})
    one.remove_all()
    assert (targets(), rules()) == ({"10.30.0.0/16"}, [(9000, "301")])


def test_a_device_of_ours_whose_mac_somebody_changed_is_ours(
    one: Reconciler, port: Device, second: Device
) -> None:
    wanted, overlays = settings(declare(), table=300), {NETWORK: port.overlay}
    one.reconcile(wanted, overlays)
    ip("route", "add", "10.30.0.0/16", "dev", second.overlay.device, "proto", "91")
    ip("link", "set", port.overlay.device, "address", "02:00:00:00:00:01")
    assert one.reconcile(wanted, overlays).plan.size == 0
    one.remove_all()
    assert targets() == {"10.30.0.0/16"}


def test_without_another_agent_all_is_ours(one: Reconciler, port: Device) -> None:
    one.reconcile(settings(declare(), table=300), {NETWORK: port.overlay})
    one.reconcile(settings(), {NETWORK: port.overlay})
    assert (targets(), rules()) == (set(), [])


def test_what_leads_to_a_device_that_nobody_holds_is_replaced(
    one: Reconciler, other: Reconciler, port: Device
) -> None:
    with device("zttest1", NETWORK, host=4) as left:
        mark(left, ANOTHER)
        left.tap.persist(True)
        other.reconcile(settings(declare(via=ip_address("10.1.4.9"))), {NETWORK: left.overlay})
    try:
        done = one.reconcile(settings(declare()), {NETWORK: port.overlay})
        assert [row.state for row in done.rows] == [RouteState.INSTALLED]
        assert [route["gateway"] for route in made()] == ["10.1.3.9"]
    finally:
        ip("link", "del", "zttest1")
