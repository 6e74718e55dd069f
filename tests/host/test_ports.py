"""Devices that follow the networks."""

import asyncio
import errno
import select
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_interface
from pathlib import Path

import pytest
import pytest_asyncio

from tests.host.cores import running
from tests.host.machine import MAC, addresses, ask, devices, ip, routes, wait_for
from ztlink.derive import group_for_ip, interface_names
from ztlink.drivers.loop import Pump
from ztlink.drivers.tap import Tap
from ztlink.errors import HostError
from ztlink.host.addresses import AddressWatch
from ztlink.host.desired import Policy
from ztlink.host.device import COUNTED
from ztlink.host.policies import Policies
from ztlink.host.ports import Guard, PortManager
from ztlink.ids import Address, NetworkId
from ztlink.node.status import NetworkView
from ztlink.wire.netconf import NetworkConfig, Route

pytestmark = [pytest.mark.netadmin, pytest.mark.usefixtures("own_network")]

NETWORK = NetworkId(0x8056C2E21C000001)
NAME = next(interface_names(NETWORK))
CONFIG = NetworkConfig(
    network_id=NETWORK,
    timestamp=1_700_000_000_000,
    issued_to=Address(1),
    mtu=1400,
    addresses=(ip_interface("10.1.2.3/24"), ip_interface("8.7.6.5/24")),
    routes=(Route(ip_interface("10.9.0.0/16"), ip_address("10.1.2.1")),),
)
SIX_TOO = replace(CONFIG, addresses=(*CONFIG.addresses, ip_interface("fd12::3/64")))
UNREACHABLE = Route(ip_interface("10.7.0.0/16"), ip_address("10.66.0.1"))


@dataclass
class Machine:
    """A manager of ports and the pump it works with."""

    ports: PortManager
    policies: Policies
    pump: Pump

    async def allow(self, policy: Policy) -> None:
        self.policies.set(NETWORK, policy)
        await self.ports.allowed(NETWORK)

    async def network(self) -> NetworkView:
        future = self.pump.submit(lambda core, now: core.network_views(now))
        return (await asyncio.wrap_future(future))[0]


async def make(
    pump: Pump, names: Mapping[NetworkId, str] | None = None, guard: Guard | None = None
) -> Machine:
    await asyncio.wrap_future(pump.submit(lambda core, now: core.join(NETWORK, now)))
    policies = Policies()
    return Machine(PortManager(pump, policies, names or {}, guard=guard), policies, pump)


@pytest_asyncio.fixture
async def machine() -> AsyncIterator[Machine]:
    with running(0) as runner:
        made = await make(runner.pump)
        yield made
        await made.ports.close()


@pytest_asyncio.fixture
async def joined(machine: Machine) -> Machine:
    await machine.ports.joined(NETWORK, MAC)
    return machine


def has_settled() -> bool:
    """Tell whether the kernel has told all of a new device: at last, that its own address holds."""
    (device,) = ask("-6", "address", "show", NAME, "scope", "link")
    return [address.get("tentative", False) for address in device["addr_info"]] == [False]


async def changes_of_a_look(machine: Machine) -> list[int]:
    """Look at the devices; return what tells that something was changed by that."""
    await asyncio.to_thread(wait_for, has_settled)
    watch = AddressWatch()
    await machine.ports.scan_groups()
    news: list[int] = select.select([watch.fileno()], [], [], 0.1)[0]
    watch.close()
    return news


# -- before the device is configured ---------------------------------------------------------


async def test_a_device_lacks_what_its_network_was_told_just_now(joined: Machine) -> None:
    state = await joined.ports.state(NETWORK, has_config=True)
    assert state.fault == f"the device {NAME} lacks addresses and routes"


async def test_a_device_whose_network_was_told_nothing_lacks_nothing(joined: Machine) -> None:
    assert (await joined.ports.state(NETWORK)).fault is None


async def test_a_configured_device_lacks_nothing(joined: Machine) -> None:
    await joined.ports.configured(NETWORK, CONFIG)
    assert (await joined.ports.state(NETWORK, has_config=True)).fault is None


# -- before the device carries anything ------------------------------------------------------


async def refuse(network_id: NetworkId, name: str) -> None:
    raise HostError(errno.EPERM, f"{name} is not guarded")


