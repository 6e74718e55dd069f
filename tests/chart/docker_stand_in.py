"""A stand-in for docker, as kind and ci/cluster/docker call it: containers and networks in a file.

It keeps every command line. What runs in a container is not run, but answered as kind's node image
would, as far as kind reads the answer; refusals are in docker's words. Called with other words than
these it fails, so that a command line which the real one might not take is not passed over.

Run as `python docker_stand_in.py DIRECTORY WORD...`; DIRECTORY has the state and `log`.
"""

import fcntl
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

Json = dict[str, Any]

INFO: Final = {
    "CgroupDriver": "systemd",
    "CgroupVersion": "2",
    "MemoryLimit": True,
    "PidsLimit": True,
    "CPUShares": True,
    "SecurityOptions": ["name=seccomp,profile=builtin"],
    "Driver": "overlay2",
}
KUBECONFIG: Final = """\
apiVersion: v1
kind: Config
clusters: [{name: kubernetes, cluster: {server: "https://node:6443"}}]
users: [{name: kubernetes-admin, user: {}}]
contexts: [{name: c, context: {cluster: kubernetes, user: kubernetes-admin}}]
current-context: c
"""
FILES: Final = {
    "/kind/version": "v1.37.0",
    "/etc/kubernetes/admin.conf": KUBECONFIG,
    "/kind/manifests/default-cni.yaml": "apiVersion: v1\nkind: List\nitems: []\n",
    "/kind/manifests/default-storage.yaml": "apiVersion: v1\nkind: List\nitems: []\n",
    "/kind/product_name": "kind",
    "/etc/containerd/config.toml": "version = 3\n",
}
DUMP: Final = 'version = 3\n[plugins."io.containerd.cri.v1.images"]\nsnapshotter = "overlayfs"\n'


class DockerError(Exception):
    """What docker complains of."""


