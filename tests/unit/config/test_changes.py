"""What of another configuration can be in force at once."""

from dataclasses import replace
from pathlib import Path

import pytest

from ztlink.config.changes import applicable, held_back
from ztlink.ids import NetworkId
from ztlink.settings import DeclaredNetwork, LogSettings, Membership, OnStop, Settings

RUNNING = Settings()
NETWORK = NetworkId(0x112972485D000001)


@pytest.mark.parametrize(
    ("key", "wanted"),
    [
        ("home", replace(RUNNING, home=Path("/x"))),
        ("port", replace(RUNNING, port=1, is_port_given=True)),
        ("planet", replace(RUNNING, planet=Path("/x"))),
        ("identity", replace(RUNNING, identity=Path("/x"))),
        ("engine", replace(RUNNING, engine="plain")),
        ("controller", replace(RUNNING, declared=(DeclaredNetwork(NETWORK),))),
        ("controller", replace(RUNNING, auto_authorize=True)),
    ],
)
def test_what_a_node_has_for_life_is_held_back(key: str, wanted: Settings) -> None:
    assert held_back(RUNNING, wanted) == (key,)
    assert applicable(RUNNING, wanted) == RUNNING


def test_all_else_is_not() -> None:
    wanted = replace(
        RUNNING,
        memberships=(Membership(NETWORK),),
        log=LogSettings("DEBUG"),
        on_stop=OnStop.KEEP,
        apply_dns=True,
    )
    assert held_back(RUNNING, wanted) == ()
    assert applicable(RUNNING, wanted) == wanted


def test_what_can_be_is_in_force_though_something_is_held_back() -> None:
    wanted = replace(RUNNING, port=1, on_stop=OnStop.KEEP)
    assert applicable(RUNNING, wanted) == replace(RUNNING, on_stop=OnStop.KEEP)
