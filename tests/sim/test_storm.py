"""Whatever happens, a mesh that is left in peace finds together again."""

from typing import Final

import pytest

from tests.sim.storm import StormMesh

RAGE: Final = 90.0
CALM: Final = 75.0
"""Longer than the minute after which everything that is repeated has been repeated once."""


def play(seed: int) -> StormMesh:
    mesh = StormMesh(seed)
    mesh.wait_joined(mesh.network)
    mesh.rage(RAGE)
    mesh.calm_down(CALM)
    return mesh


@pytest.mark.parametrize("seed", range(4))
def test_a_mesh_finds_together_after_a_storm(seed: int) -> None:
    mesh = play(seed)
    assert mesh.unreachable_pairs() == [], mesh.deeds


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(4, 40))
def test_a_mesh_finds_together_after_any_storm(seed: int) -> None:
    mesh = play(seed)
    assert mesh.unreachable_pairs() == [], mesh.deeds
