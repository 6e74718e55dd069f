"""The demo's own little internet: network namespaces on one bridge, and nodes in them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ci.leftovers import Guard, marked

ZTLINK: Final = (sys.executable, "-m", "ztlink")
START: Final = time.monotonic()
PATIENCE: Final = 20.0  # seconds for each step
NAMESPACES: Final = "namespaces.json"
MARK: Final = "ZTLINK_DEMO"  # in the environment of all that a demo starts: its directory
SWITCH: Final = "switch"
GRACE: Final = 5.0  # seconds that a node has to end before it is killed


class DemoError(Exception):
    """The demo cannot go on; the message says why."""


def save(directory: Path, namespaces: Sequence[str]) -> None:
    """Note down, for a later end, what a demo has made."""
    (directory / NAMESPACES).write_text(json.dumps(namespaces))


def load(directory: Path) -> list[str]:
    """Read what a kept demo has noted; DemoError where the directory is not one of ours."""
    file = directory / NAMESPACES
    try:
        owner = file.stat().st_uid
        namespaces = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise DemoError(f"{directory} is not the directory of a demo: {error}") from error
    if not isinstance(namespaces, list) or not all(isinstance(name, str) for name in namespaces):
        raise DemoError(f"{directory} is not the directory of a demo: {file} lists no names")
    if owner != os.getuid():
        raise DemoError(f"{directory} belongs to another user: end it as that one")
    return namespaces


def processes_of(directory: Path, proc: Path = Path("/proc")) -> list[int]:
    """Return the processes of a demo: those it started, and those that these started."""
    return marked(MARK, directory, proc)


def remove(directory: Path, namespaces: Sequence[str]) -> None:
    """Remove all of a demo: processes, namespaces with their devices, files."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in processes_of(directory):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + GRACE
        while processes_of(directory) and time.monotonic() < deadline:
            time.sleep(0.05)
    for namespace in namespaces:
        subprocess.run(["ip", "netns", "delete", namespace], capture_output=True, check=False)
    shutil.rmtree(directory, ignore_errors=True)


def remove_noted(directory: Path) -> None:
    """Remove a demo whose script was killed."""
    remove(directory, load(directory))


def say(text: str) -> None:
    """Print a line of progress, with the seconds since the start."""
    print(f"{time.monotonic() - START:5.1f} s  {text}")


def wait_for(what: str, done: Callable[[], bool]) -> None:
    """Ask again and again; DemoError where the answer stays no."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise DemoError(f"{what}: not after {PATIENCE:.0f} s")
        time.sleep(0.2)


def run(*command: str, timeout: float = PATIENCE) -> str:
    """Run a command and return what it printed; DemoError with its complaint where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as error:
        raise DemoError(f"no end after {timeout:.0f} s: {' '.join(command)}") from error
    if done.returncode:
        complaint = (done.stderr or done.stdout).strip() or f"exit status {done.returncode}"
        raise DemoError(f"{' '.join(command)}: {complaint}")
    return done.stdout


