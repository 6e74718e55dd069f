"""A node, and a node that is a controller, for the commands under test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sim.controller import MemoryStore
from tests.unit.cli.rig import Node, make_home, serve
from tests.unit.controller.rig import Rig


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    made = Node(tmp_path / "home")
    make_home(made.home)
    server = serve(made.core, None, monkeypatch)
    yield made
    server.close()


@pytest.fixture
def controller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    rig = Rig(MemoryStore())  # the server has a thread of its own, a database is bound to one
    made = Node(tmp_path / "home", rig=rig)
    make_home(made.home)
    server = serve(made.core, rig.service, monkeypatch)
    yield made
    server.close()
    rig.service.close()
