"""What is answered below `/zerotier/`, and to whom."""

import json
from dataclasses import replace

import pytest

from tests.unit.api.rig import Answer, Speaker
from tests.unit.api.seen import JOINED, NAME, REQUIRED, seen, served
from ztlink.api.page import HEADERS
from ztlink.settings import Expose, HttpSettings

OPEN = ("health", "health/live", "health/ready", "health/startup", "metrics", "manifest", "schema")
PRIVATE = ("", "status")


async def ask(speaker: Speaker, path: str, **headers: str) -> Answer:
    return await speaker.ask("GET", f"/zerotier/{path}", headers=headers)


async def test_a_node_that_is_well_answers_200_to_everything() -> None:
    async with served(JOINED) as speaker:
        for path in (*OPEN, *PRIVATE):
            assert (await ask(speaker, path)).status == 200


async def test_a_node_that_is_not_ready_is_still_alive() -> None:
    async with served(seen()) as speaker:
        assert (await ask(speaker, "health/ready")).status == 503
        assert (await ask(speaker, "health/live")).status == 200


async def test_what_keeps_a_node_from_being_ready_is_told_alone() -> None:
    async with served(seen()) as speaker:
        answer = await ask(speaker, "health/ready")
    (missed,) = answer.json["conditions"]
    assert (missed["kind"], missed["subject"]) == ("authorised", NAME)
    assert missed["remedy"] == f"run 'ztlink join {NAME}'"


async def test_health_itself_is_an_answer_whatever_it_says() -> None:
    async with served(seen()) as speaker:
        answer = await ask(speaker, "health")
    assert (answer.status, answer.json["status"], answer.json["ready"]) == (200, "degraded", False)


async def test_health_lists_what_is_well_too() -> None:
    async with served(JOINED) as speaker:
        health = (await ask(speaker, "health")).json
    assert health["status"] == "ok"
    assert {one["status"] for one in health["conditions"]} == {"ok"}


async def test_a_node_without_sockets_has_not_started() -> None:
    async with served(replace(JOINED, sockets=())) as speaker:
        assert (await ask(speaker, "health/startup")).status == 503


@pytest.mark.parametrize("path", ["health/ready", "health/startup", "metrics", "status"])
async def test_a_node_that_does_not_answer_is_not_waited_for(path: str) -> None:
    async with served(None) as speaker:
        assert (await ask(speaker, path)).status == 503


@pytest.mark.parametrize("path", ["health", "health/live", "manifest", ""])
async def test_what_needs_no_node_is_answered_by_a_process_whose_node_is_stuck(path: str) -> None:
    async with served(None) as speaker:
        assert (await ask(speaker, path)).status == 200


async def test_health_of_a_node_that_does_not_answer_says_so() -> None:
    async with served(None) as speaker:
        (condition,) = (await ask(speaker, "health")).json["conditions"]
    assert (condition["kind"], condition["cause"]) == ("node", "the node does not answer")


async def test_nothing_else_is_served() -> None:
    async with served(JOINED) as speaker:
        assert (await speaker.ask("GET", "/status", headers={})).status == 404
        assert (await speaker.ask("POST", "/zerotier/health", headers={})).status == 405


async def test_the_page_is_found_without_its_last_slash() -> None:
    async with served(JOINED) as speaker:
        answer = await speaker.ask("GET", "/zerotier", headers={})
    assert (answer.status, answer.headers["Location"]) == (308, "/zerotier/")


async def test_the_page_forbids_whatever_is_not_its_own() -> None:
    async with served(JOINED) as speaker:
        answer = await ask(speaker, "")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert set(HEADERS.items()) <= set(answer.headers.items())


@pytest.mark.parametrize("path", PRIVATE)
async def test_a_name_that_was_made_to_point_here_sees_neither_page_nor_status(path: str) -> None:
    async with served(JOINED) as speaker:
        said = f"GET /zerotier/{path} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
        answer = await speaker.exchange(said.encode())
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"ba52bb0e23" not in answer


async def test_what_is_exposed_may_be_asked_by_any_name() -> None:
    everything = replace(REQUIRED, http=HttpSettings(expose=Expose.ALL))
    async with served(JOINED, everything) as speaker:
        said = b"GET /zerotier/status HTTP/1.1\r\nHost: node-1\r\nConnection: close\r\n\r\n"
        assert (await speaker.exchange(said)).startswith(b"HTTP/1.1 200 ")


async def test_answers_are_counted_by_path_and_status() -> None:
    async with served(JOINED) as speaker:
        await ask(speaker, "health")
        await speaker.ask("GET", "/zerotier/no/such/thing", headers={})
        text = (await ask(speaker, "metrics")).body.decode()
    assert 'zerotier_link_api_requests_total{code="200",path="/zerotier/health"} 1.0' in text
    assert 'zerotier_link_api_requests_total{code="404",path="other"} 1.0' in text


async def test_the_schema_is_that_of_the_configuration() -> None:
    async with served(JOINED) as speaker:
        assert json.loads((await ask(speaker, "schema")).body) == {"a": 1}