async def test_a_device_that_cannot_be_guarded_is_not_opened() -> None:
    with running(0) as runner:
        machine = await make(runner.pump, guard=refuse)
        await machine.ports.joined(NETWORK, MAC)
        network = await machine.network()
        assert (NAME in devices(), network.reason) == (False, f"{NAME} is not guarded")
        await machine.ports.close()


async def test_a_device_that_could_not_be_made_is_made_when_it_can() -> None:
    refused = {NAME}

    async def guard(network_id: NetworkId, name: str) -> None:
        if name in refused:
            await refuse(network_id, name)

    with running(0) as runner:
        machine = await make(runner.pump, guard=guard)
        await machine.ports.joined(NETWORK, MAC)
        await machine.ports.configured(NETWORK, CONFIG)
        refused.clear()
        await machine.ports.retry()
        assert addresses(NAME) == {"10.1.2.3/24"}
        await machine.ports.close()


# -- the device ------------------------------------------------------------------------------


async def test_a_network_that_was_joined_has_its_device(joined: Machine) -> None:
    assert NAME in devices()


async def test_a_device_has_the_mac_of_the_member(joined: Machine) -> None:
    assert ask("link", "show", NAME)[0]["address"] == MAC.hex(":")


async def test_a_device_may_have_a_name_of_its_own() -> None:
    with running(0) as runner:
        machine = await make(runner.pump, {NETWORK: "office"})
        await machine.ports.joined(NETWORK, MAC)
        assert "office" in devices()
        await machine.ports.close()


async def test_a_network_that_was_left_has_no_device(joined: Machine) -> None:
    await joined.ports.left(NETWORK)
    assert NAME not in devices()


async def test_leaving_what_was_not_joined_is_no_error(machine: Machine) -> None:
    await machine.ports.left(NETWORK)
    assert devices() == {"lo"}


async def test_all_devices_go_in_the_end(joined: Machine) -> None:
    await joined.ports.close()
    assert devices() == {"lo"}


async def test_all_devices_go_although_the_pump_has_ended(joined: Machine) -> None:
    joined.pump.stop()
    await joined.ports.close()
    assert devices() == {"lo"}


async def test_a_device_that_cannot_be_made_is_an_error_of_the_network() -> None:
    with running(0) as runner:
        machine = await make(runner.pump, {NETWORK: "office"})
        other = Tap("office")
        await machine.ports.joined(NETWORK, MAC)
        other.close()
        reason = (await machine.network()).reason
        await machine.ports.close()
    assert reason == "cannot make the TAP office: the name is in use"


async def test_a_device_that_could_not_be_made_is_made_with_the_next_configuration() -> None:
    with running(0) as runner:
        machine = await make(runner.pump, {NETWORK: "office"})
        other = Tap("office")
        await machine.ports.joined(NETWORK, MAC)
        other.close()
        await machine.ports.configured(NETWORK, CONFIG)
        assert addresses("office") == {"10.1.2.3/24"}
        assert (await machine.network()).status.name != "PORT_ERROR"
        await machine.ports.close()


# -- its configuration -----------------------------------------------------------------------


async def test_a_configuration_is_applied(joined: Machine) -> None:
    await joined.ports.configured(NETWORK, CONFIG)
    assert ask("link", "show", NAME)[0]["mtu"] == 1400
    assert addresses(NAME) == {"10.1.2.3/24"}
    assert routes("proto", "90") == {"10.9.0.0/16"}


async def test_a_configuration_without_a_membership_is_passed_over(machine: Machine) -> None:
    await machine.ports.configured(NETWORK, CONFIG)
    assert devices() == {"lo"}


async def test_a_later_configuration_replaces_the_former(joined: Machine) -> None:
    await joined.ports.configured(NETWORK, CONFIG)
    later = replace(CONFIG, addresses=(ip_interface("10.1.2.4/24"),), routes=())
    await joined.ports.configured(NETWORK, later)
    assert (addresses(NAME), routes("proto", "90")) == ({"10.1.2.4/24"}, set())


async def test_what_the_operator_allows_is_applied_at_once(joined: Machine) -> None:
    await joined.ports.configured(NETWORK, CONFIG)
    await joined.allow(Policy(allow_global=True))
    assert addresses(NAME) == {"10.1.2.3/24", "8.7.6.5/24"}


