"""A Kubernetes cluster of this machine, as tests use it, whatever its nodes are made of."""

import json
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from ci.cluster import remains
from ci.cluster.errors import ClusterError
from ci.cluster.network import run
from ci.cluster.remains import Note, remove
from ci.leftovers import Guard

START_SECONDS: Final = 120.0


def wait_for(what: str, done: Callable[[], bool], seconds: float) -> None:
    """Ask again and again; ClusterError where the answer stays no."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise ClusterError(f"{what}: not after {seconds:.0f} s")
        time.sleep(0.2)


class Cluster(ABC):
    """The cluster, by its directory; `begin` makes it, `end` leaves nothing."""

    kind: str
    """What its nodes are made of, in a word or two."""

    def __init__(
        self, directory: Path, nodes: Sequence[str], kubeconfig: Path, kubectl: str
    ) -> None:
        self.directory: Final = directory
        self.nodes: Final = tuple(nodes)
        """Pods without tolerations run on the first; the last has nothing that others need."""
        self.kubeconfig: Final = kubeconfig
        self._kubectl: Final = kubectl
        self._note: Final = Note(name=directory.name)
        self._guard: Guard | None = None

    # -- beginning and end

    @abstractmethod
    def begin(self) -> None:
        """Make networks and nodes, and start everything."""

    @abstractmethod
    def load_image(self, archive: Path) -> None:
        """Import an image on every node."""

    def end(self) -> list[str]:
        """Remove everything; return what could not be removed."""
        left = remove(self.directory, self._note)
        self.keep()
        return left

    def keep(self) -> None:
        """Leave everything as it is, also when this process ends."""
        if self._guard:
            self._guard.dismiss()
            self._guard = None

    def _watch(self) -> None:
        """Have everything removed, should this process be killed; the note says what that is."""
        self._note.save(self.directory)
        self._guard = self._guard or Guard(remains.__name__, self.directory)
        (self.directory / "home").mkdir(exist_ok=True)

    @abstractmethod
    def start_node(self, name: str) -> None:
        """Switch a node on."""

    @abstractmethod
    def stop_node(self, name: str) -> None:
        """Cut a node's power: no process of it has time for a last word."""

    # -- use

    @abstractmethod
    def outside(self, *command: str) -> list[str]:
        """Return a command that reaches the cluster's API, as kubectl must."""

    @abstractmethod
    def enter_node(self, name: str) -> list[str]:
        """Return the start of a command line that enters a node."""

    @abstractmethod
    def enter_network(self, name: str) -> list[str]:
        """Return the start of one that enters a node's network, and keeps this machine's files."""

    @abstractmethod
    def where_logs_are(self) -> str:
        """Say where to look for more."""

    def environment(self, *directories: str) -> dict[str, str]:
        """Return the environment of kubectl and helm; `directories` go first in PATH."""
        kept = {name: text for name, text in os.environ.items() if not name.startswith("XDG_")}
        home = str(self.directory / "home")
        path = ":".join([*directories, str(Path(self._kubectl).parent), os.environ["PATH"]])
        return kept | {"KUBECONFIG": str(self.kubeconfig), "HOME": home, "PATH": path}

    def kubectl_command(self, *arguments: str) -> list[str]:
        """Return a command line of kubectl on this cluster."""
        return self.outside(self._kubectl, "--kubeconfig", str(self.kubeconfig), *arguments)

    def kubectl(self, *arguments: str, timeout: float = 60.0) -> str:
        """Run kubectl and return what it printed."""
        cache = ("--cache-dir", str(self.directory / "home" / "cache"))
        return run(*self.kubectl_command(*cache, *arguments), timeout=timeout)

    def get(self, *arguments: str) -> Any:  # noqa: ANN401 - it is JSON
        return json.loads(self.kubectl("get", "--output=json", *arguments))

    def inside(self, name: str, *command: str, timeout: float = 60.0) -> str:
        """Run a command as a process of a node and return what it printed."""
        return run(*self.enter_node(name), *command, timeout=timeout)

    def on_network(self, name: str, *command: str, timeout: float = 60.0) -> str:
        """Run a command of this machine in a node's network."""
        return run(*self.enter_network(name), *command, timeout=timeout)

    def address(self, name: str) -> str:
        """Return where others reach a node."""
        addresses = self.get("node", name)["status"]["addresses"]
        found = [entry["address"] for entry in addresses if entry["type"] == "InternalIP"]
        if not found:
            raise ClusterError(f"node {name} has no InternalIP")
        return str(found[0])

    def wait_ready(self) -> None:
        """Wait for the API server and for all nodes."""

        def serves() -> bool:
            try:
                return self.kubectl("get", "--raw", "/readyz") == "ok"
            except ClusterError:
                return False

        wait_for(f"API server, see {self.where_logs_are()}", serves, START_SECONDS)
        for name in self.nodes:
            self.wait_node(name)

    def wait_node(self, name: str, status: str = "True", seconds: float = START_SECONDS) -> None:
        """Wait until a node's condition Ready is as named."""
        what = f"node {name} Ready={status}, see {self.where_logs_are()}"
        wait_for(what, lambda: self._node_status(name) == status, seconds)

    def _node_status(self, name: str) -> str:
        try:
            conditions = self.get("node", name)["status"]["conditions"]
        except ClusterError:  # it has not registered yet
            return ""
        return next((c["status"] for c in conditions if c["type"] == "Ready"), "")
