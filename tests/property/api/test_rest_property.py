"""The controller's REST API under any input: refused or taken, never broken, and it tells nothing.

The real application is spoken to in real HTTP; only the sockets are a pair.
"""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.unit.api.rig import TOKEN, Answer, Speaker, controller_api
from tests.unit.controller.rig import CONTROLLER, NETWORK, Rig, member
from tests.unit.controller.test_records import FULL_MEMBER, FULL_NETWORK
from ztlink.ids import format_address, format_network_id

OWN = format_address(CONTROLLER.address)
ID = format_network_id(NETWORK)
NODE = format_address(member(1).address)
NETWORK_PATH = f"/controller/network/{ID}"
MEMBER_PATH = f"{NETWORK_PATH}/member/{NODE}"
FEWER = settings(max_examples=settings().max_examples // 3)
"""For tests of which there is one a field."""
LEAKS = (TOKEN, "Traceback", 'File "', ".py", "object at 0x", "sqlite")
"""What no answer may have, unless it repeats what was sent."""


def is_harmless(text: str) -> bool:
    """Tell whether an answer may repeat a text.

    Texts are drawn among the literals of all tests that are loaded, too: of names of files, say.
    """
    return not any(leak in text for leak in LEAKS)


json_leaves: SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-1, 1 << 66)
    | st.floats()
    | st.text(st.characters(), max_size=40).filter(is_harmless)  # halves of surrogate pairs too
    | st.sampled_from(["zt", "10.1.0.0/16", "10.1.0.7", "fd00::1", "cd35adcab8", "ACTION_DROP"])
)
json_values: SearchStrategy[Any] = st.recursive(
    json_leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=8).filter(is_harmless), inner)
    ),
    max_leaves=12,
)


@st.composite
def spoiled(draw: st.DrawFn, good: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a good value of which a part, at any depth, is something else or is gone."""
    if isinstance(good, dict) and good and draw(st.booleans()):
        key = draw(st.sampled_from(sorted(good)))
        if draw(st.integers(0, 4)) == 0:
            return {k: v for k, v in good.items() if k != key}
        return good | {key: draw(spoiled(good[key]))}
    if isinstance(good, list) and good and draw(st.booleans()):
        index = draw(st.integers(0, len(good) - 1))
        return [*good[:index], draw(spoiled(good[index])), *good[index + 1 :]]
    return draw(json_values)


@dataclass(frozen=True, slots=True)
class Api:
    """An API, and the loop that it runs in."""

    runner: asyncio.Runner
    speaker: Speaker
    rig: Rig

    def ask(self, method: str, path: str, body: object = None) -> Answer:
        """Send a request; fail where the answer is an accident, or tells what is inside."""
        answer = self.runner.run(self.speaker.ask(method, path, body))
        assert answer.status < 500, answer.body
        assert not [leak for leak in LEAKS if leak.encode() in answer.body]
        return answer

    def serve_member(self) -> None:
        """Have the member ask for its configuration, which fails unless it can be read."""
        self.rig.pass_time(2.0)
        told = len(self.rig.core.configs) + len(self.rig.core.refusals)
        self.rig.ask(1)
        assert len(self.rig.core.configs) + len(self.rig.core.refusals) == told + 1


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        speaker, rig = runner.run(stack.enter_async_context(controller_api()))
        rig.create(name="lab")
        rig.set_member(1, authorized=True)
        yield Api(runner, speaker, rig)
        runner.run(stack.aclose())


def check_change(api: Api, path: str, field: str, value: object) -> None:
    """Post one field: taken and shown again as it was taken, or refused by name."""
    answer = api.ask("POST", path, {field: value})
    if answer.status == 400:
        description = answer.json["description"]
        assert description.startswith(field)
        assert len(description) < 2_000
        return
    shown = answer.json
    again = api.ask("POST", path, shown)
    assert (again.status, again.json) == (200, shown)
    api.serve_member()


@pytest.mark.parametrize("field", FULL_NETWORK)
@FEWER
@given(data=st.data())
def test_a_field_of_a_network_is_taken_or_refused_by_name(
    api: Api, field: str, data: st.DataObject
) -> None:
    check_change(api, NETWORK_PATH, field, data.draw(spoiled(FULL_NETWORK[field])))


@pytest.mark.parametrize("field", FULL_MEMBER)
@FEWER
@given(data=st.data())
def test_a_field_of_a_member_is_taken_or_refused_by_name(
    api: Api, field: str, data: st.DataObject
) -> None:
    # Defaults of tags, and addresses, are given to members, and are what nobody has posted.
    api.rig.service.update_network(NETWORK, {"tags": [], "v4AssignMode": {}, "v6AssignMode": {}})
    check_change(api, MEMBER_PATH, field, data.draw(spoiled(FULL_MEMBER[field])))


@given(body=st.dictionaries(st.sampled_from([*FULL_NETWORK, "id", "revision"]), json_values))
def test_a_refusal_leaves_a_network_as_it_was(api: Api, body: dict[str, Any]) -> None:
    before = api.ask("GET", NETWORK_PATH).json
    if api.ask("POST", NETWORK_PATH, body).status == 400:
        assert api.ask("GET", NETWORK_PATH).json == before


bodies = st.binary(max_size=64) | st.sampled_from(
    [b"[" * 100_000, b'{"a":' * 50_000, b"1e999", b"NaN", b'{"mtu":' + b"9" * 5_000 + b"}"]
)
methods = st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])


@given(method=methods, path=st.sampled_from([NETWORK_PATH, MEMBER_PATH]), body=bodies)
def test_any_bytes_may_be_a_body(api: Api, method: str, path: str, body: bytes) -> None:
    if method != "DELETE":
        assert api.ask(method, path, body).status < 500


segments = st.sampled_from(
    ["controller", "network", "member", "unstable", "restore", ID, OWN, NODE, f"{OWN}______"]
) | st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20)


@given(method=methods, path=st.lists(segments, max_size=6), body=json_values)
def test_any_path_may_be_asked_for(api: Api, method: str, path: list[str], body: object) -> None:
    where = "/" + "/".join(path)
    is_of_the_lab = ID in path and method == "DELETE"
    if not is_of_the_lab:
        assert api.ask(method, where, body).status < 500


@given(
    token=st.text(
        st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters="\x7f"),
        max_size=40,
    )
)
def test_no_other_token_opens_it(api: Api, token: str) -> None:
    ask = api.speaker.ask("GET", NETWORK_PATH, headers={"X-ZT1-Auth": token})
    answer = api.runner.run(ask)
    assert (answer.status, answer.body) == (401, b"{}")


def test_the_network_is_still_there_after_all_that(api: Api) -> None:
    assert api.ask("GET", NETWORK_PATH).json["id"] == ID
