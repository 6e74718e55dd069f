"""Devices that outlive a process, and the next process that takes them over."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_interface

import pytest

from tests.host.cores import Runner, running
from tests.host.machine import addresses, ask, comes_true, devices, ip, routes
from ztlink.derive import interface_names
from ztlink.drivers.tap import Tap
from ztlink.host.adoption import mark_of
from ztlink.host.policies import Policies
from ztlink.host.ports import PortManager
from ztlink.ids import Address, Mac, NetworkId, member_mac
from ztlink.wire.netconf import NetworkConfig, Route

pytestmark = [pytest.mark.netadmin, pytest.mark.usefixtures("own_network")]

NODE = Address(0xBA52BB0E23)
NETWORK = NetworkId(0x8056C2E21C000001)
NAME = next(interface_names(NETWORK))
MAC = member_mac(NODE, NETWORK)
CONFIG = NetworkConfig(
    network_id=NETWORK,
    timestamp=1_700_000_000_000,
    issued_to=NODE,
    mtu=1400,
    addresses=(ip_interface("10.1.2.3/24"), ip_interface("fd00:1::3/64")),
    routes=(
        Route(ip_interface("10.9.0.0/16"), ip_address("10.1.2.1")),
        Route(ip_interface("10.8.0.0/16"), None),
        Route(ip_interface("fd00:9::/64"), ip_address("fd00:1::1")),
    ),
)


@contextmanager
def alive() -> Iterator[Runner]:
    """Run a node; the address of its socket goes with it, so that another can follow."""
    with running(0) as runner:
        yield runner
    ip("address", "del", "10.0.0.1/32", "dev", "lo")


@dataclass
class Life:
    """A process's life with one network."""

    keeps: bool = True
    config: NetworkConfig = CONFIG
    mac: Mac = MAC
    name: str = ""

    async def live(self) -> bool:
        """Join, be configured, end; tell whether a device was adopted."""
        with alive() as runner:
            pump = runner.pump
            await asyncio.wrap_future(pump.submit(lambda core, now: core.join(NETWORK, now)))
            names = {NETWORK: self.name} if self.name else {}
            ports = PortManager(pump, Policies(), names, keeps=self.keeps)
            await ports.joined(NETWORK, self.mac)
            await ports.configured(NETWORK, self.config)
            await ports.close()
            return ports.adopted_mono is not None


async def test_a_device_that_is_kept_has_all_that_it_had() -> None:
    await Life().live()
    assert addresses(NAME) == {"10.1.2.3/24", "fd00:1::3/64"}
    assert routes("proto", "90") == {"10.9.0.0/16", "10.8.0.0/16", "fd00:9::/64"}


async def test_a_device_says_whose_it_is() -> None:
    await Life().live()
    (link,) = ask("link", "show", NAME)
    assert (link["ifalias"], link["address"]) == (mark_of(NETWORK), MAC.hex(":"))


async def test_the_next_process_adopts_it_and_changes_nothing() -> None:
    await Life().live()
    (before,) = ask("link", "show", NAME)
    assert await Life().live()
    (after,) = ask("link", "show", NAME)
    assert (after["ifindex"], after["mtu"]) == (before["ifindex"], before["mtu"])
    assert addresses(NAME) == {"10.1.2.3/24", "fd00:1::3/64"}
    assert routes("proto", "90") == {"10.9.0.0/16", "10.8.0.0/16", "fd00:9::/64"}


async def test_what_the_network_has_no_more_goes_with_the_adoption() -> None:
    await Life().live()
    await Life(
        config=replace(CONFIG, addresses=(ip_interface("10.1.2.4/24"),), routes=CONFIG.routes[:1])
    ).live()
    assert addresses(NAME) == {"10.1.2.4/24"}
    assert routes("proto", "90") == {"10.9.0.0/16"}


async def test_a_process_that_removes_takes_an_adopted_device_away() -> None:
    await Life().live()
    assert await Life(keeps=False).live()
    assert devices() == {"lo"}


async def test_a_device_of_another_node_is_left_alone() -> None:
    await Life().live()
    assert not await Life(mac=member_mac(Address(1), NETWORK)).live()
    assert len(devices()) == 3


async def test_a_device_that_is_to_have_another_name_is_made_anew() -> None:
    await Life().live()
    assert not await Life(name="office").live()
    assert devices() == {"lo", "office"}


async def test_a_device_that_is_held_is_adopted_once_it_is_let_go() -> None:
    await Life().live()
    holder = Tap(NAME)
    with alive() as runner:
        pump = runner.pump
        await asyncio.wrap_future(pump.submit(lambda core, now: core.join(NETWORK, now)))
        ports = PortManager(pump, Policies(), {}, keeps=True)
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(ports.follow_held())
            await ports.joined(NETWORK, MAC)
            await ports.configured(NETWORK, CONFIG)
            assert ports.ports == {}
            holder.close()
            assert await asyncio.to_thread(comes_true, lambda: NETWORK in ports.ports)
            following.cancel()
        assert ports.adopted_mono is not None
        await ports.close()


async def test_a_device_of_a_network_that_was_left_meanwhile_is_swept() -> None:
    await Life().live()
    with alive() as runner:
        ports = PortManager(runner.pump, Policies(), {})
        await ports.sweep(Address(1), ())
        assert NAME in devices()
        await ports.sweep(NODE, (NETWORK,))
        assert NAME in devices()
        await ports.sweep(NODE, ())
        await ports.close()
    assert devices() == {"lo"}


async def test_whether_devices_are_kept_can_change() -> None:
    with alive() as runner:
        await asyncio.wrap_future(runner.pump.submit(lambda core, now: core.join(NETWORK, now)))
        ports = PortManager(runner.pump, Policies(), {})
        await ports.joined(NETWORK, MAC)
        await ports.keep(True)
        await ports.close()
    assert NAME in devices()
