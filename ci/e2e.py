"""Tests the chart on a cluster of this machine: install, mesh, traffic, faults, upgrade, removal.

On kind where docker answers, else in namespaces of its own (`--cluster` chooses). Root runs it, and
everything is gone at the end.
"""

import argparse
import os
import secrets
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ci import e2e_steps
from ci.cluster import loan
from ci.cluster.cluster import Cluster
from ci.cluster.components import CNI_PROGRAMS
from ci.cluster.errors import ClusterError
from ci.cluster.kind import KindCluster
from ci.cluster.kubernetes import Programs, default_directory, provide
from ci.cluster.machine import read_sysctls
from ci.cluster.own import OwnCluster
from ci.cluster.remains import load, remove
from ci.deploy import DeployError
from ci.e2e_bench import STATE, TOP, Bench
from ci.e2e_report import Step
from ci.image import answers
from ci.toolchain import TOOLS, ToolError, default_cache, read_pin

IMAGE: Final = TOP / ".cache" / "image" / "zerotier-k8s-link.oci.tar"
# Not /tmp, which may be memory: images are unpacked there.
PLACE: Final = "/var/tmp"  # noqa: S108 - the name below it is drawn
COMMANDS: Final = {
    "ip": "iproute2",
    "nft": "nftables",
    "nsenter": "util-linux",
    "ping": "iputils-ping",
}
OWN_COMMANDS: Final = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "sysctl": "procps",
    "unshare": "util-linux",
}
NODES: Final = ("node-1", "node-2", "node-3")
# Where programs of Kubernetes make directories if they are not told otherwise.
HABITS: Final = (
    "/etc/cni",
    "/etc/kubernetes",
    "/opt/cni",
    "/opt/containerd",
    "/root/.kube",
    "/run/containerd",
    "/usr/libexec/kubernetes",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
    STATE,
)
FAULTS: Final = (ClusterError, DeployError, ToolError, OSError, ValueError, KeyError)
LIMIT: Final = 1800  # seconds for all but the removal, and what is built before


def find_missing(kind: str, image: Path, tools: Mapping[str, Path]) -> list[str]:
    """Return what this machine, or user, lacks for such a cluster, as sentences."""
    commands = COMMANDS | (OWN_COMMANDS if kind == OwnCluster.kind else {})
    missing = [
        f"the command {command} (package {package})"
        for command, package in commands.items()
        if not shutil.which(command)
    ]
    if os.geteuid() != 0:
        missing.append("root: nodes have networks of their own, and are looked at from inside")
    if kind == OwnCluster.kind and not Path(CNI_PROGRAMS, "ptp").exists():
        missing.append(f"{CNI_PROGRAMS}/ptp (package containernetworking-plugins)")
    if not Path("/dev/net/tun").exists():
        missing.append("/dev/net/tun (modprobe tun; in a container: --device /dev/net/tun)")
    if not image.exists():
        missing.append(f"the image, {image} (make image)")
    missing += [f"{name}, {file} (make tools)" for name, file in tools.items() if not file.exists()]
    return missing


def choose(asked: str | None) -> str:
    """Return the kind of cluster: the one that was asked for, else what this machine allows."""
    if asked:
        return {"kind": KindCluster.kind, "own": OwnCluster.kind}[asked]
    return KindCluster.kind if answers("docker") else OwnCluster.kind


def find_kubectl() -> str:
    """Return the user's kubectl, or the bench's, where that is built."""
    built = Programs(default_directory(os.environ))["kubectl"]
    found = shutil.which("kubectl") or (built if Path(built).exists() else None)
    if found is None:
        raise ClusterError("kubectl is not in PATH, which kind needs; CLUSTER=own does without")
    return found


def make_cluster(kind: str, kind_program: Path) -> Cluster:
    """Return a cluster that has not begun yet, in a directory of its own."""
    if kind == KindCluster.kind:
        return KindCluster(make_directory(), str(kind_program), find_kubectl())
    programs = provide(default_directory(os.environ))
    return OwnCluster(make_directory(), programs, NODES, extra=(STATE,))


def make_directory() -> Path:
    """Make a directory whose name nothing else has, and which a host may have for its own."""
    directory = Path(PLACE, f"ztbench-{secrets.token_hex(4)}")
    directory.mkdir(mode=0o755)  # pods of other users read below it
    return directory


class Run:
    """Takes the steps one by one, says what came out of each, and stops at the first that fails."""

    def __init__(self) -> None:
        self.start: Final = time.monotonic()
        self.steps: Final[list[Step]] = []

    def take(self, name: str, step: Callable[[], str]) -> bool:
        """Take a step; its detail, or its complaint, is printed with its time."""
        begin = time.monotonic()
        try:
            detail, is_passed = step(), True
        except FAULTS as error:
            detail, is_passed = str(error) or repr(error), False
        done = Step(name, time.monotonic() - begin, is_passed, detail)
        self.steps.append(done)
        print(done, flush=True)
        return is_passed

    @property
    def is_passed(self) -> bool:
        return all(step.is_passed for step in self.steps)

    def verdict(self) -> str:
        """Say in a line what came out of it all."""
        failed = [step.name for step in self.steps if not step.is_passed]
        seconds = time.monotonic() - self.start
        if failed:
            return f"e2e: FAILED after {seconds:.0f} s: {', '.join(failed)}"
        return f"e2e: ok, {len(self.steps)} steps in {seconds:.0f} s"


