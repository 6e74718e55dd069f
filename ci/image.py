"""Builds the container image: `make image`.

With docker or podman where one of them answers, else with buildah, which needs no daemon.
BASE=IMAGE names another base image, BASE=debootstrap makes one from Debian's packages where there
is no registry. Bases, wheels and buildah's layers are kept in ~/.cache/zerotier-k8s-link
(XDG_CACHE_HOME), so that only the first build takes its time.
"""

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TOP: Final = Path(__file__).parents[1]
NAME: Final = "localhost/zerotier-k8s-link:dev"
OUT: Final = TOP / ".cache" / "image" / "zerotier-k8s-link.oci.tar"
WHEELS: Final = TOP / ".cache" / "image" / "wheels"
LOCKS: Final = (TOP / "agent" / "requirements.lock", TOP / "docker" / "build.lock")
REGISTRY_BASE: Final = "docker.io/library/python:3.11-slim-bookworm"
PYTHON: Final = "3.11"
"""Of both bases: the wheels are for it."""
MACHINES: Final = {"amd64": "x86_64", "arm64": "aarch64"}
GLIBC: Final = ("manylinux2014", "manylinux_2_17", "manylinux_2_28", "manylinux_2_34")
"""Wheels that Debian 12 can run."""
SUITE: Final = "bookworm"
PACKAGES: Final = (
    "python3-minimal",
    "libpython3-stdlib",
    "ca-certificates",
    "libstdc++6",
    "nftables",
)
"""numpy is written in C++, and its wheel does not bring the library; the firewall runs `nft`."""
MAX_IMAGES: Final = 60
"""In buildah's store, layers that are kept for the next build included."""
UNREAD: Final = ("doc", "info", "locale", "man", "lintian", "bug")
"""Folders below /usr/share that nobody reads in a container."""


class BuildError(Exception):
    """The image cannot be built; the message says what to do."""


@dataclass(frozen=True)
class Plan:
    """What is to be built, with what."""

    tool: str
    base: str
    name: str
    out: Path
    arch: str
    cache: Path


def say(text: str) -> None:
    """Tell a person what is going on."""
    sys.stderr.write(f"image: {text}\n")


def run(*argv: str | Path, quiet: bool = False) -> str:
    """Run a command and return what it printed; its complaints go to the terminal."""
    try:
        done = subprocess.run(
            [str(word) for word in argv],
            check=True,
            text=True,
            cwd=TOP,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if quiet else None,
        )
    except FileNotFoundError as error:
        raise BuildError(f"{argv[0]} is missing: ci/packages image") from error
    except subprocess.CalledProcessError as error:
        raise BuildError(f"{' '.join(str(word) for word in argv[:3])} failed") from error
    return done.stdout.strip()


