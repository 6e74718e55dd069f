"""Identities are checked in another process."""

import dataclasses
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.host.machine import comes_true
from tests.lab.wait import Stopwatch
from tests.unit.vl1.mesh import identity
from ztlink.drivers.validator import PAUSE, Validator
from ztlink.ids import Address
from ztlink.wire.identity import Identity

GOOD = identity(0).public
FORGED = dataclasses.replace(GOOD, address=Address(GOOD.address ^ 1))
OWNER = f"""
import time
from ztlink.drivers.validator import Validator
from ztlink.wire.identity import Identity
Validator().submit(Identity.from_text("{GOOD}"), lambda *verdict: print("checked", flush=True))
time.sleep(60)
"""


@pytest.fixture
def validator() -> Iterator[Validator]:
    made = Validator()
    yield made
    made.close()


def check(validator: Validator, checked: Identity) -> tuple[Identity, bool]:
    verdicts: queue.SimpleQueue[tuple[Identity, bool]] = queue.SimpleQueue()
    validator.submit(checked, lambda who, ok: verdicts.put((who, ok)))
    return verdicts.get(timeout=60)


def children(pid: int) -> list[int]:
    """Return the processes that a process has started, by whichever of its threads."""
    return [child for child, (_, parent) in processes().items() if parent == pid]


def is_running(pid: int) -> bool:
    state, _ = processes().get(pid, ("Z", 0))
    return state != "Z"


def processes() -> dict[int, tuple[str, int]]:
    """Return state and parent of every process; those that end meanwhile are left out."""
    found = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            state, parent, *_ = status.read_text().rsplit(")", 1)[1].split()
            found[int(status.parent.name)] = (state, int(parent))
    return found


@pytest.mark.parametrize(("checked", "is_good"), [(GOOD, True), (FORGED, False)])
def test_the_verdict_comes_with_its_identity(
    validator: Validator, checked: Identity, is_good: bool
) -> None:
    assert check(validator, checked) == (checked, is_good)


def test_a_process_that_ended_is_replaced(validator: Validator) -> None:
    before = set(children(os.getpid()))
    check(validator, GOOD)
    for child in set(children(os.getpid())) - before:
        os.kill(child, signal.SIGKILL)
    assert check(validator, FORGED) == (FORGED, False)


def test_the_process_ends_when_the_validator_is_closed(validator: Validator) -> None:
    before = children(os.getpid())
    check(validator, GOOD)
    validator.close()
    assert children(os.getpid()) == before


def test_the_process_ends_although_the_node_was_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"checked\n"
        helpers = children(owner.pid)
        owner.kill()
    assert helpers != []
    assert comes_true(lambda: not any(is_running(helper) for helper in helpers))


def test_closing_does_not_wait_for_what_is_not_checked_yet(validator: Validator) -> None:
    verdicts: queue.SimpleQueue[bool] = queue.SimpleQueue()
    for _ in range(100):
        validator.submit(GOOD, lambda who, ok: verdicts.put(ok))
    validator.close()
    assert verdicts.qsize() < 100


def test_a_validator_that_was_closed_checks_nothing(validator: Validator) -> None:
    validator.close()
    validator.submit(GOOD, lambda who, ok: None)
    assert "ztlink-validator" not in {thread.name for thread in threading.enumerate()}


def test_a_validator_that_was_not_used_can_be_closed_twice(validator: Validator) -> None:
    before = children(os.getpid())
    validator.close()
    validator.close()
    assert children(os.getpid()) == before


def run_checks(identities: list[Identity]) -> tuple[float, float]:
    """Have a process of its own check identities; return the seconds it took, and those of CPU."""
    lines = "".join(f"{one}\n" for one in identities).encode()
    before, watch = os.times(), Stopwatch()
    command = (sys.executable, "-P", "-m", "ztlink.drivers.validator")
    subprocess.run(command, input=lines, check=True, timeout=120, stdout=subprocess.PIPE)
    after = os.times()
    used = after.children_user + after.children_system
    return watch.seconds(), used - before.children_user - before.children_system


def test_false_proofs_take_a_part_of_a_processor_and_no_more() -> None:
    _, start_alone = run_checks([])
    forged = [dataclasses.replace(GOOD, address=Address(GOOD.address ^ n)) for n in range(1, 9)]
    seconds, cpu = run_checks(forged)
    assert seconds >= PAUSE * 0.8 * (cpu - start_alone)


def test_checks_run_when_nothing_else_does(validator: Validator) -> None:
    before = set(children(os.getpid()))
    check(validator, GOOD)
    (process,) = set(children(os.getpid())) - before
    assert os.sched_getscheduler(process) == os.SCHED_IDLE
