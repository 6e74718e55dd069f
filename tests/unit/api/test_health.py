"""Whether a node is alive, started and ready, and what helps where it is not."""

from dataclasses import replace

import pytest

from tests.unit.api.rig import NODE
from tests.unit.api.seen import JOINED, NAME, OPTIONAL, REQUIRED, membership, seen, served
from ztlink.api.health import REMEDIES, faults_of, health_json
from ztlink.drivers.sockets import Deafness
from ztlink.host.desired import Policy
from ztlink.host.device import DeviceState
from ztlink.ids import format_address
from ztlink.node.events import NetworkStatus

OK = NetworkStatus.OK
NOT_OK = tuple(status for status in NetworkStatus if status is not OK)


def test_a_network_that_is_ok_with_address_and_device_makes_a_node_ready() -> None:
    assert faults_of(JOINED, REQUIRED) == ()


@pytest.mark.parametrize("status", NOT_OK)
def test_a_network_that_is_not_ok_is_a_fault_with_a_remedy(status: NetworkStatus) -> None:
    fault = faults_of(seen(membership(status, reason="so it is")), REQUIRED)[0]
    assert (fault.subject, fault.message) == (NAME, f"{status.name}: so it is")
    assert fault.remedy


def test_every_status_has_a_remedy() -> None:
    assert set(REMEDIES) == set(NOT_OK)


def test_the_remedy_for_a_node_that_is_not_let_in_can_be_typed_as_it_is() -> None:
    fault = faults_of(seen(membership(NetworkStatus.ACCESS_DENIED)), REQUIRED)[0]
    assert f"ztlink authorize {NAME} {format_address(NODE.identity.address)}" in fault.remedy


def test_a_network_that_is_not_required_may_be_away() -> None:
    assert faults_of(seen(membership(NetworkStatus.NOT_FOUND)), OPTIONAL) == ()


def test_a_required_network_that_was_left_is_missed() -> None:
    fault = faults_of(seen(), REQUIRED)[0]
    assert fault.remedy == f"run 'ztlink join {NAME}'"


def test_a_network_without_an_address_is_not_ready() -> None:
    fault = faults_of(seen(membership(OK)), REQUIRED)[0]
    assert "no address" in fault.message


def test_where_addresses_are_not_managed_none_is_missed() -> None:
    unmanaged = membership(OK, policy=Policy(allow_managed=False))
    assert faults_of(seen(unmanaged), REQUIRED) == ()


def test_a_device_that_is_not_as_it_should_be_is_a_fault() -> None:
    down = membership(OK, "10.1.2.3/24", device=DeviceState("zt0", "the device zt0 is down"))
    assert faults_of(seen(down), REQUIRED)[0].message == "the device zt0 is down"


def test_a_node_without_sockets_is_not_ready() -> None:
    deaf = replace(JOINED, sockets=())
    assert [fault.subject for fault in faults_of(deaf, REQUIRED)] == ["sockets"]


def test_why_there_is_no_socket_is_told_with_what_would_help() -> None:
    deaf = replace(JOINED, sockets=(), deafness=Deafness("this machine has no address", "add one"))
    (fault,) = faults_of(deaf, REQUIRED)
    assert fault.message == "no UDP socket is open on port 9993: this machine has no address"
    assert fault.remedy == "add one"


def test_health_tells_the_world_that_the_node_follows() -> None:
    told = health_json(JOINED, REQUIRED)["world"]
    assert told == {"id": f"{NODE.planet_id:016x}", "timestamp": NODE.planet_timestamp}


def test_health_tells_each_network_with_its_device() -> None:
    network = health_json(JOINED, REQUIRED)["networks"][0]
    assert network == {
        "id": NAME,
        "name": "mesh",
        "required": True,
        "status": "OK",
        "reason": "joined",
        "addresses": ["10.1.2.3/24"],
        "device": "zt0",
        "fault": None,
    }


def test_health_tells_the_machine_of_the_cluster() -> None:
    settings = replace(REQUIRED, node_name="worker-1")
    assert health_json(JOINED, settings)["node"] == "worker-1"


# -- over HTTP -------------------------------------------------------------------------------------


async def test_a_node_that_is_well_answers_200_to_every_probe() -> None:
    async with served(JOINED) as speaker:
        for path in ("", "/live", "/ready", "/startup"):
            assert (await speaker.ask("GET", f"/zerotier/health{path}", headers={})).status == 200


async def test_a_node_that_is_not_ready_is_still_alive() -> None:
    async with served(seen()) as speaker:
        assert (await speaker.ask("GET", "/zerotier/health/ready", headers={})).status == 503
        assert (await speaker.ask("GET", "/zerotier/health/live", headers={})).status == 200


async def test_health_itself_is_an_answer_whatever_it_says() -> None:
    async with served(seen()) as speaker:
        answer = await speaker.ask("GET", "/zerotier/health", headers={})
    assert (answer.status, answer.json["status"]) == (200, "degraded")


async def test_a_node_without_sockets_has_not_started() -> None:
    async with served(replace(JOINED, sockets=())) as speaker:
        assert (await speaker.ask("GET", "/zerotier/health/startup", headers={})).status == 503


@pytest.mark.parametrize("path", ["health", "health/ready", "health/startup", "metrics"])
async def test_a_node_that_does_not_answer_is_not_waited_for(path: str) -> None:
    async with served(None) as speaker:
        assert (await speaker.ask("GET", f"/zerotier/{path}", headers={})).status == 503


async def test_a_process_that_does_not_answer_within_is_alive_nevertheless() -> None:
    async with served(None) as speaker:
        assert (await speaker.ask("GET", "/zerotier/health/live", headers={})).status == 200


async def test_nothing_else_is_served() -> None:
    async with served(JOINED) as speaker:
        assert (await speaker.ask("GET", "/status", headers={})).status == 404
        assert (await speaker.ask("POST", "/zerotier/health", headers={})).status == 405