def answers(tool: str) -> bool:
    """Tell whether a tool works: a docker client is often there without its daemon."""
    try:
        return subprocess.run([tool, "info"], capture_output=True, timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def pick_tool() -> str:
    """Return the first tool that works."""
    for tool in ("docker", "podman"):
        if answers(tool):
            return tool
    if shutil.which("buildah") is None:
        raise BuildError("neither docker nor podman answers, and buildah is missing")
    return "buildah"


def host_arch() -> str:
    """Return this machine's architecture by its name among images."""
    machine = platform.machine()
    for arch, name in MACHINES.items():
        if name == machine:
            return arch
    raise BuildError(f"no image for {machine}: there are {', '.join(MACHINES)}")


# -- wheels --------------------------------------------------------------------------------------


def gather_wheels(arch: str, cache: Path) -> None:
    """Have the wheels of the lock files at hand, every one with its hash checked."""
    key = digest(*(lock.read_bytes() for lock in LOCKS), PYTHON.encode())
    kept = cache / "wheels" / f"{arch}-{key}"
    if not kept.exists():
        say(f"downloading wheels for {arch}")
        fresh = kept.with_suffix(f".{os.getpid()}")
        for lock in LOCKS:
            download(lock, arch, fresh)
        settle(fresh, kept)
    shutil.rmtree(WHEELS / arch, ignore_errors=True)
    shutil.copytree(kept, WHEELS / arch)


def download(lock: Path, arch: str, target: Path) -> None:
    """Download what a lock file names, for the image's Python and not for ours."""
    platforms = [f"--platform={glibc}_{MACHINES[arch]}" for glibc in GLIBC]
    run(
        *(sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"),
        *("--require-hashes", "--no-deps", "--only-binary=:all:", "--implementation=cp"),
        *(f"--python-version={PYTHON}", *platforms, "-d", str(target), "-r", str(lock)),
    )


def settle(fresh: Path, kept: Path) -> None:
    """Give what was made its name, unless another build was faster."""
    try:
        fresh.rename(kept)
    except OSError:
        if not kept.exists():
            raise
        shutil.rmtree(fresh)


def digest(*parts: bytes) -> str:
    """Return a short name for content."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


# -- a base without a registry -------------------------------------------------------------------


def base_recipe(arch: str, tar: Path) -> tuple[str, ...]:
    """Return the command that makes a small Debian with Python, as a tar."""
    compile_all = (
        f"python3 -m compileall -q -f --invalidation-mode unchecked-hash /usr/lib/python{PYTHON}"
    )
    return (
        "mmdebstrap",
        "--quiet",
        "--variant=essential",
        f"--architectures={arch}",
        f"--include={','.join(PACKAGES)}",
        *(f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in UNREAD),
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        # Checked by nobody later on: the times of a layer's files are not those of the sources.
        f'--customize-hook=chroot "$1" {compile_all} /usr/lib/python{PYTHON}',
        '--customize-hook=rm -rf "$1"/var/cache/* "$1"/var/log/* "$1"/var/lib/apt',
        SUITE,
        str(tar),
    )


def make_base(plan: Plan) -> str:
    """Return the name of a base image made of Debian's packages, as the tool knows it."""
    key = digest(" ".join(base_recipe(plan.arch, Path("base.tar"))).encode())
    tar = plan.cache / "base" / f"{plan.arch}-{key}.tar"
    if not tar.exists():
        if not shutil.which("mmdebstrap"):
            raise BuildError("mmdebstrap is missing, which makes the base: ci/packages image")
        say(f"making a base of Debian {SUITE}, which takes a minute or two")
        tar.parent.mkdir(parents=True, exist_ok=True)
        fresh = tar.with_suffix(f".{os.getpid()}.tar")
        run(*base_recipe(plan.arch, fresh))
        settle(fresh, tar)
    name = f"localhost/zerotier-k8s-link-base:{plan.arch}-{key}"
    if plan.tool == "buildah":
        _import_with_buildah(plan, tar, name)
    elif plan.tool == "podman":
        run("podman", "import", "-q", "--os", "linux", "--arch", plan.arch, tar, name)
    else:
        run("docker", "import", "--platform", f"linux/{plan.arch}", tar, name)
    return name


def _import_with_buildah(plan: Plan, tar: Path, name: str) -> None:
    buildah = buildah_command(plan.cache)
    if run(*buildah, "images", "-q", "--filter", f"reference={name}", quiet=True):
        return
    container = run(*buildah, "from", "--arch", plan.arch, "scratch")
    try:
        run(*buildah, "add", "-q", container, tar, "/")
        run(*buildah, "commit", "-q", container, name)
    finally:
        run(*buildah, "rm", container)


def buildah_command(cache: Path) -> tuple[str, ...]:
    """Return buildah with a store of its own: the machine's is not ours to fill."""
    store = cache / "containers"
    options = ["--root", str(store), "--runroot", str(store / "run")]
    driver = os.environ.get("STORAGE_DRIVER", "overlay")
    if driver == "overlay":  # without a mount that stays when buildah has ended
        options += ["--storage-opt", "overlay.skip_mount_home=true"]
    return ("buildah", *options, "--storage-driver", driver)


# -- the image -----------------------------------------------------------------------------------


def build_arguments(plan: Plan, base: str) -> tuple[str, ...]:
    """Return the arguments that all tools share."""
    values = {
        "BASE": base,
        "TARGETARCH": plan.arch,
        "VERSION": version(),
        "REVISION": revision(),
        "CREATED": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(commit_time())),
    }
    pairs = (f"--build-arg={key}={value}" for key, value in values.items())
    return (*pairs, "--platform", f"linux/{plan.arch}", "-f", "docker/Dockerfile", "-t", plan.name)


def version() -> str:
    """Return the version of the package."""
    content = tomllib.loads((TOP / "agent" / "pyproject.toml").read_text())
    return str(content["project"]["version"])


def revision() -> str:
    """Return the commit, marked where files differ from it."""
    try:
        return run(
            "git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*", quiet=True
        )
    except BuildError:
        return "unknown"


def commit_time() -> int:
    """Return the seconds of the last commit: what is built twice is the same twice."""
    try:
        return int(run("git", "log", "-1", "--format=%ct", quiet=True))
    except (BuildError, ValueError):
        return 0


def build(plan: Plan) -> None:
    """Build the image and write its archive."""
    gather_wheels(plan.arch, plan.cache)
    base = make_base(plan) if plan.base == "debootstrap" else plan.base
    plan.out.parent.mkdir(parents=True, exist_ok=True)
    plan.out.unlink(missing_ok=True)
    say(f"building {plan.name} on {base} with {plan.tool}")
    shared = build_arguments(plan, base)
    if plan.tool == "buildah":
        buildah = buildah_command(plan.cache)
        stamp = ("--timestamp", str(commit_time()))
        flags = ("-q", "--isolation", "chroot", "--layers", "--force-rm")
        run(*buildah, "bud", *flags, *stamp, *shared, ".")
        run(*buildah, "push", "-q", plan.name, f"oci-archive:{plan.out}:{plan.name}")
        _prune(buildah)
    elif plan.tool == "podman":
        run("podman", "build", "-q", *shared, ".")
        run("podman", "save", "-q", "--format", "oci-archive", "-o", plan.out, plan.name)
    else:
        run("docker", "build", "-q", *shared, ".")
        run("docker", "save", "-o", plan.out, plan.name)
    say(f"{plan.out.relative_to(TOP)}: {plan.out.stat().st_size / 1e6:.0f} MB")


def _prune(buildah: Sequence[str]) -> None:
    """Keep the store from growing with every build: layers are made again where they are missed."""
    if len(run(*buildah, "images", "--all", "--quiet").split()) > MAX_IMAGES:
        run(*buildah, "rmi", "--prune", "--force")


def cache_directory() -> Path:
    """Return where things are kept that outlive a checkout."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "zerotier-k8s-link"


def parse(argv: Sequence[str]) -> Plan:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--base", default=os.environ.get("BASE", ""))
    parser.add_argument("--name", default=NAME)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--arch", choices=MACHINES, default=None)
    parser.add_argument("--tool", choices=("docker", "podman", "buildah"), default=None)
    read = parser.parse_args(argv)
    tool = read.tool or pick_tool()
    base = read.base or ("debootstrap" if tool == "buildah" else REGISTRY_BASE)
    return Plan(tool, base, read.name, read.out, read.arch or host_arch(), cache_directory())


def main(argv: Sequence[str]) -> int:
    """Build; exit status 1 with a sentence where that cannot be."""
    start = time.monotonic()
    try:
        build(parse(argv))
    except BuildError as error:
        say(str(error))
        return 1
    say(f"took {time.monotonic() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
