"""Builds the tools that check the chart, pinned, into a cache that outlives the checkout.

Each program of Go has a module of its own in ci/tools, since one for all would force one version
of what they share on them; programs of Python have one lock file for all. What is built is kept
under the digest of its pins: a second run finds it, and other checkouts find it, too.

    python ci/toolchain.py              build what is missing
    python ci/toolchain.py --path helm  print where a program is; exit status 1 where it is not
"""

import argparse
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ci.schemas import write_schemas

TOOLS: Final = Path(__file__).with_name("tools")
PYTHON_LOCK: Final = TOOLS / "requirements.lock"
PROGRAMS: Final = ("helm", "helm-unittest", "chart-testing", "kubeconform", "helm-docs", "kind")
KUBERNETES: Final = ("1.29.0", "1.33.0", "1.36.0")
"""The oldest that the chart is for, the newest, and one between: their schemas are kept."""

PROGRESS_SECONDS: Final = 20


class ToolError(Exception):
    """A tool cannot be had; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A program of Go as its module in ci/tools names it."""

    name: str
    package: str
    version: str
    go: str
    flags: str
    """For the linker: some programs are told their version by it."""
    digest: str

    @property
    def program(self) -> str:
        """The file's name: the last part of the package's."""
        return self.package.rpartition("/")[2]


def read_pin(directory: Path) -> Pin:
    """Read a module of ci/tools: one `tool` line, and the module that it comes from."""
    module = (directory / "go.mod").read_text()
    go = re.search(r"^go ([\d.]+)$", module, re.MULTILINE)
    tool = re.search(r"^tool (\S+)$", module, re.MULTILINE)
    if not go or not tool:
        raise ToolError(f"{directory}/go.mod: no `go` or no `tool` line")
    package = tool[1]
    required = re.findall(r"^(?:require |\t)(\S+) (v\S+)", module, re.MULTILINE)
    owners = [(name, version) for name, version in required if f"{package}/".startswith(f"{name}/")]
    if not owners:
        raise ToolError(f"{directory}/go.mod: nothing required has {package}")
    version = max(owners, key=lambda owner: len(owner[0]))[1]
    told = directory / "ldflags"
    flags = " ".join(["-s -w", *(told.read_text().split("\n") if told.exists() else ())]).strip()
    content = b"".join((directory / name).read_bytes() for name in ("go.mod", "go.sum"))
    return Pin(directory.name, package, version, go[1], flags, _digest(content + flags.encode()))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Cache:
    """Where things are once they are built."""

    top: Path

    def program(self, pin: Pin) -> Path:
        """Return the file of a program of Go."""
        name = f"{pin.name}-{pin.version}-{platform.machine()}-{pin.digest}"
        return self.top / name / pin.program

    def python(self) -> Path:
        """Return the virtual environment."""
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return self.top / f"python-{version}-{_digest(PYTHON_LOCK.read_bytes())}"

    def schemas(self) -> Path:
        """Return the folder of schemas."""
        script = Path(__file__).with_name("schemas.py").read_bytes()
        pins = PYTHON_LOCK.read_bytes() + script + repr(KUBERNETES).encode()
        return self.top / f"schemas-{_digest(pins)}"


def default_cache(environment: Mapping[str, str]) -> Cache:
    """Return the cache of this user."""
    base = environment.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Cache(Path(base) / "zerotier-k8s-link" / "tools")


def check_go(output: str, pin: Pin) -> None:
    """Refuse a Go that is older than a module asks for; `output` is that of `go env GOVERSION`."""
    found = re.match(r"go(\d[\d.]*)", output)
    if not found:
        raise ToolError(f"`go env GOVERSION` says {output.strip()!r}, which is no release of Go")
    have, want = ([*map(int, version.split("."))] for version in (found[1].strip("."), pin.go))
    if have < want:
        raise ToolError(f"{pin.name} {pin.version} needs Go {pin.go} or later; this is {found[1]}")


def say(text: str) -> None:
    """Tell people how far it is."""
    print(f"tools: {text}", flush=True)


