"""`ztlink authorize --api`: at Central, and at a controller of one's own."""

import json
from pathlib import Path

import pytest

from tests.hosted.central import NETWORK, TOKEN
from tests.hosted.conftest import Hosted, Own
from tests.unit.cli.rig import run
from tests.unit.controller.rig import NETWORK as OWN_NETWORK
from tests.unit.controller.rig import member
from ztlink.hosted import client
from ztlink.ids import format_address, format_network_id

FIRST, SECOND, THIRD = "0123456789", "abcdef0123", "1122334455"
OWN = format_network_id(OWN_NETWORK)
ONE = format_address(member(1).address)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "DISTANCE", 0.0)


# -- Central


def test_members_are_let_in_and_told(central: Hosted) -> None:
    central.api.put(FIRST, authorized=False)
    central.api.put(SECOND, authorized=True)
    said = run("authorize", NETWORK, FIRST, SECOND, THIRD, "--api", central.url)
    assert said.output.splitlines() == [
        "<ztaddr>    <result>",
        f"{FIRST}  authorized",
        f"{SECOND}  was authorized already",
        f"{THIRD}  authorized, has not asked yet",
    ]
    assert (said.exit_code, central.api.authorized) == (0, {FIRST, SECOND, THIRD})


def test_a_member_is_let_in_by_the_documented_body(central: Hosted) -> None:
    run("authorize", NETWORK, FIRST, "--api", central.url)
    assert central.api.log[-1] == f"POST /api/v1/network/{NETWORK}/member/{FIRST}"
    assert central.api.bodies == [{"config": {"authorized": True}}]


def test_who_is_in_is_left_alone(central: Hosted) -> None:
    central.api.put(FIRST, authorized=True)
    run("authorize", NETWORK, FIRST, "--api", central.url)
    assert central.api.bodies == []


def test_a_dry_run_changes_nothing(central: Hosted) -> None:
    central.api.put(FIRST, authorized=False)
    said = run("authorize", NETWORK, FIRST, SECOND, "--dry-run", "--api", central.url)
    assert f"{FIRST}  would be authorized\n" in said.output
    assert f"{SECOND}  would be authorized, has not asked yet\n" in said.output
    assert (central.api.bodies, central.api.authorized) == ([], set())


def test_a_program_gets_json(central: Hosted) -> None:
    said = run("authorize", NETWORK, FIRST, "--json", "--dry-run", "--api", central.url)
    assert json.loads(said.output) == [
        {"address": FIRST, "machine": "", "result": "would be authorized, has not asked yet"}
    ]


def test_a_token_may_be_in_a_file(
    central: Hosted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    monkeypatch.delenv("ZEROTIER_API_TOKEN")
    monkeypatch.setenv("ZEROTIER_API_TOKEN_FILE", str(file))
    assert run("authorize", NETWORK, FIRST, "--api", central.url).exit_code == 0


def test_a_token_that_is_not_taken_is_explained(central: Hosted) -> None:
    central.api.token = "another"  # noqa: S105 - made for tests
    said = run("authorize", NETWORK, FIRST, "--api", central.url)
    assert "does not take the token: is it complete, and still valid?" in said.output
    assert f"{FIRST}  not tried" in said.output
    assert (said.exit_code, TOKEN in said.output) == (1, False)


def test_a_token_without_the_right_is_explained(central: Hosted) -> None:
    central.api.is_reader = True
    said = run("authorize", NETWORK, FIRST, "--api", central.url)
    assert "(403 access denied): use one of an account that may authorise" in said.output
    assert said.exit_code == 1


def test_a_network_of_somebody_else_is_explained(central: Hosted) -> None:
    said = run("authorize", "8056c2e21c000002", FIRST, "--api", central.url)
    assert "has no network 8056c2e21c000002: check the id, and whose the token is" in said.output
    assert central.api.bodies == []


def test_what_was_done_before_an_error_is_told(central: Hosted) -> None:
    def revoke() -> None:
        central.api.token = "another"  # noqa: S105 - made for tests

    central.api.after_update = revoke
    central.api.put(FIRST, authorized=False)
    said = run("authorize", NETWORK, FIRST, SECOND, THIRD, "--api", central.url)
    assert f"{FIRST}  authorized\n" in said.output
    assert f"{THIRD}  not tried\n" in said.output
    assert said.exit_code == 1


def test_what_leads_elsewhere_is_not_followed(central: Hosted) -> None:
    central.api.troubles = [(302, {"Location": "http://127.0.0.1:1/"})]
    said = run("authorize", NETWORK, FIRST, "--api", central.url)
    assert "answered by a redirect (302)" in said.output


def test_a_url_of_something_else_is_explained(central: Hosted) -> None:
    said = run("authorize", NETWORK, FIRST, "--api", central.url.removesuffix("/api/v1"))
    assert "has no network" in said.output


# -- a controller of one's own


def authorized(own: Own) -> set[str]:
    members = own.rig.service.members[OWN_NETWORK].values()
    return {format_address(one.address) for one in members if one.authorized}


def test_our_controller_lets_members_in(own: Own) -> None:
    own.rig.ask(1)
    said = run("authorize", OWN, ONE, FIRST, "--api", own.url)
    assert f"{ONE}  authorized\n" in said.output
    assert f"{FIRST}  authorized, has not asked yet\n" in said.output
    assert authorized(own) == {ONE, FIRST}


def test_our_controller_says_who_is_in(own: Own) -> None:
    own.rig.set_member(1, authorized=True)
    said = run("authorize", OWN, ONE, "--api", f"{own.url}/")
    assert f"{ONE}  was authorized already\n" in said.output


def test_a_dry_run_changes_nothing_at_our_controller(own: Own) -> None:
    own.rig.ask(1)
    run("authorize", OWN, ONE, "--dry-run", "--api", own.url)
    assert authorized(own) == set()


def test_the_token_of_another_controller_is_explained(
    own: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZEROTIER_API_TOKEN", "of-another-controller")
    said = run("authorize", OWN, ONE, "--api", own.url)
    assert "is it that of authtoken.secret, and are we in its allowManagementFrom?" in said.output


def test_a_network_that_our_controller_has_not_is_explained(own: Own) -> None:
    assert "has no network" in run("authorize", NETWORK, ONE, "--api", own.url).output


# -- words


def test_all_who_wait_are_not_asked_of_others(central: Hosted) -> None:
    said = run("authorize", NETWORK, "--all-waiting", "--api", central.url)
    assert (said.exit_code, central.api.log) == (2, [])


def test_without_a_token_it_is_said_how_to_give_one(
    central: Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ZEROTIER_API_TOKEN")
    said = run("authorize", NETWORK, FIRST, "--api", central.url)
    assert (said.exit_code, "set ZEROTIER_API_TOKEN, or" in said.output) == (78, True)
    assert central.api.log == []
