"""The programs of Kubernetes: one binary, built from the Go module proxy alone, kept by version.

Upstream's module cannot be installed by `go install`: its go.mod points the staging modules at
folders of its own tree. With these turned into the published modules of the same release, nothing
drifts from what upstream has pinned.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ci.cluster.errors import ClusterError
from ci.cluster.image import write_image
from ci.toolchain import alone, output, say, watch_build

VERSION: Final = "v1.36.3"
SOURCES: Final = Path(__file__).parent
COMPONENTS: Final = (
    "etcd",
    "kubectl",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
)
PAUSE_IMAGE: Final = "localhost/pause:1"
STAMP: Final = "sources.sha256"  # of what the binaries here were built from
_VERSION_PACKAGE: Final = "k8s.io/component-base/version"


@dataclass(frozen=True, slots=True)
class Programs:
    """A directory with everything that a cluster runs, besides what the system has."""

    directory: Path

    def __getitem__(self, name: str) -> str:
        return str(self.directory / name)

    @property
    def pause_archive(self) -> Path:
        return self.directory / "pause.tar"


def default_directory(environment: Mapping[str, str]) -> Path:
    """Return where the programs are kept: outside the checkout, so that others find them, too."""
    cache = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache, "zerotier-k8s-link", "kube", VERSION)


def seed_module(upstream: str, version: str) -> str:
    """Turn upstream's go.mod into one of a program outside of upstream's tree."""
    staging = "v0." + version.removeprefix("v1.")
    text = re.sub(r"(?m)^module .*", "module kube", upstream, count=1)
    text = re.sub(r"(?m)=> \./staging/src/(.*)$", rf"=> \1 {staging}", text)
    text = re.sub(r"(?m)^(\s+k8s\.io/[a-z-]+) v0\.0\.0$", rf"\1 {staging}", text)
    text = re.sub(r"(?ms)^godebug \(.*?^\)\n", "", text)  # may stand in the main module only
    text = re.sub(r"(?m)^godebug .*\n", "", text)
    return f"{text}\nrequire k8s.io/kubernetes {version}\n"


def linker_flags(version: str) -> str:
    """Return the flags that tell the components their version: they compare by it."""
    _, minor, _ = version.removeprefix("v").split(".")
    facts = {
        "gitVersion": version,
        "gitMajor": "1",
        "gitMinor": minor,
        "gitTreeState": "clean",
        "gitCommit": "none",
        "buildDate": "1970-01-01T00:00:00Z",
    }
    return "-s -w " + " ".join(f"-X {_VERSION_PACKAGE}.{k}={v}" for k, v in facts.items())


def sources_digest(sources: Path, version: str) -> str:
    """Return the digest of all that the binaries depend on, besides Go."""
    texts = [(sources / name / "main.go").read_text() for name in ("kube", "pause")]
    return hashlib.sha256("\0".join([version, linker_flags(version), *texts]).encode()).hexdigest()


def provide(directory: Path) -> Programs:
    """Return the programs, built where they are missing or where their sources have changed."""
    digest = sources_digest(SOURCES, VERSION)
    with alone(directory.parent):
        stamp = directory / STAMP
        if not stamp.exists() or stamp.read_text() != digest:
            _build(directory)
            stamp.write_text(digest)
    return Programs(directory)


def _build(directory: Path) -> None:
    go = shutil.which("go")
    if go is None:
        raise ClusterError("go is not in PATH: Go builds Kubernetes for the bench, once")
    # CGO off: static programs; GOTOOLCHAIN: fetch no other Go; GOWORK: no workspace around us.
    environment = os.environ | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".build-") as scratch:
        work, result = Path(scratch, "work"), Path(scratch, "result")
        work.mkdir()
        result.mkdir()
        say(f"pause and Kubernetes {VERSION}: building, ten minutes of one core")
        build = [go, "build", "-trimpath", "-ldflags", "-s -w", "-o", str(result / "pause")]
        output([*build, str(SOURCES / "pause" / "main.go")], environment)
        architecture = output([go, "env", "GOARCH"], environment).strip()
        write_image(result / "pause.tar", PAUSE_IMAGE, result / "pause", architecture)
        _lay_out(go, work, environment)
        options = ["-mod=mod", "-trimpath", "-ldflags", linker_flags(VERSION), "-v"]
        command = [go, "build", *options, "-o", str(result / "kube"), "."]
        watch_build("kubernetes", command, str(work), environment)
        for name in COMPONENTS:
            (result / name).symlink_to("kube")
        shutil.rmtree(directory, ignore_errors=True)
        result.rename(directory)
    say(f"Kubernetes {VERSION}: {(directory / 'kube').stat().st_size / 1e6:.0f} MB in {directory}")


def _lay_out(go: str, work: Path, environment: Mapping[str, str]) -> None:
    """Write the module that is built: our main, upstream's pins."""
    module = f"k8s.io/kubernetes@{VERSION}"
    upstream = Path(
        json.loads(output([go, "mod", "download", "-json", module], environment))["Dir"]
    )
    (work / "go.mod").write_text(seed_module((upstream / "go.mod").read_text(), VERSION))
    (work / "go.sum").write_text((upstream / "go.sum").read_text())
    shutil.copy(SOURCES / "kube" / "main.go", work)
