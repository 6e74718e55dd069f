"""Declared routes, as the kernel tells them afterwards."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
import pytest_asyncio

from tests.host.machine import PATIENCE, ask, comes_true, ip, wire
from tests.host.routed import (
    MEMBER,
    NAME,
    NETWORK,
    Device,
    declare,
    device,
    made,
    rules,
    settings,
    targets,
)
from ztlink.conditions import Status
from ztlink.host.desired import Desired, HostRoute
from ztlink.host.routes.manager import CHECK_INTERVAL, RouteManager
from ztlink.host.routes.resolve import RouteState
from ztlink.host.routes.wanted import ClusterSettings, DeclaredRoute
from ztlink.ids import Address, Mac, NetworkId, member_mac

pytestmark = [pytest.mark.netadmin, pytest.mark.usefixtures("own_network")]

OTHER = NetworkId(0x8056C2E21C000002)
ROUTE = declare()
SIX = declare("fd77::/48", via=ip_address("fd12:3::9"))
PODS = ClusterSettings(pods=(ip_network("10.244.0.0/16"),), detect=False)


@pytest.fixture
def port() -> Iterator[Device]:
    with device() as made:
        yield made


@pytest.fixture
def second() -> Iterator[Device]:
    with device("zttest1", OTHER, host=5) as made:
        yield made


@pytest_asyncio.fixture
async def manager(port: Device) -> AsyncIterator[RouteManager]:
    made = RouteManager(settings())
    await made.follow({NETWORK: port.overlay})
    yield made
    await made.close()


async def use(manager: RouteManager, *routes: DeclaredRoute, **fields: object) -> None:
    await manager.use(settings(*routes, **fields))


def states(manager: RouteManager) -> list[RouteState]:
    return [row.state for row in manager.rows()]


# -- made and taken away -----------------------------------------------------------------------


async def test_declared_routes_are_made(manager: RouteManager) -> None:
    await use(manager, ROUTE, SIX)
    assert targets() == {"10.20.0.0/16", "fd77::/48"}
    assert states(manager) == [RouteState.INSTALLED] * 2


async def test_a_route_has_all_that_was_declared(manager: RouteManager) -> None:
    await use(manager, declare(metric=50, mtu=1400, source=ip_address("10.1.3.3")))
    (route,) = made()
    assert (route["gateway"], route["metric"], route["prefsrc"], route["metrics"]) == (
        "10.1.3.9",
        50,
        "10.1.3.3",
        [{"mtu": 1400}],
    )


async def test_a_route_without_a_via_is_on_the_link(manager: RouteManager) -> None:
    await use(manager, declare(via=None))
    (route,) = made()
    assert (route["dev"], route["scope"], route.get("gateway")) == (NAME, "link", None)


async def test_a_route_leads_to_a_member_by_its_mac(manager: RouteManager) -> None:
    await use(manager, declare(member=MEMBER), declare("fd77::/48", member=MEMBER))
    mac = member_mac(MEMBER, NETWORK)
    hops = [hop for hop in ask("-6", "neigh", "show", "dev", NAME) if hop.get("lladdr")]
    assert [(hop["lladdr"], hop["state"]) for hop in hops] == [(mac.hex(":"), ["PERMANENT"])]
    assert ask("route", "get", "10.20.7.7")[0]["via"]["host"] == hops[0]["dst"]


async def test_a_route_through_a_member_leaves_by_the_networks_device(
    manager: RouteManager,
) -> None:
    await use(manager, declare(member=MEMBER))
    (found,) = ask("route", "get", "10.20.7.7")
    assert (found["dev"], found["prefsrc"]) == (NAME, "10.1.3.3")


async def test_routes_that_are_declared_no_more_are_taken_away(manager: RouteManager) -> None:
    await use(manager, ROUTE, SIX, declare("10.21.0.0/16", member=MEMBER))
    await use(manager, SIX)
    assert targets() == {"fd77::/48"}
    assert ask("-6", "neigh", "show", "nud", "permanent") == []


async def test_a_route_that_leads_elsewhere_is_changed(manager: RouteManager) -> None:
    await use(manager, ROUTE, SIX)
    await use(
        manager,
        replace(ROUTE, via=ip_address("10.1.3.10")),
        replace(SIX, via=ip_address("fd12:3::10")),
    )
    assert {route["gateway"] for route in made()} == {"10.1.3.10", "fd12:3::10"}
    assert len(made()) == 2


async def test_the_routes_of_others_are_left_alone(manager: RouteManager) -> None:
    ip("route", "add", "10.66.0.0/16", "dev", "lo", "proto", "static")
    await use(manager, ROUTE)
    await manager.close()
    assert "10.66.0.0/16" in {route["dst"] for route in ask("route", "show")}


async def test_what_the_kernel_refuses_is_told(manager: RouteManager) -> None:
    await use(manager, declare(source=ip_address("10.99.0.1")), SIX)
    failed, fine = manager.rows()
    assert (failed.state, fine.state) == (RouteState.FAILED, RouteState.INSTALLED)
    assert failed.cause == "the kernel refuses it: Invalid argument"
    assert "source" in failed.remedy


async def test_a_route_that_others_made_before_stays_theirs(manager: RouteManager) -> None:
    ip("route", "add", "10.20.0.0/16", "dev", NAME, "metric", "100", "proto", "static")
    await use(manager, declare(allow_overlap=True))
    assert states(manager) == [RouteState.FAILED]
    assert "another metric" in manager.rows()[0].remedy
    assert targets() == set()


async def test_routes_of_a_device_that_comes_later_wait(port: Device) -> None:
    manager = RouteManager(settings(ROUTE))
    await manager.follow({})
    assert states(manager) == [RouteState.WAITING]
    await manager.follow({NETWORK: port.overlay})
    assert states(manager) == [RouteState.INSTALLED]
    await manager.close()


async def test_a_route_through_nobody_yet_waits_and_says_so(
    manager: RouteManager, port: Device
) -> None:
    await use(manager, declare(member=MEMBER))
    await use(manager)
    await manager.follow({NETWORK: replace(port.overlay, members=frozenset())})
    await use(manager, declare(member=MEMBER))
    assert targets() == set()
    told = [one for one in manager.conditions() if one.kind == "route"]
    assert [one.status for one in told] == [Status.WAITING]
    assert "no root knows a node 89e92ceee5 yet" in told[0].cause


# -- a table of its own ------------------------------------------------------------------------


async def test_a_table_of_its_own_is_found_by_rules(manager: RouteManager) -> None:
    await use(manager, ROUTE, SIX, table=300, rule_priority=8000)
    assert {str(route["table"]) for route in made()} == {"300"}
    assert rules() == [(8000, "300"), (8000, "300")]
    assert ask("route", "get", "10.20.7.7")[0]["dev"] == NAME


async def test_a_family_without_routes_has_no_rule(manager: RouteManager) -> None:
    await use(manager, ROUTE, table=300)
    assert rules() == [(9000, "300")]


async def test_another_table_takes_routes_and_rules_along(manager: RouteManager) -> None:
    await use(manager, ROUTE, table=300)
    await use(manager, ROUTE, table=1000)
    assert ({str(route["table"]) for route in made()}, rules()) == ({"1000"}, [(9000, "1000")])


async def test_back_in_the_main_table_there_is_no_rule(manager: RouteManager) -> None:
    await use(manager, ROUTE, table=300)
    await use(manager, ROUTE)
    assert (targets(), rules()) == ({"10.20.0.0/16"}, [])


# -- whom they must not harm -------------------------------------------------------------------


async def test_a_route_to_pods_is_refused(manager: RouteManager) -> None:
    await use(manager, declare("10.244.7.0/24"), cluster=PODS)
    assert (states(manager), targets()) == ([RouteState.REFUSED], set())


async def test_a_route_to_what_a_cnis_bridge_has_is_refused(manager: RouteManager) -> None:
    ip("link", "add", "cni0", "type", "bridge")
    ip("link", "set", "cni0", "up")
    ip("address", "add", "10.244.1.1/24", "dev", "cni0")
    await use(manager, declare("10.244.0.0/16"))
    row = manager.rows()[0]
    assert row.state is RouteState.REFUSED
    assert row.cause == (
        "overlaps the range of pods 10.244.1.0/24 (a route of this machine, dev cni0)"
    )


async def test_a_route_to_what_bird_has_programmed_is_refused(manager: RouteManager) -> None:
    wire("eth0", "172.18.0.2/16")
    ip("route", "add", "192.168.5.0/26", "via", "172.18.0.3", "proto", "bird")
    await use(manager, declare("192.168.0.0/16"))
    assert "the range of pods 192.168.5.0/26" in manager.rows()[0].cause


async def test_a_route_to_the_nodes_is_refused(manager: RouteManager) -> None:
    wire("eth0", "172.18.0.2/16")
    await use(manager, declare("172.16.0.0/12"))
    assert "the range of nodes 172.18.0.0/16" in manager.rows()[0].cause


async def test_a_route_to_another_network_is_refused(
    second: Device, manager: RouteManager, port: Device
) -> None:
    await manager.follow({NETWORK: port.overlay, OTHER: second.overlay})
    await use(manager, declare("10.1.5.0/24"))
    assert "another network's range 10.1.5.0/24" in manager.rows()[0].cause


async def test_a_route_in_place_of_the_default_route_is_refused(manager: RouteManager) -> None:
    await use(manager, declare("0.0.0.0/0"))
    assert (states(manager), targets()) == ([RouteState.REFUSED], set())


async def test_an_overlap_that_is_meant_is_made(manager: RouteManager) -> None:
    await use(manager, declare("10.244.7.0/24", allow_overlap=True), cluster=PODS)
    assert targets() == {"10.244.7.0/24"}


async def test_a_route_is_taken_back_when_pods_come_to_be_there(manager: RouteManager) -> None:
    await use(manager, declare("10.244.0.0/16"))
    ip("link", "add", "cni0", "type", "bridge")
    ip("link", "set", "cni0", "up")
    ip("address", "add", "10.244.1.1/24", "dev", "cni0")
    await manager.check()
    assert (states(manager), targets()) == ([RouteState.REFUSED], set())
    assert manager.tally.drift == 0


async def test_a_managed_route_that_would_harm_pods_is_left_out(port: Device) -> None:
    manager = RouteManager(settings(cluster=PODS))
    await manager.start()
    harmful, fine = HostRoute(ip_network("10.244.0.0/14")), HostRoute(ip_network("10.9.0.0/16"))
    mac = Mac(bytes(6))
    spared = manager.spare(NETWORK, Desired(mac, 2800, (), (harmful, fine)))
    assert spared.routes == (fine,)
    assert [one.subject for one in manager.conditions() if one.kind == "managedRoute"] == [
        "10.244.0.0/14 8056c2e21c000001"
    ]
    await manager.close()


def harm(manager: RouteManager) -> int:
    """Count the managed routes that are left out."""
    return sum(one.kind == "managedRoute" for one in manager.conditions())


async def test_of_a_network_that_was_left_nothing_is_told(port: Device) -> None:
    manager = RouteManager(settings(cluster=PODS))
    await manager.start()
    manager.spare(NETWORK, Desired(Mac(bytes(6)), 2800, (), (HostRoute(PODS.pods[0]),)))
    assert harm(manager) == 1
    await manager.follow({NETWORK: port.overlay})
    assert harm(manager) == 1
    await manager.follow({})
    assert harm(manager) == 0
    await manager.close()


# -- drift -------------------------------------------------------------------------------------


async def nobody_else() -> None:
    """Look at nothing more, where the kernel has told something."""


@contextlib.asynccontextmanager
async def following(manager: RouteManager) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(manager.run(nobody_else))
        await asyncio.sleep(0.1)  # until it listens
        yield
        running.cancel()


async def repaired(manager: RouteManager, drift: int) -> bool:
    """Wait until so much was repaired, well before anybody looks without news."""
    assert PATIENCE < CHECK_INTERVAL
    await asyncio.to_thread(comes_true, lambda: manager.tally.drift >= drift)
    return manager.tally.drift == drift


async def test_a_route_that_others_take_away_is_back_at_once(manager: RouteManager) -> None:
    await use(manager, ROUTE, SIX)
    async with following(manager):
        ip("route", "del", "10.20.0.0/16")
        assert await repaired(manager, 1)
        assert targets() == {"10.20.0.0/16", "fd77::/48"}


async def test_a_route_that_others_change_is_as_declared_at_once(manager: RouteManager) -> None:
    await use(manager, ROUTE)
    async with following(manager):
        change = ("10.20.0.0/16", "via", "10.1.3.77", "metric", "100", "proto", "91")
        ip("route", "replace", *change)
        assert await repaired(manager, 1)
        assert [route["gateway"] for route in made()] == ["10.1.3.9"]


async def test_a_rule_that_others_take_away_is_back_at_once(manager: RouteManager) -> None:
    await use(manager, ROUTE, table=300)
    async with following(manager):
        ip("rule", "del", "priority", "9000")
        assert await repaired(manager, 1)
        assert rules() == [(9000, "300")]


async def test_news_of_managed_routes_are_for_who_looks_after_them(manager: RouteManager) -> None:
    looked = asyncio.Event()

    async def look() -> None:
        looked.set()

    ip("route", "add", "10.9.0.0/16", "dev", NAME, "proto", "90")
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(manager.run(look))
        await asyncio.sleep(0.1)  # until it listens
        looked.clear()
        ip("route", "del", "10.9.0.0/16")
        assert await asyncio.wait_for(looked.wait(), PATIENCE)
        running.cancel()


async def test_routes_are_back_when_the_device_is_up_again(manager: RouteManager) -> None:
    await use(manager, ROUTE, declare("10.21.0.0/16", member=MEMBER))
    async with following(manager):
        ip("link", "set", NAME, "down")
        ip("link", "set", NAME, "up")
        await repaired(manager, 3)
        assert targets() == {"10.20.0.0/16", "10.21.0.0/16"}
        assert len(ask("-6", "neigh", "show", "nud", "permanent")) == 1


async def test_our_own_changes_are_no_drift(manager: RouteManager) -> None:
    async with following(manager):
        await use(manager, ROUTE, SIX)
        await use(manager, SIX)
        await asyncio.sleep(0.2)
    tally = manager.tally
    assert (tally.drift, tally.unchanged) == (0, 1)


async def test_a_check_that_finds_all_well_changes_nothing(manager: RouteManager) -> None:
    await use(manager, ROUTE, SIX)
    before = manager.tally
    await manager.check()
    assert manager.tally == replace(
        before, unchanged=before.unchanged + 1, seconds=manager.tally.seconds
    )


# -- the end -----------------------------------------------------------------------------------


async def test_with_the_end_all_goes(port: Device) -> None:
    manager = RouteManager(settings(ROUTE, SIX, declare("10.21.0.0/16", member=MEMBER), table=300))
    await manager.follow({NETWORK: port.overlay})
    await manager.close()
    assert (targets(), rules()) == (set(), [])
    assert ask("-6", "neigh", "show", "nud", "permanent") == []


async def test_what_is_kept_stays(port: Device) -> None:
    manager = RouteManager(settings(ROUTE, SIX, table=300))
    await manager.follow({NETWORK: port.overlay})
    await manager.close(keep=True)
    assert (targets(), len(rules())) == ({"10.20.0.0/16", "fd77::/48"}, 2)


async def test_a_route_whose_new_via_is_nobody_yet_leads_to_the_former_no_more(
    manager: RouteManager,
) -> None:
    await use(manager, ROUTE)
    await use(manager, declare(member=Address(1)))
    assert (states(manager), targets()) == ([RouteState.WAITING], set())


async def test_a_member_that_is_not_known_again_after_a_restart_keeps_its_route(
    port: Device,
) -> None:
    wanted = settings(declare(member=MEMBER))
    former = RouteManager(wanted)
    await former.follow({NETWORK: port.overlay})
    await former.close(keep=True)
    manager = RouteManager(wanted)
    await manager.follow({NETWORK: replace(port.overlay, members=frozenset())})
    assert (states(manager), targets()) == ([RouteState.INSTALLED], {"10.20.0.0/16"})
    await manager.close()
