"""The local API over HTTP: who gets in, what is asked, what comes back."""

import asyncio
import errno
import logging
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import cast

import pytest

from tests.unit.api.rig import TOKEN, FakeCore, Speaker, make_api, speak_to
from ztlink.api import app
from ztlink.api.networks import POLICY_FIELDS
from ztlink.errors import HostError, LocalProtocolError, UnavailableError
from ztlink.ids import NetworkId

NETWORK = "8056c2e21c000001"


@pytest.fixture
def core() -> FakeCore:
    return FakeCore()


@pytest.fixture
async def speaker(core: FakeCore) -> AsyncIterator[Speaker]:
    async with speak_to(make_api(core)) as running:
        yield running


# -- who gets in ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"X-ZT1-Auth": TOKEN},
        {"Authorization": f"Bearer {TOKEN}"},
        {"Authorization": f"bearer {TOKEN}"},
    ],
)
async def test_the_token_opens(speaker: Speaker, headers: dict[str, str]) -> None:
    assert (await speaker.ask("GET", "/status", headers=headers)).status == 200


async def test_the_token_opens_in_the_query(speaker: Speaker) -> None:
    assert (await speaker.ask("GET", f"/status?auth={TOKEN}", headers={})).status == 200


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/status", {}),
        ("/status", {"X-ZT1-Auth": "0" * 24}),
        ("/status", {"X-ZT1-Auth": TOKEN[:-1]}),
        ("/status", {"X-ZT1-Auth": "\u00fc\u00fc"}),
        ("/status", {"Authorization": f"Basic {TOKEN}"}),
        ("/status", {"Authorization": "Bearer"}),
        (f"/status?auth={TOKEN}", {"X-ZT1-Auth": "wrong"}),
        ("/nosuchpath", {}),
        ("/controller", {}),
        ("/health/", {}),
        ("//health", {}),
    ],
)
async def test_nothing_else_opens(speaker: Speaker, path: str, headers: dict[str, str]) -> None:
    answer = await speaker.ask("GET", path, headers=headers)
    assert (answer.status, answer.body) == (401, b"{}")


async def test_who_is_sent_here_to_log_in_is_told_that_nobody_can(speaker: Speaker) -> None:
    answer = await speaker.ask("GET", "/sso?code=abc&state=def", headers={})
    assert (answer.status, b"no single sign-on" in answer.body) == (404, True)


async def test_health_needs_no_token(speaker: Speaker) -> None:
    assert (await speaker.ask("GET", "/health", headers={})).status == 200


@pytest.mark.parametrize(
    "path", [f"/status?auth={TOKEN}", f"/nosuch?auth={TOKEN}", f"/network/x?auth={TOKEN}"]
)
async def test_no_token_is_logged(
    speaker: Speaker, core: FakeCore, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    caplog.set_level(logging.DEBUG)
    core.failure = RuntimeError("the node does not take commands any more")
    await speaker.ask("GET", path, headers={})
    await speaker.ask("GET", "/status", headers={"X-ZT1-Auth": TOKEN})
    assert TOKEN not in caplog.text


async def test_a_token_that_cannot_be_read_is_not_logged_either(
    speaker: Speaker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = await speaker.ask("GET", "/status", headers={"X-ZT1-Auth": f"{TOKEN}\x7f"})
    assert answer.status == 400
    assert TOKEN not in caplog.text


# -- paths and methods ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/nosuchpath"),
        ("GET", "/status/"),
        ("GET", "/network/xyz"),
        ("GET", "/network/0123456789abcde"),
        ("GET", "/peer/xyz"),
        ("GET", "/controller"),
        ("POST", "/status"),
        ("PUT", "/status"),
        ("OPTIONS", "/status"),
        ("DELETE", "/peer"),
        ("POST", "/network/xyz"),
        ("DELETE", "/network/xyz"),
    ],
)
async def test_what_there_is_not_is_404_without_a_body(
    speaker: Speaker, method: str, path: str
) -> None:
    answer = await speaker.ask(method, path)
    assert (answer.status, answer.body, answer.headers.get("Content-Type")) == (404, b"", None)


async def test_head_works_where_get_does(speaker: Speaker) -> None:
    answer = await speaker.ask("HEAD", "/status")
    assert (answer.status, answer.body) == (200, b"")


async def test_a_network_that_was_not_joined_is_404_with_an_empty_object(speaker: Speaker) -> None:
    answer = await speaker.ask("GET", f"/network/{NETWORK}")
    assert (answer.status, answer.json) == (404, {})


async def test_a_peer_that_nobody_knows_is_an_empty_object(speaker: Speaker) -> None:
    answer = await speaker.ask("GET", "/peer/0123456789")
    assert (answer.status, answer.json) == (200, {})


# -- joining and leaving -------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_network_is_joined(speaker: Speaker, core: FakeCore, method: str) -> None:
    await speaker.ask(method, f"/network/{NETWORK}", {})
    assert list(core.networks) == [NetworkId(int(NETWORK, 16))]


async def test_joining_needs_no_body(speaker: Speaker) -> None:
    assert (await speaker.ask("POST", f"/network/{NETWORK}")).json["id"] == NETWORK


async def test_the_answer_says_what_it_waits_for(speaker: Speaker) -> None:
    answer = await speaker.ask("POST", f"/network/{NETWORK}", {})
    assert (answer.json["status"], answer.json["statusReason"]) == (
        "REQUESTING_CONFIGURATION",
        "waiting for the controller's identity",
    )


async def test_network_ids_are_taken_in_either_case(speaker: Speaker) -> None:
    await speaker.ask("POST", f"/network/{NETWORK.upper()}", {})
    assert (await speaker.ask("GET", f"/network/{NETWORK}")).json["nwid"] == NETWORK


