"""The demo where neither root nor namespaces nor a TAP are to be had: ordinary processes.

A root that is the controller too, a node that serves a page and one that fetches it, each a process
of this user, talk over the machine's loopback.
"""

import os
import re
import socket
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from ci.demo_lab import MARK, ZTLINK, DemoError, remove, run, say, wait_for

RANGE: Final = "10.147.17.0/24"
PAGE: Final = "Hello from the overlay.\n"
LOOPBACK: Final = "127.0.0.1"
NAMES: Final = ("controller", "server", "client")
IDENTITY_PATIENCE: Final = 60.0


class Processes:
    """The demo's processes, and their files in one directory."""

    def __init__(self) -> None:
        self.directory: Final = Path(tempfile.mkdtemp(prefix="ztdemo-"))
        self.planet: Final = self.directory / "planet"
        os.environ[MARK] = str(self.directory)  # for all that is started from here on

    def home(self, name: str) -> Path:
        """Return a node's directory."""
        return self.directory / name

    def start(self, name: str, *command: str) -> None:
        """Start a process; its words go to a file."""
        with self.log(name).open("ab") as words:
            subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                start_new_session=True,
            )

    def log(self, name: str) -> Path:
        """Return the file with a process's words."""
        return self.directory / f"{name}.log"

    def node(self, name: str, network: str) -> tuple[str, ...]:
        """Return the options of a command in user space."""
        home, planet = ("--home", str(self.home(name))), ("--planet", str(self.planet))
        return ("--network", network, *home, *planet, "--allow-loopback", "--timeout", "20")

    def end(self) -> None:
        """End everything and remove the files."""
        remove(self.directory, ())


def show_in_user_space() -> int:
    """Do it all; return the exit status."""
    processes = Processes()
    try:
        addresses = _make_identities(processes)
        _start_controller(processes)
        network = _make_network(processes, addresses)
        ip = _serve_page(processes, network)
        fetch = (*ZTLINK, "call", f"http://{ip}/index.html", *processes.node("client", network))
        page = run(*fetch, timeout=IDENTITY_PATIENCE)
        say(f"client fetched http://{ip}/index.html: {page.strip()}")
        pings = run(*ZTLINK, "ping", ip, "-i", "0.1", *processes.node("client", network))
        print(f"\n{pings}")
        if page != PAGE:
            print("demo: FAILED, another page than the one that is served")
            return 1
        print("demo: OK, in user space: one node served a page, another fetched it")
        return 0
    finally:
        processes.end()


def _make_identities(processes: Processes) -> dict[str, str]:
    def generate(name: str) -> str:
        processes.home(name).mkdir()
        file = processes.home(name) / "identity.secret"
        run(*ZTLINK, "identity", "generate", str(file), timeout=IDENTITY_PATIENCE)
        return (processes.home(name) / "identity.public").read_text().partition(":")[0]

    with ThreadPoolExecutor(2) as pool:
        addresses = dict(zip(NAMES, pool.map(generate, NAMES), strict=True))
    for name, address in addresses.items():
        say(f"  {name} is {address}")
    return addresses


def _start_controller(processes: Processes) -> None:
    home, port = processes.home("controller"), free_port(socket.SOCK_DGRAM)
    root = f"{home / 'identity.public'}@{LOOPBACK}/{port}"
    key = ("--key", str(home / "identity.secret"))
    run(*ZTLINK, "world", "create", "--root", root, *key, "--out", str(processes.planet))
    options = ("--home", str(home), "--planet", str(processes.planet), "--port", str(port))
    processes.start(
        "controller", *ZTLINK, "controller", *options, "--allow-loopback", "--bind", LOOPBACK
    )

    def answers() -> bool:
        try:
            run(*ZTLINK, "status", "--home", str(home))
        except DemoError:
            return False
        return True

    wait_for("root and controller up", answers)
    say("root and controller up")


def _make_network(processes: Processes, addresses: dict[str, str]) -> str:
    home = ("--home", str(processes.home("controller")))
    options = ("--name", "demo", "--range", RANGE)
    network = run(*ZTLINK, "network", "create", *options, *home).split()[-1]
    members = [address for name, address in addresses.items() if name != "controller"]
    run(*ZTLINK, "member", "authorize", network, *members, *home)
    say(f"network {network}, private, {RANGE}; members authorised")
    return network


def _serve_page(processes: Processes, network: str) -> str:
    """Have the server's page on the overlay, and return its address there."""
    directory, port = processes.directory / "page", free_port(socket.SOCK_STREAM)
    directory.mkdir()
    (directory / "index.html").write_text(PAGE)
    where = ("--bind", LOOPBACK, "--directory", str(directory))
    processes.start("page", sys.executable, "-m", "http.server", str(port), *where)
    options = ("--listen", "80", *processes.node("server", network))
    processes.start("server", *ZTLINK, "expose", str(port), *options)
    found: list[str] = []

    def is_up() -> bool:
        told = re.search(r"([\d.]+) port 80 leads to", processes.log("server").read_text())
        found.extend(told.groups() if told else ())
        return bool(found)

    wait_for("the server in the network", is_up)
    say(f"server serves a page on {found[0]}")
    return found[0]


def free_port(kind: socket.SocketKind) -> int:
    """Return a port of the loopback that nobody has."""
    with socket.socket(socket.AF_INET, kind) as trial:
        trial.bind((LOOPBACK, 0))
        port = trial.getsockname()[1]
    assert isinstance(port, int)
    return port
