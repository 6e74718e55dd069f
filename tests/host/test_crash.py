"""kill -9 while state is written: nothing is lost that was written, nothing is half written."""

import multiprocessing
import random
import time
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

import pytest

from tests.host.writing import DATABASE, NETWORKS, OWN, PEERS, config, write
from tests.scale import scaled
from ztlink.controller.store import ControllerStore
from ztlink.drivers.store import Store

KILLS: Final = scaled(200)
LONGEST: Final = 0.15
"""Seconds of writing: some rounds on a fast disk, a part of one on a slow one."""
PATIENCE: Final = 60.0
_NURSERY: Final = multiprocessing.get_context("forkserver")
_NURSERY.set_forkserver_preload(["tests.host.writing"])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home, which all that are killed have one after the other."""
    made = tmp_path_factory.mktemp("crash") / "home"
    store = Store(made)
    store.open()
    store.save_identity(OWN)
    store.close()
    return made


@pytest.fixture(scope="module")
def revisions(home: Path) -> list[int]:
    """The last revision that was written, kill by kill."""
    return [0]


def kill_while_writing(home: Path, revision: int, seconds: float) -> int:
    """Have a process write, kill it in the midst, and return the last that it told."""
    listener, teller = _NURSERY.Pipe(duplex=False)
    process: BaseProcess = _NURSERY.Process(target=write, args=(home, teller, revision))
    process.start()
    teller.close()
    try:
        assert listener.poll(PATIENCE), "it does not begin to write"
        time.sleep(seconds)
    finally:
        process.kill()
        process.join()
    return last_told(listener)


def last_told(listener: Connection) -> int:
    told = 0
    while True:
        try:
            told = listener.recv()
        except EOFError:
            return told


@pytest.mark.parametrize("number", range(KILLS))
def test_a_killed_writer_loses_nothing(home: Path, revisions: list[int], number: int) -> None:
    seconds = random.Random(number).uniform(0.0, LONGEST)  # noqa: S311 - a moment, not a secret
    confirmed = kill_while_writing(home, revisions[-1], seconds)

    assert (home / "identity.secret").read_text() == OWN.to_text()
    assert (home / "identity.public").read_text() == str(OWN.public)
    store = Store(home)
    store.open()  # the lock of the dead is free
    networks = store.load_networks()
    peers = store.load_peers(time.time())
    store.close()
    database = ControllerStore(home / DATABASE)
    records = database.networks()
    database.close()

    for network_id, kept in networks.items():
        assert kept is not None
        assert kept.revision >= confirmed
        assert kept == config(network_id, kept.revision)
    assert {peer.identity for peer in peers} <= set(PEERS)
    if confirmed:
        assert networks.keys() == set(NETWORKS)
        assert len(peers) == len(PEERS)
        assert [record.revision >= confirmed for record in records] == [True]
    assert not list(home.rglob(".*"))  # nothing half written is left behind
    revisions.append(max([confirmed, *(kept.revision for kept in networks.values() if kept)]))


def test_the_kills_came_in_the_midst_of_writing(revisions: list[int]) -> None:
    assert len(revisions) == KILLS + 1
    assert revisions[-1] > 0


def test_an_identity_that_is_made_is_there_or_not(tmp_path: Path) -> None:
    """The first write of all: killed at any moment it leaves no identity, or the whole of it."""
    seen = set()
    for number in range(scaled(100)):
        home = tmp_path / str(number)
        kill_while_writing(home, 0, 0.0005 * (number % 20))
        store = Store(home)
        store.open()
        kept = store.load_identity()
        store.close()
        assert kept in (None, OWN)
        seen.add(kept is None)
    assert False in seen