async def test_settings_are_kept_and_shown(speaker: Speaker) -> None:
    await speaker.ask("POST", f"/network/{NETWORK}", {"allowGlobal": True, "allowManaged": False})
    await speaker.ask("POST", f"/network/{NETWORK}", {"allowDNS": True})
    shown = (await speaker.ask("GET", f"/network/{NETWORK}")).json
    assert [shown[key] for key in POLICY_FIELDS] == [
        False,
        True,
        False,
        True,
    ]


async def test_settings_are_gone_when_the_network_was_left(speaker: Speaker) -> None:
    await speaker.ask("POST", f"/network/{NETWORK}", {"allowDefault": True})
    await speaker.ask("DELETE", f"/network/{NETWORK}")
    assert (await speaker.ask("POST", f"/network/{NETWORK}")).json["allowDefault"] is False


@pytest.mark.parametrize("value", ["x", 1, None, [], "true"])
async def test_a_setting_that_is_not_true_or_false_is_refused(
    speaker: Speaker, value: object
) -> None:
    answer = await speaker.ask("POST", f"/network/{NETWORK}", {"allowDefault": value})
    assert (answer.status, "allowDefault" in answer.json["description"]) == (400, True)


async def test_what_is_refused_is_not_joined(speaker: Speaker, core: FakeCore) -> None:
    await speaker.ask("POST", f"/network/{NETWORK}", {"allowDefault": "x"})
    assert core.networks == {}


async def test_a_network_is_left(speaker: Speaker, core: FakeCore) -> None:
    await speaker.ask("POST", f"/network/{NETWORK}", {})
    answer = await speaker.ask("DELETE", f"/network/{NETWORK}")
    assert (answer.json, core.networks) == ({"result": True}, {})


async def test_leaving_what_was_not_joined_is_an_empty_object(speaker: Speaker) -> None:
    answer = await speaker.ask("DELETE", f"/network/{NETWORK}")
    assert (answer.status, answer.json) == (200, {})


# -- hostile bodies ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [b"not json", b"[]", b"5", b'"x"', b"null", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000],
    ids=["text", "list", "number", "string", "null", "bytes", "deep list", "deep object"],
)
async def test_a_body_that_is_no_object_is_refused(speaker: Speaker, body: bytes) -> None:
    answer = await speaker.ask("POST", f"/network/{NETWORK}", body)
    assert (answer.status, answer.json["error"]) == (400, 400)


async def test_a_body_that_claims_another_character_set_is_read_as_utf_8(speaker: Speaker) -> None:
    headers = {"X-ZT1-Auth": TOKEN, "Content-Type": "application/json; charset=nosuch"}
    answer = await speaker.ask("POST", f"/network/{NETWORK}", {}, headers)
    assert answer.status == 200


async def test_a_body_that_is_too_large_is_refused(
    core: FakeCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "MAX_BODY", 1000)
    async with speak_to(make_api(core)) as speaker:
        answer = await speaker.ask("POST", f"/network/{NETWORK}", b" " * 1001)
    assert (answer.status, answer.json["error"]) == (413, 413)


async def test_what_the_core_refuses_is_said(speaker: Speaker, core: FakeCore) -> None:
    core.failure = LocalProtocolError("no more networks can be joined")
    answer = await speaker.ask("POST", f"/network/{NETWORK}", {})
    assert (answer.status, answer.json["description"]) == (409, "no more networks can be joined")


async def test_a_node_that_ends_is_not_available(speaker: Speaker, core: FakeCore) -> None:
    core.failure = UnavailableError("the node does not take commands any more")
    answer = await speaker.ask("GET", "/status")
    assert (answer.status, answer.json["error"]) == (503, 503)


async def test_what_the_machine_refuses_is_a_failure_of_ours(
    speaker: Speaker, core: FakeCore
) -> None:
    core.failure = HostError(28, "cannot write: no space left on device")
    answer = await speaker.ask("GET", "/status")
    assert (answer.status, answer.json["error"]) == (500, 500)


# -- ports ---------------------------------------------------------------------------------------


def refuse_to_bind(monkeypatch: pytest.MonkeyPatch, *hosts: str) -> list[str]:
    """Have these addresses be taken; return where the others were bound."""
    bound: list[str] = []

    async def create_server(make: object, host: str, port: int) -> asyncio.Server:
        if host in hosts:
            raise OSError(errno.EADDRINUSE, "address already in use")
        bound.append(host)
        return cast(asyncio.Server, SimpleNamespace(close=lambda: None))

    monkeypatch.setattr(asyncio.get_running_loop(), "create_server", create_server)
    return bound


async def test_it_listens_on_loopback_alone(
    core: FakeCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = refuse_to_bind(monkeypatch)
    api = make_api(core)
    await api.start(9993)
    await api.stop()
    assert bound == ["127.0.0.1", "::1"]


async def test_a_port_that_is_taken_is_a_sentence_that_says_what_to_do(
    core: FakeCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_bind(monkeypatch, "127.0.0.1", "::1")
    api = make_api(core)
    with pytest.raises(HostError, match=r"127\.0\.0\.1:9993 .* --port"):
        await api.start(9993)
    await api.stop()


async def test_a_machine_without_ipv6_is_served(
    core: FakeCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = refuse_to_bind(monkeypatch, "::1")
    api = make_api(core)
    await api.start(9993)
    await api.stop()
    assert bound == ["127.0.0.1"]


async def test_a_port_taken_on_ipv4_is_not_served_by_half(
    core: FakeCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_bind(monkeypatch, "127.0.0.1")
    api = make_api(core)
    with pytest.raises(HostError, match=r"127\.0\.0\.1:9993"):
        await api.start(9993)
    await api.stop()