@contextmanager
def alone(top: Path) -> Iterator[None]:
    """Let one process build at a time."""
    top.mkdir(parents=True, exist_ok=True)
    with (top / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build_program(pin: Pin, cache: Cache) -> None:
    """Build a program of Go where it is not there yet."""
    target = cache.program(pin)
    if target.exists():
        return
    go = shutil.which("go")
    if go is None:
        raise ToolError(f"go is not in PATH: Go {pin.go} or later builds {pin.name} {pin.version}")
    # CGO off: no C compiler; GOTOOLCHAIN: fetch no other Go; GOWORK: no workspace around us.
    environment = os.environ | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    version = output([go, "env", "GOVERSION"], environment)
    check_go(version, pin)
    begin = time.monotonic()
    say(f"{pin.name} {pin.version}: building")
    with tempfile.TemporaryDirectory(dir=cache.top, prefix=".build-") as scratch:
        for name in ("go.mod", "go.sum"):
            shutil.copy(TOOLS / pin.name / name, scratch)
        result = Path(scratch, "result")
        result.mkdir()
        options = ["-mod=readonly", "-trimpath", "-ldflags", pin.flags, "-v"]
        command = [go, "build", *options, "-o", str(result / pin.program), pin.package]
        watch_build(pin.name, command, scratch, environment)
        result.rename(target.parent)
    megabytes = target.stat().st_size / 1e6
    say(f"{pin.name} {pin.version}: {megabytes:.0f} MB in {time.monotonic() - begin:.0f} s")


def output(command: list[str], environment: Mapping[str, str]) -> str:
    """Run a command and return what it prints; ToolError with its complaint where it fails."""
    try:
        return subprocess.run(
            command, env=environment, check=True, capture_output=True, text=True
        ).stdout
    except subprocess.CalledProcessError as error:
        raise ToolError(f"{' '.join(command)}: {error.stderr.strip()}") from error


def watch_build(
    name: str, command: list[str], directory: str, environment: Mapping[str, str]
) -> None:
    """Run `go build -v`, which prints each package, and say every now and then how many it did."""
    begin = told = time.monotonic()
    lines: list[str] = []
    packages = 0
    with subprocess.Popen(
        command, cwd=directory, env=environment, text=True, stderr=subprocess.PIPE
    ) as process:
        for line in process.stderr or ():
            if re.fullmatch(r"[\w.~/-]+\n", line):
                packages += 1
            elif not line.startswith("go: downloading"):
                lines.append(line)
            if time.monotonic() - told >= PROGRESS_SECONDS:
                told = time.monotonic()
                say(f"{name}: {packages} packages after {told - begin:.0f} s")
    if process.returncode:
        raise ToolError(f"{name}: go build failed\n{''.join(lines)}")


def make_python(cache: Cache) -> None:
    """Make the virtual environment of the programs of Python where it is not there yet."""
    target = cache.python()
    done = target / ".complete"
    if done.exists():
        return
    say("yamllint, yamale, hadolint, schemas of Kubernetes: installing")
    output([sys.executable, "-m", "venv", "--clear", str(target)], os.environ)
    pip = [str(target / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    output([*pip, "install", "-q", "--require-hashes", "-r", str(PYTHON_LOCK)], os.environ)
    done.touch()


def make_schemas(cache: Cache) -> None:
    """Write the schemas of the Kubernetes API where they are not there yet."""
    target = cache.schemas()
    if target.exists():
        return
    packages = output(
        [
            str(cache.python() / "bin" / "python"),
            "-c",
            "import json, kubernetes_validate as k; print(json.dumps(list(k.__path__)))",
        ],
        os.environ,
    )
    source = Path(json.loads(packages)[0]) / "kubernetes-json-schema"
    with tempfile.TemporaryDirectory(dir=cache.top, prefix=".schemas-") as scratch:
        result = Path(scratch, "result")
        for version in KUBERNETES:
            write_schemas(source, version, result)
        result.rename(target)


def build_all(cache: Cache) -> None:
    """Build whatever is missing."""
    pins = [read_pin(TOOLS / name) for name in PROGRAMS]
    with alone(cache.top):
        make_python(cache)
        make_schemas(cache)
        for pin in pins:
            build_program(pin, cache)
    say(f"all in {cache.top}")


def main() -> int:
    """Build, or print the place of one program."""
    parser = argparse.ArgumentParser(description="Build the tools that check the chart.")
    parser.add_argument("--path", metavar="NAME", help="print where a program of ci/tools is")
    arguments = parser.parse_args()
    cache = default_cache(os.environ)
    try:
        if arguments.path is None:
            build_all(cache)
            return 0
        program = cache.program(read_pin(TOOLS / arguments.path))
    except (ToolError, OSError) as error:
        print(f"tools: {error}", file=sys.stderr)
        return 1
    print(program)
    return 0 if program.exists() else 1


if __name__ == "__main__":
    sys.exit(main())
