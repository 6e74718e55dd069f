"""PID 1 of a node, or of the control plane: starts programs, each when the one before serves.

Usage: init.py PLAN, the file being a list of {"name", "command", "log", "ready"} in JSON; `ready`
is a command that succeeds once the program serves, or is empty. Imports nothing of this project:
it runs where only the machine's files are sure.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

POLL_SECONDS = 0.2


def say(text: str) -> None:
    """Tell the log of this process."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def start(program: dict[str, Any]) -> "subprocess.Popen[bytes]":
    """Start a program, its words going to its log."""
    with Path(program["log"]).open("ab") as log:
        process = subprocess.Popen(
            program["command"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    say(f"{program['name']}: started as {process.pid}")
    return process


def wait_ready(program: dict[str, Any]) -> None:
    """Wait until the program serves; one that has ended is waited for, too: its end is told."""
    if not program["ready"]:
        return
    quiet = subprocess.DEVNULL
    while subprocess.run(program["ready"], stdin=quiet, stdout=quiet, stderr=quiet).returncode:
        time.sleep(POLL_SECONDS)
    say(f"{program['name']}: serves")


def main(plan: str) -> None:
    """Start all, then reap for ever: whoever kills this process ends everything."""
    names = {}
    processes = []  # kept: one that is forgotten would be reaped without a word
    for program in json.loads(Path(plan).read_text()):
        process = start(program)
        processes.append(process)
        names[process.pid] = program["name"]
        wait_ready(program)
    while True:
        try:
            pid, status = os.wait()
        except ChildProcessError:
            say("nothing is left to wait for")
            time.sleep(3600)
            continue
        if pid in names:
            say(f"{names[pid]}: ended with status {os.waitstatus_to_exitcode(status)}")


if __name__ == "__main__":
    main(sys.argv[1])
