"""State is written beside the work, the last of each file."""

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ztlink.drivers.store import Store
from ztlink.drivers.writer import StateWriter
from ztlink.errors import ConfigError
from ztlink.ids import Address, NetworkId
from ztlink.wire.netconf import NetworkConfig

NETWORK = NetworkId(0x8056C2E21C000001)
CONFIG = NetworkConfig(
    network_id=NETWORK, timestamp=1_700_000_000_000, issued_to=Address(0xBA52BB0E23), name=b"lab"
)


class SlowStore(Store):
    """A disk that writes when it is let."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.may_write = threading.Event()
        self.is_writing = threading.Event()
        self.written: list[tuple[str, bytes | None, bool]] = []
        self.is_full = False

    def write(
        self, key: str, value: bytes | None, mode: int = 0o600, *, is_flushed: bool = True
    ) -> None:
        self.is_writing.set()
        self.may_write.wait()
        self.written.append((key, value, is_flushed))
        if self.is_full:
            raise ConfigError("cannot write: No space left on device")
        super().write(key, value, mode, is_flushed=is_flushed)


@pytest.fixture
def disk(tmp_path: Path) -> SlowStore:
    return SlowStore(tmp_path)


@pytest.fixture
def writer(disk: SlowStore) -> Iterator[StateWriter]:
    started = StateWriter(disk)
    started.start()
    yield started
    disk.may_write.set()
    started.stop()


def test_a_value_is_written(writer: StateWriter, disk: SlowStore) -> None:
    disk.may_write.set()
    writer.put("planet", b"world")
    writer.flush()
    assert disk.read("planet") == b"world"


def test_nobody_waits_for_the_disk(writer: StateWriter, disk: SlowStore) -> None:
    writer.put("planet", b"world")
    disk.is_writing.wait()
    writer.put("local.conf", b"{}")  # returns, although nothing is written yet
    assert disk.written == []


def test_of_several_values_the_last_is_written(writer: StateWriter, disk: SlowStore) -> None:
    writer.put("planet", b"first")
    disk.is_writing.wait()
    for value in (b"second", b"third", b"last"):
        writer.put("moons.d/1.moon", value)
    disk.may_write.set()
    writer.flush()
    assert [value for _, value, _ in disk.written] == [b"first", b"last"]


def test_a_file_is_removed(writer: StateWriter, disk: SlowStore) -> None:
    disk.may_write.set()
    writer.put("planet", b"world")
    writer.flush()
    writer.put("planet", None)
    writer.flush()
    assert disk.read("planet") is None


def test_known_peers_are_written_without_waiting_for_the_disk(
    writer: StateWriter, disk: SlowStore
) -> None:
    disk.may_write.set()
    writer.put("peers.d/ba52bb0e23.peer", b"peer")
    writer.put("planet", b"world")
    writer.flush()
    assert {key: flushed for key, _, flushed in disk.written} == {
        "peers.d/ba52bb0e23.peer": False,
        "planet": True,
    }


def test_what_is_urgent_does_not_wait_for_what_is_gathered(
    writer: StateWriter, disk: SlowStore
) -> None:
    writer.put("planet", b"first")
    disk.is_writing.wait()
    writer.put("peers.d/ba52bb0e23.peer", b"peer")
    writer.put("local.conf", b"{}")
    disk.may_write.set()
    writer.flush()
    assert [key for key, _, _ in disk.written] == [
        "planet",
        "local.conf",
        "peers.d/ba52bb0e23.peer",
    ]


def test_what_is_gathered_is_written_in_time_although_there_is_always_something_urgent(
    writer: StateWriter, disk: SlowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ztlink.drivers.writer.GATHERING", 0.0)
    write, is_over = disk.write, threading.Event()

    def write_and_cause(key: str, value: bytes | None, mode: int, *, is_flushed: bool) -> None:
        if key == "planet" and len(disk.written) < 50:
            writer.put("planet", b"another")
        elif key == "planet":
            is_over.set()
        write(key, value, mode, is_flushed=is_flushed)

    monkeypatch.setattr(disk, "write", write_and_cause)
    writer.put("planet", b"first")
    disk.is_writing.wait()
    writer.put("peers.d/ba52bb0e23.peer", b"peer")
    disk.may_write.set()
    is_over.wait()
    order = [key for key, _, _ in disk.written]
    assert "peers.d/ba52bb0e23.peer" in order[:5]


def test_what_is_left_is_written_in_the_end(writer: StateWriter, disk: SlowStore) -> None:
    disk.may_write.set()
    writer.put("peers.d/ba52bb0e23.peer", b"peer")
    writer.stop()
    assert disk.read("peers.d/ba52bb0e23.peer") == b"peer"


def test_a_writer_that_was_never_started_ends(disk: SlowStore) -> None:
    writer = StateWriter(disk)
    writer.put("planet", b"world")
    writer.stop()
    assert disk.written == []


def test_a_full_disk_is_told_of_once_and_the_next_value_is_tried(
    writer: StateWriter, disk: SlowStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    disk.may_write.set()
    disk.is_full = True
    for value in (b"first", b"second"):
        writer.put("planet", value)
        writer.flush()
    disk.is_full = False
    writer.put("planet", b"third")
    writer.flush()
    assert [record.message for record in caplog.records] == [
        "state is not kept error=cannot write: No space left on device"
    ]
    assert disk.read("planet") == b"third"


# -- networks --------------------------------------------------------------------------------


def test_a_configuration_is_the_same_after_a_restart(writer: StateWriter, disk: SlowStore) -> None:
    disk.may_write.set()
    writer.keep_network(NETWORK, CONFIG)
    writer.flush()
    assert disk.load_networks() == {NETWORK: CONFIG}


def test_a_network_without_a_configuration_is_a_lone_line_feed(
    writer: StateWriter, disk: SlowStore
) -> None:
    disk.may_write.set()
    writer.keep_network(NETWORK, None)
    writer.flush()
    assert disk.read("networks.d/8056c2e21c000001.conf") == b"\n"


def test_a_network_that_was_left_is_forgotten(writer: StateWriter, disk: SlowStore) -> None:
    disk.may_write.set()
    writer.keep_network(NETWORK, CONFIG)
    writer.put("networks.d/8056c2e21c000001.local.conf", b"allowDefault=1\n")
    writer.flush()
    writer.forget_network(NETWORK)
    writer.flush()
    assert list((disk.home / "networks.d").iterdir()) == []
