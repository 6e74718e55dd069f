"""Containers of the image as a kubelet would run them: runc, one capability, a read-only root.

The root file system is a mount of the image by buildah; network namespaces are the lab's.
"""

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ci.image import NAME, buildah_command, cache_directory
from tests.lab.lab import Host
from tests.lab.namespace import run
from tests.lab.process import Process

Json = dict[str, Any]

CAPABILITIES: Final = ("CAP_NET_ADMIN",)
REMOVE_TIMEOUT: Final = 20.0
TUN: Final = {"path": "/dev/net/tun", "type": "c", "major": 10, "minor": 200, "fileMode": 0o666}


@dataclass(frozen=True)
class Image:
    """The image's files, mounted, and what its configuration says."""

    root: Path
    config: Json

    @property
    def entry_point(self) -> tuple[str, ...]:
        return tuple(self.config["Entrypoint"])


@contextmanager
def mounted_image() -> Iterator[Image]:
    """Mount the image for as long as the context lasts."""
    buildah = buildah_command(cache_directory())
    inspected = json.loads(run(*buildah, "inspect", "--type", "image", NAME))
    container = run(*buildah, "from", NAME).strip()
    try:
        root = Path(run(*buildah, "mount", container).strip())
        yield Image(root, inspected["OCIv1"]["config"])
    finally:
        run(*buildah, "umount", container, check=False)
        run(*buildah, "rm", container)


@dataclass
class Container:
    """One container; `directory` is its bundle."""

    image: Image
    host: Host
    directory: Path
    arguments: Sequence[str]
    binds: Mapping[str, Path] = field(default_factory=dict)
    """Folders of ours by where they are inside; those that end in `:ro` cannot be written."""
    environment: Mapping[str, str] = field(default_factory=dict)
    capabilities: Sequence[str] = CAPABILITIES
    uid: int = 0

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True)
        self.state = self.directory / "state"
        self._process: Process | None = None
        self.name = f"ztlab{os.getpid()}-{self.host.name}-{self.directory.name}"
        (self.directory / "config.json").write_text(json.dumps(self._spec()))

    def start(self) -> Process:
        """Run it in the foreground; the process is runc, which ends as the container does."""
        argv = (*self._runc(), "run", "--bundle", str(self.directory), self.name)
        self._process = Process(argv, self.directory / "log")
        return self._process

    def run(self) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        argv = (*self._runc(), "run", "--bundle", str(self.directory), self.name)
        return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)

    def command(self, *argv: str, check: bool = True) -> str:
        """Run a command inside, as `kubectl exec` would."""
        return run(*self._runc(), "exec", self.name, *argv, check=check)

    def pid(self) -> int:
        """Return the process id that its first process has outside."""
        return int(json.loads(run(*self._runc(), "state", self.name))["pid"])

    def status(self) -> dict[str, str]:
        """Return what the kernel tells of its first process."""
        lines = Path(f"/proc/{self.pid()}/status").read_text().splitlines()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}

    def terminate(self) -> None:
        """Send SIGTERM to its first process."""
        os.kill(self.pid(), signal.SIGTERM)

    def remove(self) -> None:
        """End it if it runs, and remove what the runtime keeps of it."""
        run(*self._runc(), "delete", "--force", self.name, check=False)
        if self._process is not None:
            self._process.wait(REMOVE_TIMEOUT)

    def _runc(self) -> tuple[str, ...]:
        return ("runc", "--root", str(self.state))

    def _spec(self) -> Json:
        environment = {"HOST_IP": str(self.host.v4.ip), **self.environment}
        return {
            "ociVersion": "1.0.2",
            "hostname": self.host.name,
            "root": {"path": str(self.image.root), "readonly": True},
            "process": {
                "user": {"uid": self.uid, "gid": self.uid},
                "cwd": "/",
                "args": [*self.image.entry_point, *self.arguments],
                "env": [*self.image.config["Env"], *(f"{k}={v}" for k, v in environment.items())],
                "noNewPrivileges": True,
                "capabilities": {
                    kind: list(self.capabilities) for kind in ("bounding", "effective", "permitted")
                },
            },
            "mounts": [*_mounts(), *(_bind(*pair) for pair in self.binds.items())],
            "linux": {
                "namespaces": [
                    *({"type": kind} for kind in ("pid", "ipc", "uts", "mount", "cgroup")),
                    {"type": "network", "path": str(self.host.namespace.file)},
                ],
                "devices": [TUN],
                "resources": {
                    "devices": [
                        {"allow": False, "access": "rwm"},
                        {"allow": True, "type": "c", "major": 10, "minor": 200, "access": "rwm"},
                    ]
                },
            },
        }


def _mounts() -> list[Json]:
    quiet = ["nosuid", "noexec", "nodev"]
    return [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {
            "destination": "/dev",
            "type": "tmpfs",
            "source": "tmpfs",
            "options": ["nosuid", "mode=755", "size=64k"],
        },
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": [*quiet, "ro"]},
        {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": quiet},  # noqa: S108
    ]


def _bind(where: str, source: Path) -> Json:
    inside, _, mode = where.partition(":")
    options = ["bind", mode or "rw", "nosuid", "nodev"]
    return {"destination": inside, "type": "bind", "source": str(source), "options": options}
