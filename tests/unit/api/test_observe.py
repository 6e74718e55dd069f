"""One look at a node: what of it is asked of the core, the devices and the controller."""

import asyncio
from typing import cast

import pytest

from tests.unit.api import rig
from tests.unit.api.rig import FakeCore, FakePump
from tests.unit.controller.rig import NETWORK, Rig
from ztlink.api.observe import Members, Observer
from ztlink.clock import Now
from ztlink.drivers.binder import Bound
from ztlink.drivers.loop import Pump
from ztlink.drivers.sockets import Deafness
from ztlink.host.device import DeviceState
from ztlink.host.policies import Policies
from ztlink.host.ports import PortManager
from ztlink.ids import NetworkId
from ztlink.node.status import NodeView
from ztlink.stats import Stats

ID = NetworkId(0x112972485D000001)


class CountingCore(FakeCore):
    """A core that has counted."""

    stats = Stats(bytes_in=5)


class Ports:
    """Devices as a manager tells of them."""

    async def state(self, network_id: NetworkId, *, has_config: bool = False) -> DeviceState:
        return DeviceState("zt0", "the device zt0 is down")


def observer(core: FakeCore, ports: Ports | None = None, made: Rig | None = None) -> Observer:
    pump = cast(Pump, FakePump(core))
    service = made.service if made else None
    policies = Policies({ID: b"allowGlobal=1\n"})
    return Observer(pump, cast(PortManager | None, ports), policies, service, rig.SETTINGS)


def joined_core() -> CountingCore:
    core = CountingCore()
    core.join(ID, Now(0.0, 0))
    return core


async def test_a_node_without_devices_has_none_that_is_missed() -> None:
    seen = await observer(joined_core()).observe()
    assert seen.memberships[0].device == DeviceState()


async def test_a_network_comes_with_its_device_and_its_policy() -> None:
    seen = await observer(joined_core(), Ports()).observe()
    assert seen.memberships[0].device.fault == "the device zt0 is down"
    assert seen.memberships[0].policy.allow_global


async def test_why_there_is_no_socket_is_seen() -> None:
    deafness = Deafness("no address", "add one")
    pump = cast(Pump, FakePump(joined_core()))
    made = Observer(
        pump, None, Policies(), None, rig.SETTINGS, lambda: Bound(9993, deafness=deafness)
    )
    assert (await made.observe()).deafness == deafness


async def test_counters_are_copied() -> None:
    core = joined_core()
    seen = await observer(core).observe()
    core.stats.bytes_in += 1
    assert seen.counts.bytes_in == core.stats.bytes_in - 1


async def test_a_controller_s_members_are_counted() -> None:
    made = Rig()
    made.create()
    made.ask(1)
    made.set_member(2, authorized=True)
    seen = await observer(joined_core(), None, made).observe()
    made.service.close()
    assert seen.controlled == (Members(NETWORK, 1, 1),)


async def test_a_node_that_is_no_controller_has_no_networks_to_count() -> None:
    assert (await observer(joined_core()).observe()).controlled is None


async def test_a_core_that_failed_is_not_covered_up() -> None:
    core = joined_core()
    core.failure = RuntimeError("the pump failed")
    with pytest.raises(RuntimeError, match="the pump failed"):
        await observer(core).observe()


class WatchedCore(FakeCore):
    """A core that counts how often it is looked at."""

    looks = 0

    def node_view(self, now: Now) -> NodeView:
        self.looks += 1
        return super().node_view(now)


async def test_who_asks_while_somebody_looks_shares_the_next_look() -> None:
    core = WatchedCore()
    watched = observer(core)
    seen = await asyncio.gather(*(watched.observe() for _ in range(50)))
    assert (core.looks, len(set(map(id, seen)))) == (2, 2)


async def test_who_asks_later_is_told_of_a_later_look() -> None:
    core = WatchedCore()
    watched = observer(core)
    await watched.observe()
    await watched.observe()
    assert core.looks == 2


async def test_of_a_node_that_does_not_answer_all_hear_at_once() -> None:
    core = WatchedCore(failure=TimeoutError("stuck"))
    watched = observer(core)
    outcomes = await asyncio.gather(*(watched.observe() for _ in range(50)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [TimeoutError] * 50