async def test_what_the_operator_forbids_is_taken_away_at_once(joined: Machine) -> None:
    await joined.ports.configured(NETWORK, CONFIG)
    await joined.allow(Policy(allow_managed=False))
    assert addresses(NAME) == set()


async def test_what_is_allowed_before_a_configuration_is_applied_with_it(joined: Machine) -> None:
    await joined.allow(Policy(allow_global=True))
    await joined.ports.configured(NETWORK, CONFIG)
    assert addresses(NAME) == {"10.1.2.3/24", "8.7.6.5/24"}


async def test_what_cannot_be_applied_is_an_error_of_the_network(joined: Machine) -> None:
    await joined.ports.configured(NETWORK, replace(CONFIG, routes=(UNREACHABLE,)))
    reason = f"device {NAME}: cannot add the route to 10.7.0.0/16: Network is unreachable"
    assert (await joined.network()).reason == reason


async def test_after_a_good_configuration_there_is_no_error(joined: Machine) -> None:
    await joined.ports.configured(NETWORK, replace(CONFIG, routes=(UNREACHABLE,)))
    await joined.ports.configured(NETWORK, CONFIG)
    assert (await joined.network()).status.name != "PORT_ERROR"


async def test_what_was_applied_in_part_is_taken_away_later(joined: Machine) -> None:
    await joined.ports.configured(NETWORK, replace(CONFIG, routes=(UNREACHABLE, *CONFIG.routes)))
    await joined.ports.configured(NETWORK, replace(CONFIG, addresses=(), routes=()))
    assert (addresses(NAME), routes("proto", "90")) == (set(), set())


# -- what happens to it ----------------------------------------------------------------------


async def test_the_core_knows_the_groups_of_a_device(joined: Machine) -> None:
    await joined.ports.configured(NETWORK, CONFIG)
    assert group_for_ip(ip_address("10.1.2.3")) in (await joined.network()).groups


async def test_the_core_hears_of_addresses_that_others_add(joined: Machine) -> None:
    ip("address", "add", "10.5.0.1/24", "dev", NAME)
    await joined.ports.scan_groups()
    assert group_for_ip(ip_address("10.5.0.1")) in (await joined.network()).groups


async def test_the_core_hears_of_groups_that_a_device_joins(joined: Machine) -> None:
    ip("maddress", "add", "33:33:00:00:77:77", "dev", NAME)
    await joined.ports.scan_groups()
    groups = {group.mac.hex() for group in (await joined.network()).groups}
    assert "333300007777" in groups


@pytest.mark.parametrize(
    "what",
    [("address", "flush", "dev", NAME), ("route", "flush", "proto", "90")],
    ids=["addresses", "routes"],
)
async def test_what_somebody_took_away_is_set_again(joined: Machine, what: tuple[str, ...]) -> None:
    await joined.ports.configured(NETWORK, CONFIG)
    ip(*what)
    await joined.ports.scan_groups()
    assert (addresses(NAME), routes("proto", "90")) == ({"10.1.2.3/24"}, {"10.9.0.0/16"})


def on_link() -> set[str]:
    """Return the link-local addresses of IPv6."""
    found = ask("-6", "address", "show", "dev", NAME, "scope", "link")
    return {str(one["local"]) for device in found for one in device.get("addr_info", ())}


def write_conf(name: str, value: int) -> None:
    Path(f"/proc/sys/net/ipv6/conf/{NAME}/{name}").write_text(str(value))


async def test_the_link_local_address_is_set_again(joined: Machine) -> None:
    await joined.ports.configured(NETWORK, CONFIG)
    before = on_link()
    ip("-6", "address", "flush", "dev", NAME)
    state = await joined.ports.state(NETWORK)
    assert state.fault == f"the device {NAME} lacks its link-local address"
    await joined.ports.scan_groups()
    assert (on_link(), len(before)) == (before, 1)
    assert ask("-6", "route", "show", "dev", NAME)[0]["dst"] == "fe80::/64"
    assert (await joined.ports.state(NETWORK)).fault is None


