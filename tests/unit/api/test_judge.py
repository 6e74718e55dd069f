"""What is well with a node and what is not, with what would help."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from tests.unit.api.seen import (
    JOINED,
    NAME,
    NETWORK,
    NODE,
    OPTIONAL,
    REQUIRED,
    Keeper,
    config,
    membership,
    reported,
    seen,
)
from ztlink.api.judge import MAX_SKEW, REMEDIES, conditions_of, is_ready, is_well
from ztlink.api.observe import Observation
from ztlink.api.planet import GivenPlanet
from ztlink.conditions import Condition, Status
from ztlink.drivers.sockets import Deafness
from ztlink.host.desired import Policy
from ztlink.host.device import DeviceState
from ztlink.ids import format_address
from ztlink.node.events import NetworkStatus
from ztlink.settings import Settings

OK = NetworkStatus.OK
NOT_OK = tuple(status for status in NetworkStatus if status is not OK)
SECONDS = 1000


def one(
    kind: str, observation: Observation, subject: str = "", settings: Settings = REQUIRED
) -> Condition:
    (found,) = [c for c in conditions_of(observation, settings) if c.key == (kind, subject)]
    return found


def kinds(conditions: Iterable[Condition]) -> list[str]:
    return [condition.kind for condition in conditions]


def configured(unix_ms: int) -> Observation:
    """A node whose network is OK, and whose configuration came at this time of our clock."""
    view = replace(JOINED.memberships[0].view, config_unix_ms=unix_ms)
    return replace(JOINED, memberships=(replace(JOINED.memberships[0], view=view),))


def test_a_network_that_is_ok_with_address_routes_and_device_makes_a_node_ready() -> None:
    conditions = conditions_of(JOINED, REQUIRED)
    assert is_ready(conditions)
    assert is_well(conditions)


def test_each_part_of_a_node_is_judged() -> None:
    assert kinds(conditions_of(JOINED, REQUIRED)) == [
        "sockets",
        "online",
        "world",
        "clock",
        "tunDevice",
        "authorised",
        "address",
        "routes",
    ]


@pytest.mark.parametrize("status", NOT_OK)
def test_a_network_that_is_not_ok_is_not_ready_and_says_what_helps(status: NetworkStatus) -> None:
    conditions = conditions_of(seen(membership(status, reason="so it is")), REQUIRED)
    first = next(one for one in conditions if one.is_required and one.status is not Status.OK)
    assert "so it is" in first.cause
    assert first.remedy
    assert not is_ready(conditions)


def test_every_status_has_a_remedy() -> None:
    assert set(REMEDIES) == set(NOT_OK)


def test_a_controller_that_has_not_answered_is_waited_for() -> None:
    waiting = seen(membership(NetworkStatus.REQUESTING_CONFIGURATION))
    assert one("authorised", waiting, NAME).status is Status.WAITING
    assert one("address", waiting, NAME).status is Status.WAITING


def test_the_remedy_for_a_node_that_is_not_let_in_can_be_typed_as_it_is() -> None:
    refused = one("authorised", seen(membership(NetworkStatus.ACCESS_DENIED)), NAME)
    assert refused.status is Status.FAULT
    assert f"ztlink authorize {NAME} {format_address(NODE.identity.address)}" in refused.remedy


def test_a_device_that_cannot_be_made_is_a_fault_of_the_device_not_of_the_authorisation() -> None:
    broken = seen(membership(NetworkStatus.PORT_ERROR, reason="no /dev/net/tun"))
    assert one("tunDevice", broken, NAME).cause == "no /dev/net/tun"
    assert one("authorised", broken, NAME).status is Status.OK


def test_a_network_that_is_not_required_may_be_away() -> None:
    conditions = conditions_of(seen(membership(NetworkStatus.NOT_FOUND)), OPTIONAL)
    assert is_ready(conditions)
    assert not is_well(conditions)


def test_a_required_network_that_was_left_is_missed() -> None:
    assert one("authorised", seen(), NAME).remedy == f"run 'ztlink join {NAME}'"


def test_a_network_without_an_address_is_not_ready() -> None:
    assert "no address" in one("address", seen(membership(OK)), NAME).cause


def test_where_addresses_are_not_managed_none_is_missed() -> None:
    unmanaged = seen(membership(OK, policy=Policy(allow_managed=False)))
    assert one("address", unmanaged, NAME).status is Status.OK


def test_a_device_that_is_down_is_a_fault() -> None:
    down = membership(OK, "10.1.2.3/24", device=DeviceState("zt0", "the device zt0 is down"))
    assert one("tunDevice", seen(down), NAME).cause == "the device zt0 is down"


def test_a_device_that_is_left_down_is_told_what_helps() -> None:
    device = DeviceState("zt0", "the device zt0 is down", remedy="ip link set zt0 up")
    told = one("tunDevice", seen(membership(OK, "10.1.2.3/24", device=device)), NAME)
    assert told.remedy == "ip link set zt0 up"


def test_a_device_with_another_mtu_says_so() -> None:
    device = DeviceState("zt0", "the device zt0 lacks its MTU", {}, ("its MTU",))
    told = one("tunDevice", seen(membership(OK, "10.1.2.3/24", device=device)), NAME)
    assert told.cause == "the device zt0 lacks its MTU"


@pytest.mark.parametrize(("part", "kind"), [("addresses", "address"), ("routes", "routes")])
def test_what_a_device_lacks_is_told_by_its_own_condition(part: str, kind: str) -> None:
    device = DeviceState("zt0", "the device zt0 lacks it", {}, (part,))
    conditions = conditions_of(seen(membership(OK, "10.1.2.3/24", device=device)), REQUIRED)
    assert kinds(c for c in conditions if c.status is not Status.OK) == [kind]
    assert not is_ready(conditions)


def test_a_node_without_devices_misses_none() -> None:
    bare = seen(membership(OK, "10.1.2.3/24", device=DeviceState()))
    assert "tunDevice" not in kinds(conditions_of(bare, REQUIRED))


def test_a_node_without_sockets_is_not_ready() -> None:
    assert not is_ready(conditions_of(replace(JOINED, sockets=()), REQUIRED))


def test_why_there_is_no_socket_is_told_with_what_would_help() -> None:
    deaf = replace(JOINED, sockets=(), deafness=Deafness("this machine has no address", "add one"))
    found = one("sockets", deaf)
    assert found.cause == "no UDP socket is open on port 9993: this machine has no address"
    assert found.remedy == "add one"


def test_a_node_whose_roots_are_silent_is_ready_but_not_well() -> None:
    conditions = conditions_of(replace(JOINED, node=replace(NODE, online=False)), REQUIRED)
    assert (is_ready(conditions), is_well(conditions)) == (True, False)


# -- the world -------------------------------------------------------------------------------------


def given(planet: GivenPlanet) -> Condition:
    return one("world", replace(JOINED, planet=planet))


def test_a_node_that_follows_the_world_of_its_file_is_well() -> None:
    assert given(GivenPlanet(NODE.planet_id, NODE.planet_timestamp)).status is Status.OK


def test_a_node_that_was_given_no_file_is_well() -> None:
    assert given(GivenPlanet()).status is Status.OK


def test_a_file_that_holds_another_world_is_a_fault_that_names_both() -> None:
    found = given(GivenPlanet(0x1234, NODE.planet_timestamp))
    assert found.status is Status.FAULT
    assert f"{NODE.planet_id:016x}" in found.cause
    assert "0000000000001234" in found.cause


def test_a_later_revision_in_the_file_wants_a_restart() -> None:
    assert "restart" in given(GivenPlanet(NODE.planet_id, NODE.planet_timestamp + 1)).remedy


def test_a_world_that_the_node_learned_later_than_its_file_is_well() -> None:
    assert given(GivenPlanet(NODE.planet_id, NODE.planet_timestamp - 1)).status is Status.OK


def test_a_file_that_cannot_be_read_leaves_the_world_unknown() -> None:
    found = given(GivenPlanet(error="cannot read the planet /p: gone"))
    assert (found.status, found.cause) == (Status.UNKNOWN, "cannot read the planet /p: gone")


# -- the clock -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("skew", "word"), [(MAX_SKEW + 1, "ahead of"), (-MAX_SKEW - 1, "behind")])
def test_a_clock_that_is_not_a_controller_s_is_a_fault(skew: float, word: str) -> None:
    came = config().timestamp + int(skew * SECONDS)
    found = one("clock", configured(came))
    assert found.status is Status.FAULT
    assert f"61 s {word} that of the controller of network {NAME}" in found.cause


def test_what_a_configuration_took_on_its_way_is_no_skew() -> None:
    came = config().timestamp + 5 * SECONDS
    assert one("clock", configured(came)).status is Status.OK


def test_a_clock_before_the_signing_of_the_planet_is_a_fault() -> None:
    old = JOINED.now._replace(unix_ms=NODE.planet_timestamp - 7_200 * SECONDS)
    assert "before the day" in one("clock", replace(JOINED, now=old)).cause


@pytest.mark.parametrize(
    ("kept", "status"), [(True, Status.OK), (False, Status.UNKNOWN), (None, Status.UNKNOWN)]
)
def test_before_any_controller_spoke_the_kernel_is_believed(
    kept: bool | None, status: Status
) -> None:
    cached = replace(configured(0), is_synchronised=kept)
    assert one("clock", cached).status is status


# -- what others manage ----------------------------------------------------------------------------


def test_what_a_manager_reports_is_told_as_it_is() -> None:
    missing = Condition("route", Status.FAULT, "10.20.0.0/16", "overlaps pods", "choose another")
    found = conditions_of(reported(JOINED, Keeper((missing,))), REQUIRED)
    assert found[-1] == missing


def test_what_a_manager_misses_keeps_a_node_from_being_ready() -> None:
    waits = Condition("route", Status.WAITING, "10.20.0.0/16", "nobody is there")
    assert not is_ready(conditions_of(reported(JOINED, Keeper((waits,))), REQUIRED))


def test_what_is_unknown_is_never_taken_for_well() -> None:
    assert not is_ready((Condition("firewall", Status.UNKNOWN),))


def test_the_network_that_is_judged_is_the_subject() -> None:
    assert one("authorised", JOINED, f"{NETWORK:016x}").status is Status.OK
