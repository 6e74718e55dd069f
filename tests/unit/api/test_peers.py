"""Moons and bonds over HTTP."""

from collections.abc import AsyncIterator

import pytest

from tests.unit.api.recorded import endpoint, objects
from tests.unit.api.rig import Disk, FakeCore, Speaker, make_api, speak_to
from ztlink.api.peers import NO_BONDS
from ztlink.errors import ConfigError
from ztlink.ids import parse_address
from ztlink.wire.identity import Identity
from ztlink.wire.world import Root, World, WorldType

RECORDED = objects("/moon")[0]
MOON_ID = int(RECORDED["id"], 16)
ADDRESS = f"{MOON_ID:010x}"
OTHER = "0123456789"


def moon() -> World:
    """Return the recorded moon."""
    return World(
        WorldType.MOON,
        MOON_ID,
        RECORDED["timestamp"],
        bytes.fromhex(RECORDED["updatesMustBeSignedBy"]),
        bytes.fromhex(RECORDED["signature"]),
        tuple(
            Root(
                Identity.from_text(root["identity"]),
                tuple(endpoint(text) for text in root["stableEndpoints"]),
            )
            for root in RECORDED["roots"]
        ),
    )


@pytest.fixture
def core() -> FakeCore:
    return FakeCore(moons_here=[moon()])


@pytest.fixture
async def speaker(core: FakeCore) -> AsyncIterator[Speaker]:
    async with speak_to(make_api(core)) as running:
        yield running


async def test_a_moon_is_the_originals(speaker: Speaker) -> None:
    assert (await speaker.ask("GET", "/moon")).json == [RECORDED]


async def test_a_moon_is_found_by_its_id(speaker: Speaker) -> None:
    assert (await speaker.ask("GET", f"/moon/{ADDRESS}")).json == RECORDED


async def test_a_moon_that_is_not_here_is_an_empty_object(speaker: Speaker) -> None:
    answer = await speaker.ask("GET", f"/moon/{OTHER}")
    assert (answer.status, answer.json) == (200, {})


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_moon_is_asked_of_its_seed(speaker: Speaker, core: FakeCore, method: str) -> None:
    answer = await speaker.ask(method, f"/moon/{OTHER}", {"seed": "01b3b56d4c"})
    assert answer.json == {
        "id": f"000000{OTHER}",
        "roots": [],
        "signature": None,
        "timestamp": 0,
        "updatesMustBeSignedBy": None,
        "waiting": True,
    }
    assert core.wanted_moons == {int(OTHER, 16): parse_address("01b3b56d4c")}


async def test_a_moon_whose_file_is_in_the_home_is_taken_from_there() -> None:
    core = FakeCore()
    async with speak_to(make_api(core, disk=Disk(moons={MOON_ID: moon()}))) as speaker:
        answer = await speaker.ask("POST", f"/moon/{ADDRESS}", {"seed": OTHER})
    assert answer.json == RECORDED
    assert (core.moons_here, core.wanted_moons) == ([moon()], {})


async def test_a_moon_whose_file_is_damaged_is_not_asked_for_and_the_file_is_named() -> None:
    core, damage = FakeCore(), ConfigError("moons.d/x.moon is not a world file")
    async with speak_to(make_api(core, disk=Disk(moons={MOON_ID: damage}))) as speaker:
        answer = await speaker.ask("POST", f"/moon/{ADDRESS}", {"seed": OTHER})
    assert (answer.status, answer.json["description"]) == (409, str(damage))
    assert core.wanted_moons == {}


async def test_a_moon_that_is_here_needs_no_seed(speaker: Speaker, core: FakeCore) -> None:
    assert (await speaker.ask("POST", f"/moon/{ADDRESS}", {})).json == RECORDED
    assert core.wanted_moons == {}


@pytest.mark.parametrize("seed", [None, 5, "zz", "", "0000000000", "ff00000000", ["01b3b56d4c"]])
async def test_a_seed_that_is_no_address_is_refused(
    speaker: Speaker, core: FakeCore, seed: object
) -> None:
    answer = await speaker.ask("POST", f"/moon/{OTHER}", {"seed": seed})
    assert (answer.status, answer.json["description"].startswith("seed: ")) == (400, True)
    assert core.wanted_moons == {}


@pytest.mark.parametrize("moon_id", [ADDRESS, OTHER])
async def test_a_moon_is_left_whether_it_was_here_or_not(
    speaker: Speaker, core: FakeCore, moon_id: str
) -> None:
    answer = await speaker.ask("DELETE", f"/moon/{moon_id}")
    assert answer.json == {"result": True}
    assert moon_id not in {f"{moon.world_id:010x}" for moon in core.moons_here}


@pytest.mark.parametrize("path", ["/moon/xyz", f"/moon/{RECORDED['id']}"])
async def test_an_id_that_is_none_is_404(speaker: Speaker, path: str) -> None:
    answer = await speaker.ask("POST", path, {"seed": "01b3b56d4c"})
    assert (answer.status, answer.body) == (404, b"")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/bond/show/{OTHER}"),
        ("POST", f"/bond/rotate/{OTHER}"),
        ("PUT", f"/bond/rotate/{OTHER}"),
        ("POST", "/bond/setmtu/1400/eth0/10.0.0.1"),
    ],
)
async def test_nothing_is_bonded(speaker: Speaker, method: str, path: str) -> None:
    answer = await speaker.ask(method, path)
    assert (answer.status, answer.json["description"]) == (400, NO_BONDS)
