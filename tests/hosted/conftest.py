"""Central, and a controller of ours, on loopback."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.hosted.central import TOKEN, Central
from tests.hosted.serving import served
from tests.sim.controller import MemoryStore
from tests.unit.api.rig import TOKEN as NODE_TOKEN
from tests.unit.api.rig import FakeCore, make_api
from tests.unit.controller.rig import Rig


@dataclass
class Hosted:
    """Central at a URL, with the token in the environment."""

    api: Central
    url: str


@dataclass
class Own:
    """A controller of ours at a URL, with its token in the environment."""

    rig: Rig
    url: str


@pytest.fixture
def central(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosted]:
    api = Central()
    monkeypatch.setenv("ZEROTIER_API_TOKEN", TOKEN)
    with served(api.application()) as url:
        yield Hosted(api, f"{url}/api/v1")


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[Own]:
    rig = Rig(MemoryStore())  # the server has a thread of its own, a database is bound to one
    rig.create(name="lab")
    monkeypatch.setenv("ZEROTIER_API_TOKEN", NODE_TOKEN)
    with served(make_api(FakeCore(), rig.service).application) as url:
        yield Own(rig, url)
    rig.service.close()
