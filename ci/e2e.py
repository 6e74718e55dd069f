"""Tests the chart on a cluster of this machine: install, mesh, traffic, faults, upgrade, removal.

Root runs it. Everything lives in namespaces and a directory of its own, and is gone at the end.
"""

import argparse
import os
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ci import e2e_steps
from ci.cluster import loan
from ci.cluster.cluster import Cluster
from ci.cluster.components import CNI_PROGRAMS
from ci.cluster.errors import ClusterError
from ci.cluster.kubernetes import default_directory, provide
from ci.cluster.machine import read_sysctls
from ci.cluster.remains import load, remove
from ci.deploy import DeployError
from ci.e2e_bench import NODES, STATE, TOP, WISH, Bench
from ci.e2e_report import Step
from ci.toolchain import TOOLS, ToolError, default_cache, read_pin

IMAGE: Final = TOP / ".cache" / "image" / "zerotier-k8s-link.oci.tar"
# /var/tmp: images are unpacked there, and /tmp may be memory.
PLACE: Final = "/var/tmp"  # noqa: S108 - mkdtemp makes the name
COMMANDS: Final = {
    "containerd": "containerd",
    "ctr": "containerd",
    "ip": "iproute2",
    "nft": "nftables",
    "nsenter": "util-linux",
    "ping": "iputils-ping",
    "runc": "runc",
    "sysctl": "procps",
    "unshare": "util-linux",
}
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


def find_missing(image: Path, helm: Path) -> list[str]:
    """Return what this machine, or user, lacks, as sentences."""
    missing = [
        f"the command {command} (package {package})"
        for command, package in COMMANDS.items()
        if not shutil.which(command)
    ]
    if os.geteuid() != 0:
        missing.append("root: nodes have control groups and mounts of their own")
    if not Path(CNI_PROGRAMS, "ptp").exists():
        missing.append(f"{CNI_PROGRAMS}/ptp (package containernetworking-plugins)")
    if not Path("/dev/net/tun").exists():
        missing.append("/dev/net/tun (modprobe tun; in a container: --device /dev/net/tun)")
    if not image.exists():
        missing.append(f"the image, {image} (make image)")
    if not helm.exists():
        missing.append(f"helm, {helm} (make tools)")
    return missing


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
    config = cluster.environment()["KUBECONFIG"]
    kubectl = cluster.outside(cluster.programs["kubectl"], "--kubeconfig", config)
    helm = cluster.outside(bench.helm, "--kubeconfig", config)
    print("\nIt stays up. To use it, as root:")
    print("  alias kubectl=" + shlex.quote(shlex.join(kubectl)))
    print("  alias helm=" + shlex.quote(shlex.join(helm)))
    print(f"  kubectl -n {WISH.namespace} get pods -o wide")
    print("  " + shlex.join([*cluster.enter_node(NODES[0]), "ip", "-br", "address"]))
    print(f"Logs: {cluster.directory}/*/*.log. To end it:")
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


def try_chart(image: Path, helm: Path, *, keep: bool) -> int:
    """Do it all; return the exit status."""
    run = Run()
    before = None if loan.users() else look_around()  # beside another bench, it proves nothing
    programs = provide(default_directory(os.environ))
    signal.alarm(LIMIT)
    directory = Path(tempfile.mkdtemp(prefix="ztbench-", dir=PLACE))
    directory.chmod(0o755)  # pods of other users read below it
    cluster = Cluster(directory, programs, NODES, extra=(STATE,))
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
    own = "no process, mount, namespace, control group"
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
        helm = default_cache(os.environ).program(read_pin(TOOLS / "helm"))
        if missing := find_missing(options.image, helm):
            print("e2e: FAILED, missing here:", *missing, sep="\n  ")
            return 1
        signal.signal(signal.SIGTERM, interrupt)
        signal.signal(signal.SIGHUP, interrupt)
        signal.signal(signal.SIGALRM, give_up)
        return try_chart(options.image, helm, keep=options.keep)
    except FAULTS as error:
        print(f"e2e: FAILED, {error}")
        return 1
    except KeyboardInterrupt:
        print("e2e: interrupted")
        return 130


if __name__ == "__main__":
    sys.exit(main())
