"""One pass over the kernel's routes: how it acts without rights, and what it decides anew."""

import os
import sys
from collections.abc import Iterator
from subprocess import run

import pytest

from tests.host.machine import wire
from tests.host.routed import NETWORK, Device, declare, device, settings
from ztlink.host.routes.reconcile import Reconciler
from ztlink.host.routes.resolve import RouteState

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


def test_all_that_is_declared_is_removed_and_counted(reconciler: Reconciler, port: Device) -> None:
    reconciler.reconcile(settings(declare(), table=300), {NETWORK: port.overlay})
    assert (reconciler.remove_all(), reconciler.remove_all()) == (2, 0)
