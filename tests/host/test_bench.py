"""Nodes of the bench as the kernel has them: what they see, what ends with them (ci/cluster).

Kubernetes takes minutes to build, so that its programs are stand-ins here; all around is real.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from ci.cluster import init, loan, machine
from ci.cluster.cluster import wait_for
from ci.cluster.errors import ClusterError
from ci.cluster.kubernetes import COMPONENTS, Programs
from ci.cluster.network import run
from ci.cluster.own import OwnCluster
from ci.cluster.processes import MARK, processes_of
from ci.cluster.remains import load

pytestmark = [
    pytest.mark.netadmin,
    pytest.mark.skipif(
        not machine.hierarchies()
        or not all(os.access(top, os.W_OK) for top in machine.hierarchies()),
        reason="needs control groups that may be written: root of the machine",
    ),
]

PATIENCE: Final = 30.0
OWN: Final = "/var/lib/ztlink-bench-test"
CONTAINERD: Final = """\
#!/bin/sh
[ "$1" != --version ] || { echo containerd example.org/containerd 1.6.20; exit; }
mkdir -p /run/containerd
exec python3 -c "
import signal, socket
socket.socket(socket.AF_UNIX).bind('/run/containerd/containerd.sock')
signal.pause()"
"""
SCRIPT: Final = """
import sys
from pathlib import Path
from ci.cluster.own import OwnCluster
from ci.cluster.kubernetes import Programs

OwnCluster(Path(sys.argv[1]), Programs(Path(sys.argv[2])), ["a"], [sys.argv[3]]).begin()
print("up", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Make programs that wait; kubectl says yes, containerd listens."""
    directory = tmp_path / "programs"
    directory.mkdir()
    scripts = dict.fromkeys(COMPONENTS, "#!/bin/sh\nsleep 600\n")
    scripts |= {"kubectl": "#!/bin/sh\n", "containerd": CONTAINERD}
    for name, script in scripts.items():
        (directory / name).write_text(script)
        (directory / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}:/usr/sbin")
    return Programs(directory)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return the directory of a bench: its name is in the names of all that is made."""
    path = tmp_path / f"ztbench{os.getpid()}"
    path.mkdir()
    return path


@pytest.fixture
def cluster(
    directory: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> Iterator[OwnCluster]:
    """Run a cluster of two nodes."""
    monkeypatch.setenv(MARK, "")  # `begin` sets it; this takes it away again
    cluster = OwnCluster(directory, programs, ["a", "b"], [OWN])
    try:
        cluster.begin()
        for name in ("a", "b"):
            wait_up(cluster, name)
        yield cluster
    finally:
        assert cluster.end() == []


def wait_up(cluster: OwnCluster, name: str) -> None:
    """Wait until a node's kubelet has been started."""

    def is_up() -> bool:
        try:
            return "programs/kubelet" in cluster.inside(name, "ps", "-ww", "-e", "--format=args")
        except ClusterError:
            return False

    wait_for(f"{name} up", is_up, PATIENCE)


def traces(name: str) -> list[str]:
    """Return what there is of a bench on the machine, besides its directory."""
    groups = [str(top / name) for top in machine.hierarchies() if (top / name).exists()]
    namespaces = [str(path) for path in Path("/run/netns").glob(f"{name}-*")]
    # Where another bench is up, mount points are given back with the last.
    return groups + namespaces + ([OWN] if Path(OWN).exists() and not loan.users() else [])


def test_a_node_has_its_own_name_and_processes(cluster: OwnCluster) -> None:
    assert cluster.inside("a", "hostname") == "a\n"
    assert "plan.json" in cluster.inside("a", "ps", "-ww", "-p", "1", "--format=args")


def test_a_node_sees_its_control_groups_as_the_root(cluster: OwnCluster) -> None:
    groups = [line.split(":")[2] for line in cluster.inside("a", "cat", "/proc/1/cgroup").split()]
    used = [group for group in groups if group not in ("/", "/init")]
    assert len(used) <= 1  # version 2 beside version 1, which nobody uses


def test_what_a_node_writes_is_on_its_own_disk(cluster: OwnCluster) -> None:
    cluster.inside("a", "touch", f"{OWN}/here")
    assert Path(f"{cluster.disk('a')}{OWN}/here").exists()
    assert cluster.inside("b", "ls", OWN) == ""
    assert list(Path(OWN).iterdir()) == []


def test_nodes_reach_each_other_and_the_control_plane(cluster: OwnCluster) -> None:
    for address in ("10.250.0.12", "10.250.0.1"):
        # The kernel takes its time until a new cable carries, and ping complains of the first.
        assert "1 received" in cluster.on_network("a", "ping", "-c1", "-w20", address)


def test_power_takes_all_processes_and_leaves_the_disk(cluster: OwnCluster) -> None:
    cluster.inside("a", "touch", f"{OWN}/here")
    before = len(cluster.processes())
    cluster.stop_node("a")
    assert len(cluster.processes()) < before
    with pytest.raises(ClusterError, match="a is not on"):
        cluster.inside("a", "true")
    cluster.start_node("a")
    wait_up(cluster, "a")
    assert cluster.inside("a", "ls", OWN) == "here\n"


def test_a_bench_leaves_nothing(directory: Path, cluster: OwnCluster) -> None:
    assert traces(directory.name) != []
    assert cluster.end() == []
    assert traces(directory.name) == []
    assert processes_of(directory) == []
    assert not directory.exists()


def test_a_bench_whose_script_was_killed_leaves_nothing(
    directory: Path, programs: Programs
) -> None:
    command = [sys.executable, "-c", SCRIPT, str(directory), str(programs.directory), OWN]
    script = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert script.stdout is not None
    try:
        assert script.stdout.readline() == "up\n"
        assert load(directory).name == directory.name
    finally:
        script.send_signal(signal.SIGKILL)
        script.communicate()
    wait_for("the end of the bench", lambda: not directory.exists(), PATIENCE)
    assert traces(directory.name) == []
    assert processes_of(directory) == []


def test_a_command_that_fails_says_why() -> None:
    with pytest.raises(ClusterError, match=r"^sh -c echo no >&2; false: no$"):
        run("sh", "-c", "echo no >&2; false")


def test_a_command_that_is_not_there_is_named() -> None:
    with pytest.raises(ClusterError, match="surely-not-here is not in PATH"):
        run("surely-not-here")


def test_a_command_without_an_end_is_given_up() -> None:
    with pytest.raises(ClusterError, match="no end after 0 s: sleep 60"):
        run("sleep", "60", timeout=0.01)


def test_the_next_program_starts_when_the_one_before_serves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    served = tmp_path / "served"
    program = {
        "name": "server",
        "command": ["sh", "-c", f"echo hello; sleep 0.3; touch {served}"],
        "log": str(tmp_path / "server.log"),
        "ready": ["test", "-e", str(served)],
    }
    process = init.start(program)
    init.wait_ready(program)
    assert served.exists()
    process.wait()
    assert (tmp_path / "server.log").read_text() == "hello\n"
    assert "server: serves" in capsys.readouterr().out
