"""Processes are known by what their environment says (ci/leftovers)."""

from pathlib import Path

from ci.leftovers import marked


def write(proc: Path, pid: int, *environment: str) -> None:
    (proc / str(pid)).mkdir()
    (proc / str(pid) / "environ").write_bytes("\0".join(environment).encode())


def test_a_process_is_found_by_mark_and_directory(tmp_path: Path) -> None:
    write(tmp_path, 10, "HOME=/root", "MARK=/a/b")
    write(tmp_path, 11, "MARK=/a")
    write(tmp_path, 12, "OTHER=/a/b")
    write(tmp_path, 13, "MARK=/a/bc")
    assert marked("MARK", Path("/a/b"), tmp_path) == [10]


def test_a_process_that_has_ended_meanwhile_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "14").mkdir()
    assert marked("MARK", Path("/a/b"), tmp_path) == []
