"""A controller as a process: copied and put back while it runs, and killed."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.lab import Lab
from tests.lab.node import fresh_identity
from tests.lab.ours import ZtlinkNode
from tests.lab.planet import make_planet

pytestmark = pytest.mark.netadmin


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[ZtlinkNode]:
    """A controller that runs and is its own root, with a network."""
    with Lab(tmp_path) as lab:
        node = ZtlinkNode(lab, lab.host("control"), "controller", fresh_identity(lab))
        node.prepare(make_planet([(node.identity, node.host, node.port)]))
        node.start()
        yield node


@pytest.fixture
def network_id(controller: ZtlinkNode) -> str:
    return controller.create_network({"name": "before"})


def command(controller: ZtlinkNode, *arguments: str) -> str:
    """Run a command of the controller's on its host."""
    ztlink = (sys.executable, "-m", "ztlink", "controller", *arguments)
    return controller.host.namespace.run(*ztlink, "--home", str(controller.home))


def name(controller: ZtlinkNode, network_id: str) -> str:
    return str(controller.api.get(f"/controller/network/{network_id}")["name"])


def test_a_copy_is_made_and_put_back_while_it_runs(
    controller: ZtlinkNode, network_id: str, tmp_path: Path
) -> None:
    copy = str(tmp_path / "copy")
    command(controller, "backup", copy)
    controller.update_network(network_id, {"name": "after"})
    command(controller, "restore", copy)
    assert name(controller, network_id) == "before"


def test_what_was_put_back_is_kept(controller: ZtlinkNode, network_id: str, tmp_path: Path) -> None:
    copy = str(tmp_path / "copy")
    command(controller, "backup", copy)
    controller.update_network(network_id, {"name": "after"})
    command(controller, "restore", copy)
    controller.kill()
    controller.start()
    assert name(controller, network_id) == "before"


def test_what_was_answered_outlives_a_kill(controller: ZtlinkNode, network_id: str) -> None:
    controller.update_network(network_id, {"name": "after"})
    controller.kill()
    controller.start()
    assert name(controller, network_id) == "after"


def test_files_of_the_original_are_taken_over_at_a_start(
    controller: ZtlinkNode, network_id: str
) -> None:
    command(controller, "export", str(controller.home / "controller.d"))
    controller.stop()
    for file in controller.home.glob("ztlink-controller.db*"):
        file.unlink()
    controller.start()
    assert (
        name(controller, network_id),
        "ZeroTierOne's controller: 1" in controller.running.output,
    ) == (
        "before",
        True,
    )
