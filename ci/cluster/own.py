"""The bench: a control plane and nodes, each in namespaces of its own, without any daemon.

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
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from ci.cluster import components, loan, machine
from ci.cluster.cluster import START_SECONDS, Cluster, wait_for
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
NAMESPACES: Final = ("--mount", "--uts", "--ipc", "--pid")


def _in(groups: Sequence[Path]) -> list[str]:
    """Return the start of a command line that enters control groups."""
    return [str(HERE / "in-group"), *map(str, groups), "--"] if groups else []


class OwnCluster(Cluster):
    """A cluster of processes that this one starts."""

    kind = "namespaces"

    def __init__(
        self, directory: Path, programs: Programs, names: Sequence[str], extra: Sequence[str] = ()
    ) -> None:
        """Plan a cluster; `extra` are more directories that each node has for itself."""
        config = directory / "keys" / "admin.conf"
        super().__init__(directory, names, config, programs["kubectl"])
        self.programs: Final = programs
        self.places: Final = {place.name: place for place in places(names)}
        self._own: Final = (*components.NODE_DIRECTORIES, *extra)
        self._prefix: Final = directory.name
        self._inits: Final[dict[str, subprocess.Popen[bytes]]] = {}
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
        self._watch()
        os.environ[MARK] = str(self.directory)  # for all that is started from here on
        loan.borrow(self._prefix, self._own)
        self._snapshotter = self._choose_snapshotter()
        self._issue_keys()
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
        left = super().end()
        for process in self._inits.values():
            process.wait()
        return left

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
        groups = machine.make_groups(f"{self._prefix}/{name}")
        leaves = machine.make_leaves(groups)
        plan = components.node_components(self.programs, self._keys, self.places[name])
        node = [str(HERE / "node"), name, str(self.disk(name)), *self._own, "--"]
        parts = [*NAMESPACES, "--fork", "--kill-child"]
        inside = ["unshare", *parts, *node, *self._init_command(name, plan)]
        entered = enter(self.namespace(name), *inside)
        # What is the root of control groups to a node is where it is when it leaves the machine's.
        self._start(name, [*_in(groups), "unshare", "--cgroup", *_in(leaves), *entered])

    def stop_node(self, name: str) -> None:
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

    def where_logs_are(self) -> str:
        return f"{self.directory}/*/*.log"

    def outside(self, *command: str) -> list[str]:
        """Return a command that runs in the control plane's network."""
        return enter(self.namespace(CONTROL), *command)

    def enter_node(self, name: str) -> list[str]:
        target = f"--target={self._node_init(name)}"
        return ["nsenter", target, *NAMESPACES, "--cgroup", "--net", "--"]

    def enter_network(self, name: str) -> list[str]:
        """Return the start of a command line, whether or not the node is on."""
        return enter(self.namespace(name))

    def _node_init(self, name: str) -> int:
        """Return the PID 1 of a node, seen from here, once it has made its mounts."""
        process = self._inits.get(name)
        for child in children_of(process.pid) if process else []:
            # Before, it is the script `node`, and files of the machine are where its own will be.
            if command_of(child)[:1] == [sys.executable]:
                return child
        raise ClusterError(f"{name} is not on; its last words: {self.disk(name)}/init.log")

    def load_image(self, archive: Path) -> None:
        """Import an image, and that of pods' own processes; two nodes at a time."""
        archives = (self.programs.pause_archive, archive)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda name: self._load_on(name, archives), self.nodes))

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