def show_use(bench: Bench) -> None:
    """Say how to use a cluster that stays, and how to end it."""
    cluster = bench.cluster
    helm = cluster.outside(bench.helm, "--kubeconfig", str(cluster.kubeconfig))
    print("\nIt stays up. To use it, as root:")
    print("  alias kubectl=" + shlex.quote(shlex.join(cluster.kubectl_command())))
    print("  alias helm=" + shlex.quote(shlex.join(helm)))
    print(f"  kubectl -n {bench.wish.namespace} get pods -o wide")
    print("  " + shlex.join([*cluster.enter_node(cluster.nodes[0]), "ip", "-br", "address"]))
    print(f"Logs: {cluster.where_logs_are()}. To end it:")
    own = str(Path(__file__).resolve())
    print("  " + shlex.join([sys.executable, own, "--end", str(cluster.directory)]))


def take_all(run: Run, bench: Bench, image: Path, *, keep: bool) -> None:
    """Bring the cluster up and take all steps; with `keep`, those that leave the release."""
    cluster = bench.cluster
    if not run.take("cluster", lambda: e2e_steps.bring_up(cluster, image)):
        return
    for name, step, is_removal in e2e_steps.STEPS:
        if keep and is_removal:
            continue
        if not run.take(name, lambda: step(bench)):  # noqa: B023 - called in this round
            print(bench.words(), flush=True)
            return


def try_chart(image: Path, helm: Path, new_cluster: Callable[[], Cluster], *, keep: bool) -> int:
    """Do it all; return the exit status."""
    run = Run()
    before = None if loan.users() else look_around()  # beside another bench, it proves nothing
    cluster = new_cluster()
    signal.alarm(LIMIT)
    bench = Bench(cluster, str(helm))
    kept = False
    try:
        take_all(run, bench, image, keep=keep)
        kept = keep
    finally:
        signal.alarm(0)
        if kept:
            cluster.keep()
            show_use(bench)
        else:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)  # the removal is not to be interrupted
            run.take("nothing is left on this machine", lambda: end(cluster, before))
    print(f"\n{run.verdict()}")
    return 0 if run.is_passed else 1


def look_around() -> frozenset[str]:
    """Describe those parts of the machine that a cluster could change."""
    sysctls = [f"sysctl {name} = {value}" for name, value in read_sysctls().items()]
    return frozenset([*sysctls, *(path for path in HABITS if Path(path).exists())])


def end(cluster: Cluster, before: frozenset[str] | None) -> str:
    """Remove the cluster; ClusterError with what could not be."""
    left = cluster.end()
    is_alone = before is not None and not loan.users()
    if before is not None and is_alone:
        left += sorted(look_around() - before)
    if left:
        raise ClusterError(f"left, with {cluster.directory}: {'; '.join(left)}")
    own = "no process, mount, namespace, control group, container"
    return f"{own}, directory; sysctls as they were" if is_alone else f"{own}; not the only bench"


def interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """End by a signal as by Ctrl-C."""
    raise KeyboardInterrupt


def give_up(number: int, frame: FrameType | None) -> NoReturn:
    """End because it takes too long."""
    raise ClusterError(f"not done after {LIMIT} s")


def main() -> int:
    """Read the options, look for what is needed, run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--image", type=Path, default=IMAGE, help="the archive of `make image`")
    parser.add_argument("--cluster", choices=("kind", "own"), help="of kind, or of namespaces")
    parser.add_argument("--keep", action="store_true", help="leave it up, and say how to use it")
    parser.add_argument("--end", type=Path, metavar="DIR", help="end what --keep left up")
    options = parser.parse_args()
    os.environ["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
    os.environ["LC_ALL"] = "C.UTF-8"
    try:
        if options.end:
            directory = options.end.resolve()
            left = remove(directory, load(directory))
            print("\n".join(["e2e: left:", *left] if left else [f"e2e: {directory} has ended"]))
            return 1 if left else 0
        kind = choose(options.cluster)
        names = ("helm", "kind") if kind == KindCluster.kind else ("helm",)
        cache = default_cache(os.environ)
        tools = {name: cache.program(read_pin(TOOLS / name)) for name in names}
        if missing := find_missing(kind, options.image, tools):
            print("e2e: FAILED, missing here:", *missing, sep="\n  ")
            return 1
        signal.signal(signal.SIGTERM, interrupt)
        signal.signal(signal.SIGHUP, interrupt)
        signal.signal(signal.SIGALRM, give_up)
        return try_chart(
            options.image,
            tools["helm"],
            lambda: make_cluster(kind, tools.get("kind", Path())),
            keep=options.keep,
        )
    except FAULTS as error:
        print(f"e2e: FAILED, {error}")
        return 1
    except KeyboardInterrupt:
        print("e2e: interrupted")
        return 130


if __name__ == "__main__":
    sys.exit(main())
