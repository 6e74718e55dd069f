"""What the original answered, field by field: the same state gives the same JSON."""

from typing import Any

import pytest

from tests.unit.api.recorded import (
    answers,
    endpoint,
    network_view,
    node_view,
    objects,
    peer_view,
    policy,
    shape,
)
from tests.unit.api.rig import TOKEN, FakeCore, controller_api, make_api, speak_to
from tests.vectors.loading import load
from ztlink.api.views import network_json, peer_json, status_json
from ztlink.clock import Now
from ztlink.drivers.binder import Bound

Json = dict[str, Any]

STATUSES = objects("/status")
PEERS = objects("/peer")
NETWORKS = objects("/network")
HEALTH = objects("/health")
CONTROLLER = {e["request"]["path"]: e["json"] for e in answers("/controller", "/unstable")}


def test_there_is_something_to_compare_with() -> None:
    assert min(len(STATUSES), len(PEERS), len(NETWORKS), len(HEALTH), len(CONTROLLER)) >= 3


@pytest.mark.parametrize("recorded", STATUSES, ids=lambda s: s["clock"])
def test_status_is_the_originals(recorded: Json) -> None:
    settings = recorded["config"]["settings"]
    listening = [endpoint(text) for text in settings["listeningOn"]]
    now = Now(0.0, recorded["clock"])
    bound = Bound(settings["primaryPort"], settings["secondaryPort"], settings["tertiaryPort"])
    ours = status_json(node_view(recorded), listening, "{home}", bound, now, {})
    assert ours == recorded


@pytest.mark.parametrize("recorded", PEERS, ids=lambda p: p["address"])
def test_a_peer_is_the_originals(recorded: Json) -> None:
    assert peer_json(peer_view(recorded)) == recorded


@pytest.mark.parametrize("recorded", NETWORKS, ids=lambda n: f"{n['id']}-{n['status']}")
def test_a_network_is_the_originals_and_says_why(recorded: Json) -> None:
    ours = network_json(network_view(recorded), policy(recorded), recorded["portDeviceName"])
    assert ours == recorded | {"statusReason": "joined"}


@pytest.mark.parametrize("recorded", HEALTH, ids=lambda h: h["clock"])
async def test_health_has_the_originals_fields(recorded: Json) -> None:
    async with speak_to(make_api(FakeCore())) as speaker:
        ours = (await speaker.ask("GET", "/health")).json
    assert shape(ours) == shape(recorded)


@pytest.mark.parametrize(
    ("path", "recorded"),
    [("/status", STATUSES[0]), ("/peer", [PEERS[0]]), ("/network", [NETWORKS[-1]])],
)
async def test_what_is_sent_has_the_originals_fields(path: str, recorded: object) -> None:
    core = FakeCore(node_view(STATUSES[0]), [peer_view(PEERS[0])])
    view = network_view(NETWORKS[-1])
    core.networks[view.network_id] = view
    async with speak_to(make_api(core)) as speaker:
        ours = (await speaker.ask("GET", path)).json
    extra = [{"statusReason": "str"}] if path == "/network" else [{}]
    expected = shape(recorded)
    if isinstance(expected, list):
        expected = [expected[0] | extra[0]]
    assert shape(ours) == expected


async def test_the_controller_has_the_originals_fields() -> None:
    async with controller_api() as (speaker, _):
        ours = (await speaker.ask("GET", "/controller")).json
    assert shape(ours) == shape(CONTROLLER["/controller"])


@pytest.mark.parametrize("suffix", ["", "/7ce8165a4faf97ea/member"])
async def test_whole_lists_have_the_originals_form(suffix: str) -> None:
    recorded = CONTROLLER[f"/unstable/controller/network{suffix}"]
    async with controller_api() as (speaker, rig):
        rig.create(name="lab")
        rig.set_member(1, authorized=True, name="member a")
        rig.ask(1)
        network = (await speaker.ask("GET", "/controller/network")).json[0]
        path = f"/unstable/controller/network{suffix.replace('7ce8165a4faf97ea', network)}"
        ours = (await speaker.ask("GET", path)).json
    assert (shape(ours["meta"]), ours["data"][0].keys() - {"name"}) == (
        shape(recorded["meta"]),
        recorded["data"][0].keys() - {"name"},
    )


REFUSED = [
    entry
    for entry in load("localapi.json")["entries"]
    if entry.get("case") in ("errors: tokens", "errors: paths and methods")
    and "7CE8165A4FAF97EA" not in entry["request"]["path"]
]


@pytest.mark.parametrize(
    "entry", REFUSED, ids=lambda e: f"{e['request']['method']} {e['request']['path']}"
)
async def test_errors_have_the_originals_status_and_body(entry: Json) -> None:
    request = entry["request"]
    headers = {k: v.replace("{authtoken}", TOKEN) for k, v in request["headers"].items()}
    body = None if request["body"] is None else request["body"].encode()
    path = request["path"].replace("{authtoken}", TOKEN)
    async with speak_to(make_api(FakeCore())) as speaker:
        answer = await speaker.ask(request["method"], path, body, headers)
    typed = "Content-Type" in entry["headers"]
    assert (answer.status, "Content-Type" in answer.headers) == (entry["status"], typed)
    assert typed or answer.body == entry["body"].encode()
