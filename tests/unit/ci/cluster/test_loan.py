"""What benches take from the machine together (ci/cluster/loan)."""

from pathlib import Path

import pytest

from ci.cluster.loan import borrow, give_back, users


class Machine:
    """A sysctl, a record, and a directory that is to be mounted over."""

    def __init__(self, top: Path) -> None:
        self.sysctls = top / "sys"
        self.panic = self.sysctls / "kernel" / "panic"
        self.panic.parent.mkdir(parents=True)
        self.panic.write_text("1\n")
        (top / "run").mkdir()
        self.record = top / "run" / "bench.json"
        self.point = top / "var" / "lib" / "kubelet"

    def borrow(self, user: str) -> None:
        borrow(user, [str(self.point)], self.record, self.sysctls)
        self.panic.write_text("10")  # as the kubelet does

    def give_back(self, user: str) -> list[str]:
        return give_back(user, self.record, self.sysctls)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_bench_leaves_the_machine_as_it_was(machine: Machine) -> None:
    machine.borrow("one")
    assert machine.point.exists()
    assert machine.give_back("one") == []
    assert machine.panic.read_text() == "1"
    assert not machine.point.parents[1].exists()
    assert list(machine.record.parent.iterdir()) == []


def test_the_first_of_two_takes_nothing_from_the_other(machine: Machine) -> None:
    machine.borrow("one")
    machine.borrow("two")
    assert users(machine.record) == ["one", "two"]
    assert machine.give_back("one") == []
    assert users(machine.record) == ["two"]
    assert machine.point.exists()
    assert machine.panic.read_text() == "10"


def test_the_last_of_two_leaves_the_machine_as_the_first_found_it(machine: Machine) -> None:
    machine.borrow("one")
    machine.borrow("two")
    machine.give_back("one")
    assert machine.give_back("two") == []
    assert machine.panic.read_text() == "1"
    assert not machine.point.exists()


def test_what_is_in_use_is_named(machine: Machine) -> None:
    machine.borrow("one")
    (machine.point / "file").touch()
    assert machine.give_back("one")[-1] == str(machine.point.parents[1])


def test_giving_back_twice_is_no_error(machine: Machine) -> None:
    machine.borrow("one")
    machine.give_back("one")
    assert machine.give_back("one") == []
