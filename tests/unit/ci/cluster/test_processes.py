"""What is read of processes (ci/cluster/processes)."""

from pathlib import Path

from ci.cluster.processes import children_of, command_of, processes_in, processes_of


def test_processes_are_found_by_their_mark(tmp_path: Path) -> None:
    environments = {
        "10": b"HOME=/\0ZTLINK_BENCH=/somewhere/bench\0",
        "11": b"ZTLINK_BENCH=/somewhere/bench-other\0",
        "12": b"",
        "self": b"ZTLINK_BENCH=/somewhere/bench\0",
    }
    for name, text in environments.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "environ").write_bytes(text)
    assert processes_of(Path("/somewhere/bench"), tmp_path) == [10]


def test_processes_are_found_by_their_network(tmp_path: Path) -> None:
    for name in ("10", "11", "12"):
        (tmp_path / name / "ns").mkdir(parents=True)
    (tmp_path / "network").touch()
    (tmp_path / "10" / "ns" / "net").symlink_to(tmp_path / "network")
    (tmp_path / "11" / "ns" / "net").touch()
    assert processes_in((tmp_path / "network").stat().st_ino, tmp_path) == [10]


def test_children_are_read_by_number(tmp_path: Path) -> None:
    (tmp_path / "7" / "task" / "7").mkdir(parents=True)
    (tmp_path / "7" / "task" / "7" / "children").write_text("8 90 ")
    assert children_of(7, tmp_path) == [8, 90]


def test_a_command_is_read_word_by_word(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "cmdline").write_text("sleep\0ten minutes\0")
    assert command_of(7, tmp_path) == ["sleep", "ten minutes"]


def test_a_process_that_has_ended_has_neither(tmp_path: Path) -> None:
    assert (children_of(7, tmp_path), command_of(7, tmp_path)) == ([], [])