class Docker:
    """Its daemon's state: containers with labels, networks, how much was loaded into each node."""

    def __init__(self, state: Json) -> None:
        self.containers: Json = state.setdefault("containers", {})
        self.networks: list[str] = state.setdefault("networks", ["bridge", "host", "none"])

    def call(self, words: list[str]) -> str:
        match words:
            case ["-v"]:
                return "Docker version 28.2.2, build e6534b4\n"
            case ["info", *rest]:
                return _info(rest)
            case ["ps", *rest]:
                return self._ps(_options(rest))
            case ["network", "ls", *rest]:
                return self._list_networks(_options(rest))
            case ["network", "inspect", *rest]:
                return self._inspect_network(rest)
            case ["network", "create", *rest]:
                self.networks.append(rest[-1])
                return ""
            case ["network", "rm", name]:
                self._remove_network(name)
                return f"{name}\n"
            case ["inspect", "--type=image", _]:
                return "[]\n"
            case ["inspect", *rest]:
                return self._inspect(rest)
            case ["run", "--name", name, *rest]:
                return self._run(name, rest)
            case ["logs", "-f", name]:
                self._find(name)
                return "Reached target Multi-User System.\n"
            case ["exec", *rest]:
                return self._exec(rest)
            case ["kill", "--signal=KILL", name]:
                self._running(name, "cannot kill container")["pid"] = 0
                return f"{name}\n"
            case ["start", name]:
                self._find(name)["pid"] = os.getppid()
                return f"{name}\n"
            case ["rm", "-f", "-v", *names]:
                for name in names:
                    self.containers.pop(name, None)
                return ""
            case _:
                raise DockerError(f"docker: unknown command: {words}")

    def _find(self, name: str) -> Json:
        try:
            found: Json = self.containers[name]
        except KeyError:
            raise DockerError(f"Error: No such object: {name}") from None
        return found

    def _running(self, name: str, what: str) -> Json:
        found = self._find(name)
        if not found["pid"]:
            raise DockerError(
                f"Error response from daemon: {what}: {name}: container is not running"
            )
        return found

    def _ps(self, options: dict[str, str]) -> str:
        key, _, value = options["--filter"].removeprefix("label=").partition("=")
        lines = []
        for name, one in self.containers.items():
            if key in one["labels"] and value in ("", one["labels"][key]):
                lines.append(one["labels"][key] if ".Label" in options["--format"] else name)
        return "".join(f"{line}\n" for line in lines)

    def _run(self, name: str, words: list[str]) -> str:
        if name in self.containers:
            raise DockerError(f'Conflict. The container name "/{name}" is already in use')
        labels = dict(
            words[place + 1].split("=", 1) for place, w in enumerate(words) if w == "--label"
        )
        network = words[words.index("--net") + 1]
        if network not in self.networks:
            raise DockerError(f"network {network} not found")
        # A process that is there: who looks into its network finds one.
        self.containers[name] = {"labels": labels, "net": network, "pid": os.getppid(), "loaded": 0}
        return "0123456789abcdef\n"

    def _exec(self, words: list[str]) -> str:
        while words[0].startswith("-"):
            words = words[2:] if words[0] == "-e" else words[1:]
        name, *command = words
        self._running(name, "Error response from daemon")
        match command:
            case ["cat", file]:
                return FILES[file]
            case ["containerd", "config", "dump"]:
                return DUMP
            case ["ctr", *rest] if "import" in rest:
                self.containers[name]["loaded"] += len(sys.stdin.buffer.read())
                return ""
            case ["echo", *rest]:
                return " ".join(rest) + "\n"
            case _:
                return ""

    def _inspect(self, words: list[str]) -> str:
        _, form, name = words if len(words) == 3 else ["", *words[0].split("=", 1)[1:], words[1]]
        one = self._find(name)
        if form == "{{.State.Pid}}":
            return f"{one['pid']}\n"
        if form.startswith("{{ index .Config.Labels"):
            return f"{one['labels'].get(form.split(chr(34))[1], '')}\n"
        if ".HostPort" in form:
            return "127.0.0.1\t40001\n"
        if ".IPAddress" in form:
            number = list(self.containers).index(name) + 2
            return f"172.18.0.{number},fc00::{number}\n"
        raise DockerError(f"docker inspect: {form}")

    def _list_networks(self, options: dict[str, str]) -> str:
        wanted = options.get("--filter", "").removeprefix("name=").strip("^$")
        return "".join(f"{name}\n" for name in self.networks if wanted in ("", name))

    def _inspect_network(self, words: list[str]) -> str:
        name = next(word for word in words if not word.startswith(("-", "{")))
        if name not in self.networks:
            raise DockerError(f"Error response from daemon: network {name} not found")
        if "--format={{len .Containers}}" in words:
            return f"{sum(1 for one in self.containers.values() if one['net'] == name)}\n"
        if len(words) == 1:
            return json.dumps([{"Name": name, "Id": name, "Containers": {}}])
        return "1500\n" if name == "bridge" else "172.18.0.0/16 fc00::/64 \n"

    def _remove_network(self, name: str) -> None:
        if any(one["net"] == name for one in self.containers.values()):
            raise DockerError(f"error while removing network: network {name} has active endpoints")
        self.networks.remove(name)


def _info(words: list[str]) -> str:
    form = words[-1] if words else ""
    if "SecurityOptions" in form:
        return json.dumps(INFO["SecurityOptions"]) + "\n"
    if "DriverStatus" in form:
        return '[["Backing Filesystem","extfs"]]\n'
    return f"{INFO['Driver']}\n" if ".Driver" in form else json.dumps(INFO) + "\n"


def _options(words: list[str]) -> dict[str, str]:
    """Return options with their values, which follow by a space or an equals sign."""
    found: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if name in ("-a", "--all", "-q", "--no-trunc"):
            found[name] = ""
        else:
            found[name] = value if equals else next(rest)
    return found


@contextmanager
def _alone(directory: Path) -> Iterator[Json]:
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        file = directory / "state.json"
        state = json.loads(file.read_text()) if file.exists() else {}
        yield state
        new = directory / "state.new"  # kind kills `docker logs` when it has read enough
        new.write_text(json.dumps(state))
        new.rename(file)


def main() -> int:
    directory, words = Path(sys.argv[1]), sys.argv[2:]
    with _alone(directory) as state:
        with (directory / "log").open("a") as log:
            log.write(json.dumps(words) + "\n")
        try:
            sys.stdout.write(Docker(state).call(words))
        except DockerError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
