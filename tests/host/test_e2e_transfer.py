"""The connection that is to outlive a rolling update, over the loopback (ci/e2e_transfer)."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from ci import e2e_transfer
from ci.cluster.errors import ClusterError
from ci.cluster.kind import KindCluster
from ci.e2e_bench import Bench
from ci.e2e_report import Agent
from ci.e2e_transfer import Transfer

ONE: Final = Agent("node-1", "pod", "0123456789", "127.0.0.1", "lo")


class HereCluster(KindCluster):
    """Nodes whose network is this process's."""

    def enter_network(self, name: str) -> list[str]:
        return ["env", f"NODE={name}"]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setattr(e2e_transfer, "STREAM_PORT", port)
    return Bench(HereCluster(tmp_path, "kind", "kubectl"), "helm")


@pytest.fixture
def transfer(bench: Bench) -> Iterator[Transfer]:
    transfer = Transfer(bench, ONE, ONE)
    yield transfer
    transfer.end()


def test_all_that_was_sent_is_received(transfer: Transfer) -> None:
    time.sleep(0.3)
    done = transfer.finish()
    assert done.count > 0
    assert done.count % (1 << 14) == 0
    assert 0 < done.pause < 10


def test_it_is_told_what_the_sender_waited_for(transfer: Transfer) -> None:
    time.sleep(0.3)
    done = transfer.finish()
    assert 0.1 < done.timer < 1  # nothing was lost: it is the least that TCP has
    assert 0 <= done.late < 10


def test_a_connection_that_breaks_is_told(transfer: Transfer) -> None:
    time.sleep(0.3)
    transfer.receiver.kill()
    time.sleep(0.3)
    with pytest.raises(ClusterError, match="the transfer broke"):
        transfer.finish()


def test_a_port_that_is_taken_is_told(bench: Bench, transfer: Transfer) -> None:
    with pytest.raises(ClusterError, match="does not listen"):
        Transfer(bench, ONE, ONE)