class Lab:
    """Namespaces by the names of the nodes in them, and the processes there."""

    def __init__(self, directory: Path, names: Sequence[str], behind: Sequence[str] = ()) -> None:
        """Plan it; `behind` are namespaces without a cable to the bridge."""
        self.directory: Final = directory
        self.names: Final = names
        self.behind: Final = behind
        self.namespaces: Final[list[str]] = []
        self.daemons: Final[dict[str, subprocess.Popen[bytes]]] = {}
        save(directory, [self.namespace(name) for name in (SWITCH, *names, *behind)])
        self._guard: Final = Guard(__name__, directory)
        os.environ[MARK] = str(directory)  # for all that is started from here on

    def namespace(self, name: str) -> str:
        return f"ztdemo{os.getpid()}-{name}"

    def home(self, name: str) -> Path:
        return self.directory / name

    def endpoints(self, name: str) -> tuple[str, str]:
        """Return a node's addresses on the bridge."""
        number = self.names.index(name) + 1
        return f"10.200.0.{number}", f"fd00:200::{number:x}"

    def build(self) -> None:
        """Make the namespaces and hang them on one bridge; the machine's own sees none of it."""
        switch = self.namespace(SWITCH)
        for name in (SWITCH, *self.names, *self.behind):
            self.namespaces.append(self.namespace(name))
            run("ip", "netns", "add", self.namespace(name))
        run("ip", "-n", switch, "link", "add", "bridge", "type", "bridge")
        run("ip", "-n", switch, "link", "set", "bridge", "up")
        for name in self.names:
            own = self.namespace(name)
            ipv4, ipv6 = self.endpoints(name)
            peer = ("peer", "name", name, "netns", switch)
            run("ip", "link", "add", "eth0", "netns", own, "type", "veth", *peer)
            run("ip", "-n", switch, "link", "set", "dev", name, "master", "bridge", "up")
            run("ip", "-n", own, "link", "set", "lo", "up")
            run("ip", "-n", own, "link", "set", "eth0", "up")
            run("ip", "-n", own, "address", "add", f"{ipv4}/24", "dev", "eth0")
            run("ip", "-n", own, "address", "add", f"{ipv6}/64", "dev", "eth0", "nodad")
            self.home(name).mkdir()

    def start(self, name: str, *command: str, log: Path) -> subprocess.Popen[bytes]:
        """Start a process in a node's namespace; its words go to a file."""
        with log.open("ab") as words:
            return subprocess.Popen(
                ["ip", "netns", "exec", self.namespace(name), *command],
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                start_new_session=True,  # an interrupt of the terminal is ours to handle
            )

    def start_node(self, name: str, command: str) -> None:
        command_line = (*ZTLINK, command, "--home", str(self.home(name)))
        self.daemons[name] = self.start(name, *command_line, log=self.directory / f"{name}.log")

    def start_agent(self, name: str, file: Path) -> None:
        command_line = (*ZTLINK, "agent", "--config", str(file))
        self.daemons[name] = self.start(name, *command_line, log=self.directory / f"{name}.log")

    def stop_node(self, name: str) -> None:
        """End a node as a service manager would."""
        daemon = self.daemons.pop(name)
        daemon.terminate()
        try:
            daemon.wait(GRACE)
        except subprocess.TimeoutExpired as error:
            raise DemoError(f"{name} does not end after {GRACE:.0f} s") from error

    def inside(self, name: str, *command: str, timeout: float = PATIENCE) -> str:
        """Run a command in a node's namespace and return what it printed."""
        return run("ip", "netns", "exec", self.namespace(name), *command, timeout=timeout)

    def ztlink(self, name: str, *arguments: str) -> str:
        """Ask a node something by its command line; DemoError where the node is gone."""
        try:
            return self.inside(name, *ZTLINK, *arguments, "--home", str(self.home(name)))
        except DemoError as error:
            daemon = self.daemons.get(name)
            if daemon and daemon.poll() is not None:
                what = f"{name} ended with status {daemon.returncode}"
                raise DemoError(f"{what}\n{self.last_words(name)}".rstrip()) from error
            raise

    def ztlink_json(self, name: str, *arguments: str) -> Any:  # noqa: ANN401 - it is JSON
        return json.loads(self.ztlink(name, *arguments, "--json"))

    def last_words(self, name: str, lines: int = 8) -> str:
        """Return the end of a node's log."""
        log = self.directory / f"{name}.log"
        text = log.read_text(errors="replace") if log.exists() else ""
        return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])

    def end(self) -> None:
        """Remove everything; nothing may interrupt this."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)
        remove(self.directory, self.namespaces)
        self._guard.dismiss()

    def keep(self) -> None:
        """Leave everything up: `load` tells a later end what there is."""
        self._guard.dismiss()