@pytest.mark.parametrize(
    "key", [("addr_gen_mode", 1), ("disable_ipv6", 1)], ids=["by no mode", "without IPv6"]
)
async def test_no_link_local_address_is_set_where_the_kernel_would_make_none(
    joined: Machine, key: tuple[str, int]
) -> None:
    await joined.ports.configured(NETWORK, CONFIG)
    write_conf(*key)
    ip("-6", "address", "flush", "dev", NAME)
    assert (await joined.ports.state(NETWORK)).fault is None
    await joined.ports.scan_groups()
    assert on_link() == set()


async def test_a_device_that_somebody_renamed_is_made_again(joined: Machine) -> None:
    await joined.ports.configured(NETWORK, CONFIG)
    ip("link", "set", NAME, "down")
    ip("link", "set", NAME, "name", "other0")
    await joined.ports.scan_groups()
    assert not {"other0"} & devices()
    assert (addresses(NAME), routes("proto", "90")) == ({"10.1.2.3/24"}, {"10.9.0.0/16"})


@pytest.mark.parametrize("config", [CONFIG, SIX_TOO], ids=["IPv4", "both families"])
async def test_the_way_to_a_subnet_is_made_again(joined: Machine, config: NetworkConfig) -> None:
    await joined.ports.configured(NETWORK, config)
    before = [ask(family, "route", "show", "dev", NAME) for family in ("-4", "-6")]
    for family in ("-4", "-6"):
        ip(family, "route", "flush", "dev", NAME)
    assert "routes" in (await joined.ports.state(NETWORK)).lacks
    await joined.ports.scan_groups()
    after = [ask(family, "route", "show", "dev", NAME) for family in ("-4", "-6")]
    of_links = [one for one in before[1] if str(one["dst"]).startswith("fe80:")]
    assert after == [before[0], [one for one in before[1] if one not in of_links]]
    assert (await joined.ports.state(NETWORK)).fault is None


async def test_an_mtu_and_a_mac_that_somebody_changed_are_set_again(joined: Machine) -> None:
    await joined.ports.configured(NETWORK, CONFIG)
    ip("link", "set", NAME, "mtu", "1280", "address", "02:00:00:00:00:01")
    assert (await joined.ports.state(NETWORK)).lacks == ("its MTU", "its MAC")
    await joined.ports.scan_groups()
    (link,) = ask("link", "show", NAME)
    assert (link["mtu"], link["address"]) == (1400, MAC.hex(":"))


