"""Twenty-four members, two roots, a controller, loss and NATs; then one thing after another."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.sim.big import (
    CLOCK_STEPS,
    END,
    GRACE,
    MEMBER_GOES,
    MEMBERS,
    ROOT_DIES,
    WINDOW,
    BigMesh,
)
from ztlink.node.events import NetworkStatus

SEED: Final = 20
ROOT_OF_REPOSITORY: Final = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def played() -> BigMesh:
    mesh = BigMesh(SEED)
    mesh.play()
    return mesh


def test_every_member_gets_its_configuration(played: BigMesh) -> None:
    views = [m.status(played.network) for m in played.members if m is not played.outcast]
    assert views == [NetworkStatus.OK] * (MEMBERS - 1)


def test_all_pairs_talk_before_anything_happens(played: BigMesh) -> None:
    start = played.pairs[0].pings[0].sent
    assert played.silences(played.pairs, start, ROOT_DIES) == []


def test_the_death_of_a_root_silences_nobody(played: BigMesh) -> None:
    assert played.silences(played.pairs, ROOT_DIES, CLOCK_STEPS) == []


def test_a_step_of_a_clock_silences_nobody(played: BigMesh) -> None:
    assert played.silences(played.pairs, CLOCK_STEPS, MEMBER_GOES) == []


def test_traffic_of_the_deauthorised_member_stops_both_ways(played: BigMesh) -> None:
    pairs = played.pairs_with(played.outcast)
    start = MEMBER_GOES + GRACE
    late = {f"{p.a.name} -> {p.b.name}": p.answered_between(start, END) for p in pairs}
    assert late == dict.fromkeys(late, 0)
    assert len(late) == 4


def test_the_deauthorised_member_had_talked_before(played: BigMesh) -> None:
    pairs = played.pairs_with(played.outcast)
    assert [p for p in pairs if not p.answered_between(MEMBER_GOES - WINDOW, MEMBER_GOES)] == []


def test_everybody_else_keeps_talking(played: BigMesh) -> None:
    others = played.pairs_without(played.outcast)
    assert played.silences(others, MEMBER_GOES, END - 1.0) == []


def test_pairs_that_can_be_punched_are_direct_at_the_end(played: BigMesh) -> None:
    assert len(played.direct_pairs()) > len(played.pairs) // 2


def test_no_machine_ever_got_a_bad_frame(played: BigMesh) -> None:
    bad = {m.name: m.port(played.network).bad_frames for m in played.members}
    assert bad == dict.fromkeys(bad, 0)


def test_one_seed_gives_the_same_bytes_in_every_process(played: BigMesh) -> None:
    expected = f"{played.world.datagrams} {played.world.digest()}"
    path = os.pathsep.join(map(str, (ROOT_OF_REPOSITORY, ROOT_OF_REPOSITORY / "agent" / "src")))
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": path}
    run = subprocess.run(  # noqa: S603 - our own module, in a process with other hashes
        [sys.executable, "-m", "tests.sim.big", str(SEED)],
        capture_output=True,
        check=True,
        cwd=ROOT_OF_REPOSITORY,
        env=environment,
        text=True,
    )
    assert run.stdout.strip() == expected
