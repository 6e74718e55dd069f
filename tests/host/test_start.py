"""The start of a node: in which order things are there, and what ends it."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from tests.lab.lab import Lab
from tests.lab.node import START_TIMEOUT, Role, fresh_identity
from tests.lab.ours import ZtlinkNode
from tests.lab.planet import make_planet
from tests.unit.cli.test_loading import LATER
from ztlink.ids import Address

pytestmark = pytest.mark.netadmin

EXIT_CONFIG: Final = 78
UNTIL_THE_PUMP: Final = """
import os, sys
from ztlink.drivers.loop import Pump

def start(pump):
    print(*sys.modules, flush=True)
    os._exit(0)

Pump.start = start
from ztlink.__main__ import main
main()
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Lab(tmp_path) as made:
        yield made


def make(lab: Lab, role: Role = "node", *, is_forged: bool = False) -> ZtlinkNode:
    """Make a node that is its own root; a forged one has the address of no other, but not its."""
    identity = fresh_identity(lab)
    node = ZtlinkNode(lab, lab.host("one"), role, identity)
    planet = make_planet([(identity, node.host, node.port)])
    if is_forged:
        public = replace(identity.public, address=Address(identity.address ^ 1))
        node.identity = replace(identity, public=public)
    node.prepare(planet)
    return node


@pytest.mark.parametrize("role", ["node", "controller"])
def test_the_pump_runs_before_what_the_roots_need_not_wait_for_is_loaded(
    lab: Lab, role: Role
) -> None:
    node = make(lab, role)
    arguments = node.command()[3:]
    script = (sys.executable, "-c", UNTIL_THE_PUMP, *arguments)
    modules = set(node.host.namespace.run(*script).split())
    assert ("ztlink.drivers.loop" in modules, modules & LATER) == (True, set())


def test_a_node_whose_address_is_not_of_its_keys_ends_and_says_what_to_do(lab: Lab) -> None:
    node = make(lab, is_forged=True)
    status = node.launch().wait(START_TIMEOUT)
    secret = node.home / "identity.secret"
    assert (status, f"{secret} does not belong together" in node.running.output) == (
        EXIT_CONFIG,
        True,
    )
    assert secret.read_text() == node.identity.to_text()
