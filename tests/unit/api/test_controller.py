"""The controller's REST API over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.api.rig import SETTINGS, FakeCore, Speaker, controller_api, make_api, speak_to
from tests.unit.controller.rig import CONTROLLER, NETWORK, Rig, member
from ztlink.api.controller import API_VERSION
from ztlink.controller.backup import PREPARED
from ztlink.controller.records import NetworkRecord
from ztlink.controller.store import ControllerStore
from ztlink.ids import format_address, format_network_id

OWN = format_address(CONTROLLER.address)
ID = format_network_id(NETWORK)
NODE = format_address(member(1).address)
UNKNOWN = f"{OWN}0000ff"


@pytest.fixture
async def both() -> AsyncIterator[tuple[Speaker, Rig]]:
    async with controller_api() as (speaker, rig):
        rig.create(name="lab")
        yield speaker, rig


@pytest.fixture
def speaker(both: tuple[Speaker, Rig]) -> Speaker:
    return both[0]


@pytest.fixture
def rig(both: tuple[Speaker, Rig]) -> Rig:
    return both[1]


# -- networks ------------------------------------------------------------------------------------


async def test_a_controller_says_that_it_is_one(speaker: Speaker) -> None:
    answer = await speaker.ask("GET", "/controller")
    assert answer.json == {
        "apiVersion": API_VERSION,
        "clock": 1_700_000_000_000,
        "controller": True,
        "databaseReady": True,
    }


async def test_networks_are_listed_by_id(speaker: Speaker) -> None:
    assert (await speaker.ask("GET", "/controller/network")).json == [ID]


@pytest.mark.parametrize("path", ["/controller/network", f"/controller/network/{OWN}______"])
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_network_is_made_with_a_number_of_the_controllers_choice(
    speaker: Speaker, method: str, path: str
) -> None:
    made = (await speaker.ask(method, path, {"name": "new"})).json
    assert (made["nwid"][:10], made["name"], made["nwid"] != ID) == (OWN, "new", True)


async def test_a_network_is_made_with_a_number_of_the_users_choice(speaker: Speaker) -> None:
    made = (await speaker.ask("POST", f"/controller/network/{OWN}00abcd", {})).json
    assert made["nwid"] == f"{OWN}00abcd"


@pytest.mark.parametrize(
    "address", ["0123456789______", "0123456789000001", "zz", "0123456789_____"]
)
async def test_a_network_of_another_controller_is_refused(speaker: Speaker, address: str) -> None:
    answer = await speaker.ask("POST", f"/controller/network/{address}", {})
    assert (answer.status, answer.json["error"]) == (400, 400)


async def test_a_network_is_changed(speaker: Speaker) -> None:
    changed = (await speaker.ask("POST", f"/controller/network/{ID}", {"mtu": 1400})).json
    assert (changed["mtu"], changed["name"], changed["revision"]) == (1400, "lab", 2)


async def test_a_bad_value_is_400_and_names_the_field(speaker: Speaker) -> None:
    answer = await speaker.ask("POST", f"/controller/network/{ID}", {"private": "x"})
    assert (answer.status, answer.json["description"]) == (
        400,
        "private: 'x' is not true or false",
    )


async def test_a_bad_value_spoils_the_good_ones_beside_it(speaker: Speaker) -> None:
    await speaker.ask("POST", f"/controller/network/{ID}", {"mtu": 1400, "private": "x"})
    assert (await speaker.ask("GET", f"/controller/network/{ID}")).json["mtu"] == 2800


async def test_a_network_is_not_made_of_bad_values(speaker: Speaker) -> None:
    await speaker.ask("POST", "/controller/network", {"private": "x"})
    assert (await speaker.ask("GET", "/controller/network")).json == [ID]


async def test_a_network_is_deleted_and_shown_once_more(speaker: Speaker) -> None:
    deleted = await speaker.ask("DELETE", f"/controller/network/{ID}")
    listed = await speaker.ask("GET", "/controller/network")
    assert (deleted.json["name"], listed.json) == ("lab", [])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/controller/network/{UNKNOWN}"),
        ("DELETE", f"/controller/network/{UNKNOWN}"),
        ("GET", f"/controller/network/{UNKNOWN}/member"),
        ("POST", f"/controller/network/{UNKNOWN}/member/{NODE}"),
        ("GET", f"/controller/network/{ID}/member/{NODE}"),
        ("DELETE", f"/controller/network/{ID}/member/{NODE}"),
        ("GET", f"/controller/network/{ID}/member/xyz"),
        ("POST", f"/controller/network/{ID}/member/xyz"),
        ("GET", f"/controller/network/{ID}/nosuch"),
        ("GET", f"/unstable/controller/network/{UNKNOWN}/member"),
        ("GET", "/controller/network/xyz"),
    ],
)
async def test_what_there_is_not_is_404_without_a_body(
    speaker: Speaker, method: str, path: str
) -> None:
    answer = await speaker.ask(method, path, {} if method == "POST" else None)
    assert (answer.status, answer.body) == (404, b"")


# -- members -------------------------------------------------------------------------------------


async def test_a_member_can_be_authorised_before_it_asks(speaker: Speaker, rig: Rig) -> None:
    await speaker.ask("POST", f"/controller/network/{ID}/member/{NODE}", {"authorized": True})
    rig.ask(1)
    assert [sent.member for sent in rig.core.configs] == [member(1).address]


async def test_members_are_listed_with_their_revisions(speaker: Speaker, rig: Rig) -> None:
    rig.ask(1)
    rig.set_member(1, name="a")
    assert (await speaker.ask("GET", f"/controller/network/{ID}/member")).json == {NODE: 2}


async def test_a_member_shows_what_it_said_of_itself(speaker: Speaker, rig: Rig) -> None:
    rig.set_member(1, authorized=True)
    rig.ask(1)
    shown = (await speaker.ask("GET", f"/controller/network/{ID}/member/{NODE}")).json
    assert (shown["identity"], shown["vMajor"], shown["vProto"]) == (str(member(1)), 1, 12)


async def test_a_change_of_a_member_is_pushed_at_once(speaker: Speaker, rig: Rig) -> None:
    rig.ask(1)
    await speaker.ask("POST", f"/controller/network/{ID}/member/{NODE}", {"authorized": True})
    assert [(sent.member, sent.in_reply_to) for sent in rig.core.configs] == [
        (member(1).address, None)
    ]


async def test_a_word_does_not_deauthorise(speaker: Speaker, rig: Rig) -> None:
    rig.set_member(1, authorized=True)
    path = f"/controller/network/{ID}/member/{NODE}"
    answer = await speaker.ask("POST", path, {"authorized": "maybe"})
    shown = (await speaker.ask("GET", path)).json
    assert (answer.status, shown["authorized"]) == (400, True)


async def test_an_address_that_another_has_is_400(speaker: Speaker, rig: Rig) -> None:
    rig.set_member(2, ipAssignments=["10.147.0.9"])
    path = f"/controller/network/{ID}/member/{NODE}"
    answer = await speaker.ask("POST", path, {"ipAssignments": ["10.147.0.9"]})
    assert (answer.status, "belongs to" in answer.json["description"]) == (400, True)


async def test_of_many_that_want_one_address_at_once_one_gets_it(speaker: Speaker) -> None:
    paths = [f"/controller/network/{ID}/member/{number:010x}" for number in range(1, 21)]
    body = {"ipAssignments": ["10.147.0.9"]}
    answers = await asyncio.gather(*(speaker.ask("POST", path, body) for path in paths))
    assert sorted(answer.status for answer in answers) == [200, *[400] * 19]


async def test_a_member_is_deleted_and_shown_once_more(speaker: Speaker, rig: Rig) -> None:
    rig.set_member(1, name="a")
    path = f"/controller/network/{ID}/member/{NODE}"
    deleted = await speaker.ask("DELETE", path)
    assert (deleted.json["name"], (await speaker.ask("GET", path)).status) == ("a", 404)


# -- whole lists ---------------------------------------------------------------------------------


async def test_all_networks_come_with_counts_of_members(speaker: Speaker, rig: Rig) -> None:
    rig.ask(1)
    rig.set_member(2, authorized=True)
    answer = (await speaker.ask("GET", "/unstable/controller/network")).json
    assert (answer["meta"], answer["data"][0]["meta"]) == (
        {"networkCount": 1},
        {"totalMemberCount": 2, "authorizedMemberCount": 1},
    )


async def test_all_members_come_with_their_counts(speaker: Speaker, rig: Rig) -> None:
    rig.ask(1)
    rig.set_member(2, authorized=True)
    answer = (await speaker.ask("GET", f"/unstable/controller/network/{ID}/member")).json
    assert (answer["meta"], len(answer["data"])) == ({"totalCount": 2, "authorizedCount": 1}, 2)


async def test_whole_lists_have_nothing_between_their_parts(speaker: Speaker, rig: Rig) -> None:
    rig.set_member(1, name="a")
    answer = await speaker.ask("GET", f"/unstable/controller/network/{ID}/member")
    (shown,) = answer.json["data"]
    text = json.dumps({"data": [shown], "meta": answer.json["meta"]}, separators=(",", ":"))
    assert answer.body == text.encode()


async def test_a_member_of_whole_lists_is_as_it_is_shown_alone(speaker: Speaker, rig: Rig) -> None:
    rig.set_member(1, authorized=True, name="\u00fc")
    rig.ask(1)
    alone = (await speaker.ask("GET", f"/controller/network/{ID}/member/{NODE}")).json
    listed = (await speaker.ask("GET", f"/unstable/controller/network/{ID}/member")).json
    assert listed["data"] == [alone]


# -- a copy put back ------------------------------------------------------------------------------

RESTORE = "/unstable/controller/restore"


async def test_a_copy_beside_the_database_is_taken_over(tmp_path: Path) -> None:
    copy = ControllerStore(tmp_path / PREPARED)
    copy.put_network(NetworkRecord(NETWORK, 5, name="of the copy"))
    copy.close()
    rig = Rig()
    settings = replace(SETTINGS, home=tmp_path)
    async with speak_to(make_api(FakeCore(), rig.service, settings=settings)) as speaker:
        restored = await speaker.ask("POST", RESTORE)
        shown = (await speaker.ask("GET", f"/controller/network/{ID}")).json
    rig.service.close()
    assert (restored.json, shown["name"]) == ({"networkCount": 1}, "of the copy")


async def test_where_there_is_no_copy_the_command_is_named(speaker: Speaker) -> None:
    answer = await speaker.ask("POST", RESTORE)
    assert (answer.status, "ztlink controller restore FILE" in answer.json["description"]) == (
        400,
        True,
    )


async def test_a_node_that_is_no_controller_has_none_of_it() -> None:
    async with speak_to(make_api(FakeCore())) as speaker:
        assert (await speaker.ask("GET", "/controller/network")).status == 404
