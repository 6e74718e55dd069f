"""Files that others write: how much of one is read, and what is no file."""

import os
from pathlib import Path

import pytest

from ztlink.bounded_file import read_bounded, require_regular
from ztlink.errors import ConfigError


def test_a_long_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "long"
    file.write_bytes(b"x" * 1000)
    assert len(read_bounded(file, 10)) == 11


def test_a_short_file_is_read_whole(tmp_path: Path) -> None:
    file = tmp_path / "short"
    file.write_bytes(b"abc")
    assert read_bounded(file, 3) == b"abc"


def test_a_pipe_is_refused_before_anybody_waits_for_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ConfigError, match="it is a pipe or a device, and should be a file"):
        require_regular(pipe)


def test_a_device_is_refused_by_what_names_it() -> None:
    with pytest.raises(ConfigError, match="idFile: cannot read /dev/zero"):
        require_regular(Path("/dev/zero"), "idFile")
