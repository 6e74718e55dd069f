"""A Kubernetes cluster of this machine: a control plane and nodes, each in namespaces of its own.

A node is a process tree: containerd, kubelet and kube-proxy below a PID 1 that sees the usual
paths, its own directories bound over those that matter. Killed, it goes with all its pods, which
is what a power failure does; its disk and its cable stay.
"""

import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from ci.cluster import components, loan, machine, remains
from ci.cluster.errors import ClusterError
from ci.cluster.keys import MASTERS, Keys, Subject
from ci.cluster.kubernetes import Programs
from ci.cluster.network import (
    API,
    API_SERVICE,
    CONTROL,
    SERVER,
    Place,
    control_plan,
    enter,
    node_plan,
    places,
    run,
)
from ci.cluster.processes import MARK, children_of, command_of, processes_in, processes_of
from ci.cluster.remains import Note, remove
from ci.leftovers import Guard

HERE: Final = Path(__file__).parent
API_NAMES: Final = (
    API,
    API_SERVICE,
    "127.0.0.1",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
NAMESPACES: Final = ("--mount", "--uts", "--ipc", "--pid", "--cgroup")
START_SECONDS: Final = 120.0


def wait_for(what: str, done: Callable[[], bool], seconds: float) -> None:
    """Ask again and again; ClusterError where the answer stays no."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise ClusterError(f"{what}: not after {seconds:.0f} s")
        time.sleep(0.2)


class Cluster:
    """The cluster, by its directory; `begin` makes it, `end` leaves nothing."""

    def __init__(
        self, directory: Path, programs: Programs, names: Sequence[str], extra: Sequence[str] = ()
    ) -> None:
        """Plan a cluster; `extra` are more directories that each node has for itself."""
        self.directory: Final = directory
        self.programs: Final = programs
        self.places: Final = {place.name: place for place in places(names)}
        self._own: Final = (*components.NODE_DIRECTORIES, *extra)
        self._prefix: Final = directory.name
        self._inits: Final[dict[str, subprocess.Popen[bytes]]] = {}
        self._note: Final = Note(name=self._prefix)
        self._guard: Guard | None = None
        self._keys: Keys
        self._snapshotter = "overlayfs"

    def namespace(self, name: str) -> str:
        return f"{self._prefix}-{name}"

    def disk(self, name: str) -> Path:
        """Return the directory with all that a node keeps."""
        return self.directory / name

    # -- beginning and end

    def begin(self) -> None:
        """Borrow what is needed from the machine, make keys and networks, start everything."""
        self._note.namespaces = [self.namespace(name) for name in (CONTROL, *self.places)]
        self._note.save(self.directory)
        self._guard = Guard(remains.__name__, self.directory)
        os.environ[MARK] = str(self.directory)  # for all that is started from here on
        loan.borrow(self._prefix, self._own)
        self._snapshotter = self._choose_snapshotter()
        self._issue_keys()
        (self.directory / "home").mkdir()
        for command in control_plan(self.namespace(CONTROL)):
            run(*command)
        self._start_control()
        for place in self.places.values():
            everyone = list(self.places.values())
            plan = node_plan(self.namespace(CONTROL), self.namespace(place.name), place, everyone)
            for command in plan:
                run(*command)
            self._configure(place)
            self.start_node(place.name)

    def end(self) -> list[str]:
        """Remove everything; return what could not be removed."""
        left = remove(self.directory, self._note)
        for process in self._inits.values():
            process.wait()
        self.keep()
        return left

    def keep(self) -> None:
        """Leave everything as it is, also when this process ends."""
        if self._guard:
            self._guard.dismiss()
            self._guard = None

    def processes(self) -> list[int]:
        """Return the processes that run for this cluster, those of pods not counted."""
        return processes_of(self.directory)

    def _choose_snapshotter(self) -> str:
        kind = run("stat", "--file-system", "--format=%T", str(self.directory)).strip()
        return "native" if kind == "overlayfs" else "overlayfs"  # they do not stack

    def _issue_keys(self) -> None:
        keys = self._keys = Keys(self.directory / "keys")
        keys.draw_pair("accounts")
        keys.issue("apiserver", Subject("kube-apiserver"), API_NAMES)
        keys.issue("apiserver-kubelet-client", Subject("apiserver-kubelet-client", MASTERS))
        keys.issue_client("admin", Subject("admin", MASTERS), SERVER)
        for name in ("kube-controller-manager", "kube-scheduler", "kube-proxy"):
            keys.issue_client(name, Subject(f"system:{name}"), SERVER)
        for place in self.places.values():
            subject = Subject(f"system:node:{place.name}", "system:nodes")
            keys.issue(place.name, subject, (place.address, place.name))
            keys.write_kubeconfig(place.name, SERVER)

    # -- processes

    def _start_control(self) -> None:
        directory = self.disk(CONTROL)
        directory.mkdir()
        plan = components.control_components(self.programs, self._keys, directory)
        parts = ["--mount", "--pid", "--mount-proc", "--fork", "--kill-child"]
        command = ["unshare", *parts, *self._init_command(CONTROL, plan)]
        self._start(CONTROL, enter(self.namespace(CONTROL), *command))

    def start_node(self, name: str) -> None:
        """Switch a node on."""
        groups = machine.make_groups(f"{self._prefix}/{name}")
        plan = components.node_components(self.programs, self._keys, self.places[name])
        node = [str(HERE / "node"), name, str(self.disk(name)), *self._own, "--"]
        parts = [*NAMESPACES, "--fork", "--kill-child"]
        inside = ["unshare", *parts, *node, *self._init_command(name, plan)]
        entered = enter(self.namespace(name), *inside)
        self._start(name, [str(HERE / "in-group"), *map(str, groups), "--", *entered])

    def stop_node(self, name: str) -> None:
        """Cut a node's power: no process of it has time for a last word."""
        process = self._inits.pop(name)
        process.kill()
        process.wait()
        inside = Path("/run/netns", self.namespace(name)).stat().st_ino
        wait_for(f"the end of {name}", lambda: not processes_in(inside), START_SECONDS)
        machine.remove_groups(f"{self._prefix}/{name}")

    def _init_command(self, name: str, plan: Sequence[components.Component]) -> list[str]:
        file = self.disk(name) / "plan.json"
        file.write_text(json.dumps([part.plan(self.disk(name)) for part in plan], indent=1))
        return [sys.executable, "-I", str(HERE / "init.py"), str(file)]

    def _start(self, name: str, command: Sequence[str]) -> None:
        with (self.disk(name) / "init.log").open("ab") as log:
            self._inits[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # an interrupt of the terminal is ours to handle
            )

    def _configure(self, place: Place) -> None:
        disk = self.disk(place.name)
        config = disk / components.CONFIG_DIRECTORY.removeprefix("/")
        network = disk / components.CNI_DIRECTORY.removeprefix("/")
        config.mkdir(parents=True)
        network.mkdir(parents=True)
        (config / "resolv.conf").touch()  # a cluster without names
        words = run("containerd", "--version")
        release = re.search(r"\bv?(\d+)\.\d+\.\d+", words)
        if release is None:
            raise ClusterError(f"containerd --version says {words.strip()!r}, which is no release")
        text = components.containerd_config(int(release[1]), self._snapshotter)
        (config / "containerd.toml").write_text(text)
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        kubelet = components.kubelet_config(
            self._keys, unified=machine.is_unified(), max_open_files=limit
        )
        for file, content in (
            (config / "kubelet.json", kubelet),
            (config / "proxy.json", components.proxy_config(self._keys, place)),
            (network / "10-pods.conflist", components.cni_config(place)),
        ):
            file.write_text(json.dumps(content, indent=1))

    # -- use

    def environment(self, *directories: str) -> dict[str, str]:
        """Return the environment of kubectl and helm; `directories` go first in PATH."""
        kept = {name: text for name, text in os.environ.items() if not name.startswith("XDG_")}
        home = str(self.directory / "home")
        path = ":".join([*directories, str(self.programs.directory), os.environ["PATH"]])
        config = str(self.directory / "keys" / "admin.conf")
        return kept | {"KUBECONFIG": config, "HOME": home, "PATH": path}

    def outside(self, *command: str) -> list[str]:
        """Return a command that runs in the control plane's network, as kubectl must."""
        return enter(self.namespace(CONTROL), *command)

    def kubectl(self, *arguments: str, timeout: float = 60.0) -> str:
        """Run kubectl and return what it printed."""
        config = ["--kubeconfig", str(self._keys.kubeconfig("admin"))]
        cache = ["--cache-dir", str(self.directory / "home" / "cache")]
        command = [self.programs["kubectl"], *config, *cache, *arguments]
        return run(*self.outside(*command), timeout=timeout)

    def get(self, *arguments: str) -> Any:  # noqa: ANN401 - it is JSON
        return json.loads(self.kubectl("get", "--output=json", *arguments))

    def inside(self, name: str, *command: str, timeout: float = 60.0) -> str:
        """Run a command as a process of a node and return what it printed."""
        return run(*self.enter_node(name), *command, timeout=timeout)

    def enter_node(self, name: str) -> list[str]:
        """Return the start of a command line that enters a node."""
        target = f"--target={self._node_init(name)}"
        return ["nsenter", target, *NAMESPACES, "--net", "--"]

    def on_network(self, name: str, *command: str, timeout: float = 60.0) -> str:
        """Run a command in a node's network, whether or not the node is on."""
        return run(*enter(self.namespace(name), *command), timeout=timeout)

    def _node_init(self, name: str) -> int:
        """Return the PID 1 of a node, seen from here, once it has made its mounts."""
        process = self._inits.get(name)
        for child in children_of(process.pid) if process else []:
            # Before, it is the script `node`, and files of the machine are where its own will be.
            if command_of(child)[:1] == [sys.executable]:
                return child
        raise ClusterError(f"{name} is not on; its last words: {self.disk(name)}/init.log")

    def load_images(self, *archives: Path) -> None:
        """Import images on every node, two nodes at a time."""
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda name: self._load_on(name, archives), self.places))

    def _load_on(self, name: str, archives: Sequence[Path]) -> None:
        def serves() -> bool:
            try:
                self.inside(name, "ctr", "version")
            except (ClusterError, OSError):
                return False
            return True

        wait_for(f"containerd of {name}, see {self.disk(name)}", serves, START_SECONDS)
        for archive in archives:
            load = ("ctr", "--namespace=k8s.io", "images", "import", str(archive))
            self.inside(name, *load, timeout=300)

    def wait_ready(self) -> None:
        """Wait for the API server and for all nodes."""

        def serves() -> bool:
            try:
                return self.kubectl("get", "--raw", "/readyz") == "ok"
            except ClusterError:
                return False

        wait_for(f"API server, see {self.disk(CONTROL)}", serves, START_SECONDS)
        for name in self.places:
            self.wait_node(name)

    def wait_node(self, name: str, status: str = "True", seconds: float = START_SECONDS) -> None:
        """Wait until a node's condition Ready is as named."""
        what = f"node {name} Ready={status}, see {self.disk(name)}/kubelet.log"
        wait_for(what, lambda: self._node_status(name) == status, seconds)

    def _node_status(self, name: str) -> str:
        try:
            conditions = self.get("node", name)["status"]["conditions"]
        except ClusterError:  # it has not registered yet
            return ""
        return next((c["status"] for c in conditions if c["type"] == "Ready"), "")
