"""local.conf and JSONP over HTTP."""

import json
from typing import cast

import pytest

from tests.unit.api.rig import TOKEN, Disk, FakeCore, make_api, speak_to
from ztlink.host.desired import Policy
from ztlink.host.policies import parse_policy
from ztlink.ids import NetworkId

NETWORK = "8056c2e21c000001"
CONF = b'{"physical": {"10.0.0.0/8": {"mtu": 1400}}, "settings": {"primaryPort": 1, "mine": [2]}}'


async def test_local_conf_is_shown() -> None:
    async with speak_to(make_api(FakeCore(), disk=Disk(CONF))) as speaker:
        assert (await speaker.ask("GET", "/config")).json == json.loads(CONF)


@pytest.mark.parametrize("conf", [None, b"", b"\n", b"damaged", b"[]", b"\xff", b"[" * 100_000])
async def test_without_a_readable_local_conf_an_empty_object_is_shown(conf: bytes | None) -> None:
    async with speak_to(make_api(FakeCore(), disk=Disk(conf))) as speaker:
        assert (await speaker.ask("GET", "/config")).json == {}


async def test_the_status_shows_what_is_in_force_within_local_conf() -> None:
    async with speak_to(make_api(FakeCore(), disk=Disk(CONF))) as speaker:
        config = (await speaker.ask("GET", "/status")).json["config"]
    assert config["physical"] == {"10.0.0.0/8": {"mtu": 1400}}
    ports = [config["settings"][f"{rank}Port"] for rank in ("primary", "secondary", "tertiary")]
    assert (config["settings"]["mine"], ports) == ([2], [9993, 20_001, 0])


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_settings_are_put_into_local_conf(method: str) -> None:
    disk = Disk(CONF)
    async with speak_to(make_api(FakeCore(), disk=disk)) as speaker:
        answer = await speaker.ask(method, "/config/settings", {"mine": 3, "more": True})
    assert (answer.status, answer.json) == (200, {})
    wanted = json.loads(CONF)
    wanted["settings"] |= {"mine": 3, "more": True}
    assert json.loads(disk.conf or b"") == wanted


@pytest.mark.parametrize(
    "settings", [{"primaryPort": "many"}, {"bind": 7}, {"allowManagementFrom": ["10.1.2.3"]}]
)
async def test_settings_with_which_the_node_would_not_start_are_refused(settings: object) -> None:
    disk = Disk(CONF)
    async with speak_to(make_api(FakeCore(), disk=disk)) as speaker:
        answer = await speaker.ask("POST", "/config/settings", settings)
    assert (answer.status, disk.conf) == (400, CONF)
    (key,) = cast(dict[str, object], settings)
    assert f"settings.{key}" in answer.json["description"]


async def test_a_local_conf_is_made() -> None:
    disk = Disk()
    async with speak_to(make_api(FakeCore(), disk=disk)) as speaker:
        await speaker.ask("POST", "/config/settings", {"mine": 3})
    assert json.loads(disk.conf or b"") == {"settings": {"mine": 3}}


@pytest.mark.parametrize("conf", [b"damaged", b"[]"])
async def test_a_damaged_local_conf_is_left_as_it_is(conf: bytes) -> None:
    disk = Disk(conf)
    async with speak_to(make_api(FakeCore(), disk=disk)) as speaker:
        answer = await speaker.ask("POST", "/config/settings", {"mine": 3})
    assert (answer.status, "mend it first" in answer.json["description"]) == (400, True)
    assert disk.conf == conf


async def test_what_a_network_may_do_is_kept() -> None:
    disk = Disk()
    async with speak_to(make_api(FakeCore(), disk=disk)) as speaker:
        await speaker.ask("POST", f"/network/{NETWORK}", {"allowDefault": True})
    kept = disk.settings[NetworkId(int(NETWORK, 16))]
    assert parse_policy(kept) == Policy(allow_default=True)


async def test_what_was_kept_is_shown() -> None:
    disk = Disk(settings={NetworkId(int(NETWORK, 16)): b"allowDNS=1\n"})
    async with speak_to(make_api(FakeCore(), disk=disk)) as speaker:
        assert (await speaker.ask("POST", f"/network/{NETWORK}")).json["allowDNS"] is True


async def test_an_answer_is_a_call_where_the_query_names_a_function() -> None:
    async with speak_to(make_api(FakeCore())) as speaker:
        answer = await speaker.ask("GET", f"/network?jsonp=cb&auth={TOKEN}", headers={})
    assert (answer.headers["Content-Type"], answer.body) == (
        "application/javascript; charset=utf-8",
        b"cb([]);",
    )


@pytest.mark.parametrize("name", ["alert(1)//", "", "a" * 65, "1a", "a;b", "%22"])
async def test_a_function_that_is_no_name_is_refused(name: str) -> None:
    async with speak_to(make_api(FakeCore())) as speaker:
        answer = await speaker.ask("GET", f"/network?jsonp={name}")
    assert (answer.status, answer.headers["Content-Type"]) == (
        400,
        "application/json; charset=utf-8",
    )
