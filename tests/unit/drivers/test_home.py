"""One process per home, and nothing half written in it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ztlink.drivers.home import PID, Home
from ztlink.errors import ConfigError


class Filed(Home):
    folders = ("networks.d",)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    opened = Filed(tmp_path)
    yield opened
    opened.close()


def make_process(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Have every process bear a name."""
    read_text = Path.read_text

    def read(path: Path) -> str:
        return f"{name}\n" if path.name == "comm" else read_text(path)

    monkeypatch.setattr(Path, "read_text", read)


def test_a_home_that_the_original_runs_on_is_refused(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home.home / PID).write_text("4242")
    make_process(monkeypatch, "zerotier-one")
    with pytest.raises(ConfigError, match=r"in use by zerotier-one \(process 4242\): stop it"):
        home.open()


def test_a_home_that_was_refused_is_not_locked(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    (home.home / PID).write_text("4242")
    with monkeypatch.context() as patched:
        make_process(patched, "zerotier-one")
        with pytest.raises(ConfigError):
            home.open()
    (home.home / PID).unlink()
    home.open()
    assert (home.home / "ztlink.lock").read_text() == str(os.getpid())


def test_a_process_id_that_another_program_has_now_is_no_hindrance(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home.home / PID).write_text("4242")
    make_process(monkeypatch, "sshd")
    home.open()
    assert (home.home / "ztlink.lock").exists()


@pytest.mark.parametrize("content", ["4194304999", "", "nonsense", "-1"])
def test_a_pid_file_of_nobody_is_no_hindrance(home: Home, content: str) -> None:
    (home.home / PID).write_text(content)
    home.open()
    assert (home.home / "ztlink.lock").exists()


def test_what_a_killed_process_was_writing_is_removed(home: Home) -> None:
    (home.home / "networks.d").mkdir()
    left = home.home / ".identity.secret.abc.unfinished", home.home / "networks.d/.a.b.unfinished"
    for file in left:
        file.touch()
    home.open()
    assert [file.exists() for file in left] == [False, False]


def test_other_hidden_files_stay(home: Home) -> None:
    (home.home / ".gitignore").touch()
    home.open()
    assert (home.home / ".gitignore").exists()


def test_a_file_that_is_not_flushed_is_replaced_as_a_whole(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: pytest.fail("it was flushed"))
    home.write("file", b"old", is_flushed=False)
    home.write("file", b"new", is_flushed=False)
    assert home.read("file") == b"new"