async def test_what_somebody_changes_all_the_time_is_set_right_for_a_while(
    joined: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    await joined.ports.configured(NETWORK, CONFIG)
    for _ in range(30):
        if addresses(NAME):
            ip("address", "del", "10.1.2.3/24", "dev", NAME)
        await joined.ports.scan_groups()
    assert 10 <= joined.ports.repaired < 20
    assert joined.ports.is_behind
    told = [one for one in caplog.messages if "keeps changing it: repairs are slowed" in one]
    assert len(told) == 1


async def test_a_device_that_goes_this_moment_is_no_error(joined: Machine) -> None:
    await joined.ports.configured(NETWORK, CONFIG)
    await asyncio.wrap_future(joined.pump.remove_port(NETWORK))  # so that nobody sees it go
    ip("link", "delete", NAME)
    await joined.ports.scan_groups()
    assert not joined.ports.ports[NETWORK].tap.is_gone


async def test_a_device_that_is_taken_down_is_left_alone(joined: Machine) -> None:
    await joined.ports.configured(NETWORK, CONFIG)
    ip("link", "set", NAME, "down")
    await joined.ports.scan_groups()
    assert "UP" not in ask("link", "show", NAME)[0]["flags"]
    assert (await joined.network()).status.name != "PORT_ERROR"


async def test_a_device_that_is_taken_up_again_has_its_routes(joined: Machine) -> None:
    both = (*CONFIG.addresses, ip_interface("fd12::3/64"))
    await joined.ports.configured(NETWORK, replace(CONFIG, addresses=both))
    ip("link", "set", NAME, "down")
    ip("link", "set", NAME, "up")
    await joined.ports.scan_groups()
    assert addresses(NAME) == {"10.1.2.3/24", "fd12::3/64"}
    assert routes("proto", "90") == {"10.9.0.0/16"}


async def test_what_is_as_it_should_be_is_left_alone(joined: Machine) -> None:
    await joined.ports.configured(NETWORK, CONFIG)
    assert await changes_of_a_look(joined) == []


async def test_what_cannot_be_applied_is_not_tried_at_every_look(joined: Machine) -> None:
    await joined.ports.configured(NETWORK, replace(CONFIG, routes=(UNREACHABLE,)))
    assert await changes_of_a_look(joined) == []


async def test_beside_what_cannot_be_applied_all_else_is_set_right(joined: Machine) -> None:
    routes_too = (UNREACHABLE, *CONFIG.routes)
    await joined.ports.configured(NETWORK, replace(CONFIG, routes=routes_too))
    ip("route", "flush", "proto", "90")
    ip("address", "flush", "dev", NAME, "scope", "global")
    await joined.ports.scan_groups()
    assert (addresses(NAME), routes("proto", "90")) == ({"10.1.2.3/24"}, {"10.9.0.0/16"})
    assert (await joined.ports.state(NETWORK)).lacks == ("routes",)
    assert "10.7.0.0/16" in (await joined.network()).reason


async def test_a_device_that_somebody_removed_is_made_again(joined: Machine) -> None:
    await joined.ports.configured(NETWORK, CONFIG)
    tap = joined.ports.ports[NETWORK].tap
    ip("link", "delete", NAME)
    await asyncio.to_thread(wait_for, lambda: tap.is_gone)
    await joined.ports.scan_groups()
    assert (addresses(NAME), routes("proto", "90")) == ({"10.1.2.3/24"}, {"10.9.0.0/16"})


# -- what is told of a device ----------------------------------------------------------------


async def test_a_device_that_has_all_is_without_fault(joined: Machine) -> None:
    await joined.ports.configured(NETWORK, CONFIG)
    state = await joined.ports.state(NETWORK)
    assert (state.name, state.fault) == (NAME, None)


async def test_a_device_tells_what_the_kernel_has_counted(joined: Machine) -> None:
    await joined.ports.configured(NETWORK, CONFIG)
    assert set((await joined.ports.state(NETWORK)).counters) == set(COUNTED)


async def test_a_network_without_a_device_says_so(machine: Machine) -> None:
    assert (await machine.ports.state(NETWORK)).fault == "there is no device"


async def test_a_device_that_is_down_says_so(joined: Machine) -> None:
    await joined.ports.configured(NETWORK, CONFIG)
    ip("link", "set", NAME, "down")
    assert (await joined.ports.state(NETWORK)).fault == f"the device {NAME} is down"


async def test_a_device_that_lacks_an_address_says_so(joined: Machine) -> None:
    await joined.ports.configured(NETWORK, CONFIG)
    ip("address", "del", "10.1.2.3/24", "dev", NAME)
    state = await joined.ports.state(NETWORK)
    assert "addresses" in state.lacks
    assert state.fault is not None
    assert state.fault.startswith(f"the device {NAME} lacks addresses")


async def test_a_device_that_lacks_a_route_alone_says_so(joined: Machine) -> None:
    await joined.ports.configured(NETWORK, CONFIG)
    ip("route", "del", "10.9.0.0/16", "dev", NAME)
    state = await joined.ports.state(NETWORK)
    assert (state.fault, state.lacks) == (f"the device {NAME} lacks routes", ("routes",))


async def test_a_device_that_somebody_removed_says_so(joined: Machine) -> None:
    ip("link", "del", NAME)
    assert (await joined.ports.state(NETWORK)).fault is not None


# -- default routes --------------------------------------------------------------------------

SIX = ip_interface("fd12::3/64")
ALL_IPV6 = replace(
    CONFIG, addresses=(SIX,), routes=(Route(ip_interface("::/0"), ip_address("fd12::1")),)
)
HALVES = {"::/1", "8000::/1"}


async def test_a_default_route_through_a_gateway_is_there_while_a_root_is(joined: Machine) -> None:
    await joined.allow(Policy(allow_default=True))
    await joined.ports.configured(NETWORK, ALL_IPV6)
    assert not HALVES & routes()
    await joined.ports.online(True)
    assert routes() >= HALVES
    await joined.ports.online(False)
    assert not HALVES & routes()
