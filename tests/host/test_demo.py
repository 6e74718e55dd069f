"""What the demo starts ends with it, however it ends (ci/demo_lab)."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ci.demo_lab import processes_of
from tests.host.machine import comes_true, wait_for

pytestmark = pytest.mark.netadmin

SCRIPT = """
import subprocess, sys
from pathlib import Path
from ci.demo_lab import Lab

lab = Lab(Path(sys.argv[1]), ("a",))
subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL)
print("up", flush=True)
if sys.stdin.readline() == "keep\\n":
    lab.keep()
else:
    lab.end()
"""


def start(directory: Path) -> "subprocess.Popen[str]":
    """Start a demo that is a directory and one process."""
    directory.mkdir()
    command = [sys.executable, "-c", SCRIPT, str(directory)]
    demo = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert demo.stdout is not None
    assert demo.stdout.readline() == "up\n"
    return demo


def is_gone(directory: Path) -> bool:
    return not directory.exists() and not processes_of(directory)


def test_a_demo_that_is_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    directory = tmp_path / "demo"
    with start(directory) as demo:
        wait_for(lambda: len(processes_of(directory)) == 1)  # it has become what it runs
        demo.kill()
    assert comes_true(lambda: is_gone(directory))


def test_a_demo_that_ends_leaves_nothing_behind(tmp_path: Path) -> None:
    directory = tmp_path / "demo"
    with start(directory) as demo:
        demo.communicate("end\n")
    assert is_gone(directory)


def test_a_demo_that_is_kept_stays(tmp_path: Path) -> None:
    directory = tmp_path / "demo"
    with start(directory) as demo:
        wait_for(lambda: len(processes_of(directory)) == 1)
        demo.communicate("keep\n")
    (left,) = processes_of(directory)
    try:
        assert (directory / "namespaces.json").exists()
    finally:
        os.kill(left, signal.SIGKILL)
