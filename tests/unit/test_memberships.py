"""Which networks a node is in when it starts."""

from pathlib import Path

from ztlink.drivers.store import Store, network_key
from ztlink.ids import NetworkId
from ztlink.memberships import DECLARED, settle
from ztlink.settings import Membership, Settings

ONE, TWO, HAND = NetworkId(1 << 60 | 1), NetworkId(1 << 60 | 2), NetworkId(1 << 60 | 3)


def start(home: Path, *network_ids: NetworkId) -> set[NetworkId]:
    """Return the networks of a start with these in the configuration."""
    store = Store(home)
    settings = Settings(home=home, memberships=tuple(Membership(one) for one in network_ids))
    joined = settle(store, settings)
    for network_id in joined:
        store.write(network_key(network_id), b"\n")  # as the agent does when it has joined
    return set(joined)


def test_what_the_configuration_names_is_joined(tmp_path: Path) -> None:
    assert start(tmp_path, ONE, TWO) == {ONE, TWO}


def test_what_it_names_no_more_is_left(tmp_path: Path) -> None:
    start(tmp_path, ONE, TWO)
    assert start(tmp_path, TWO) == {TWO}
    assert start(tmp_path, TWO) == {TWO}


def test_what_was_joined_by_hand_stays(tmp_path: Path) -> None:
    start(tmp_path, ONE)
    Store(tmp_path).write(network_key(HAND), b"\n")
    assert start(tmp_path, TWO) == {TWO, HAND}


def test_the_last_one_is_left_too(tmp_path: Path) -> None:
    start(tmp_path, ONE)
    assert start(tmp_path) == set()
    assert not (tmp_path / DECLARED).exists()


def test_a_memory_that_was_damaged_forgets_nothing_else(tmp_path: Path) -> None:
    start(tmp_path, ONE)
    (tmp_path / DECLARED).write_bytes(b"\xff\xfe rubbish")
    assert start(tmp_path, TWO) == {ONE, TWO}
