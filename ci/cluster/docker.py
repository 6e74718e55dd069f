"""What is asked of docker, and of kind, which makes nodes of Kubernetes out of its containers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ci.cluster.errors import ClusterError
from ci.cluster.network import run

NETWORK: Final = "kind"
"""Kind puts the nodes of all its clusters into it, and leaves it there."""
CLUSTER_LABEL: Final = "io.x-k8s.kind.cluster"


def run_kind(kind: str, *words: str, timeout: float) -> None:
    """Run kind, which is not to choose podman; ClusterError with its error, without its progress.

    Its option --quiet would keep errors back, too.
    """
    command = ("env", "KIND_EXPERIMENTAL_PROVIDER=docker", kind, *words)
    try:
        run(*command, timeout=timeout)
    except ClusterError as error:
        said = str(error)
        complaint = said[said.index("ERROR:") :] if "ERROR:" in said else said
        raise ClusterError(f"kind {words[0]} {words[1]}: {complaint}") from error


def has_network() -> bool:
    """Say whether the network of kind is there."""
    names = run("docker", "network", "ls", "--format={{.Name}}").split()
    return NETWORK in names


def process_of(container: str) -> int:
    """Return the first process of a container, as this machine counts; 0 where it does not run."""
    return int(run("docker", "inspect", "--format={{.State.Pid}}", container))


def containers_of(cluster: str) -> list[str]:
    """Return the names of a cluster's containers, also of those that do not run."""
    label = f"--filter=label={CLUSTER_LABEL}={cluster}"
    return run("docker", "ps", "--all", label, "--format={{.Names}}").split()


def remove_cluster(kind: str, cluster: str, kubeconfig: str, *, network: bool) -> list[str]:
    """Remove a cluster, and with `network` that of kind; return what could not be removed."""
    try:
        delete = ("delete", "cluster", f"--name={cluster}", f"--kubeconfig={kubeconfig}")
        run_kind(kind, *delete, timeout=120)
        left = [f"container {name}" for name in containers_of(cluster)]
        if network and has_network() and not _is_used():
            run("docker", "network", "rm", NETWORK)
    except ClusterError as error:
        return [str(error)]
    return left


def _is_used() -> bool:
    """Say whether somebody else has come into the network since."""
    return (
        run("docker", "network", "inspect", "--format={{len .Containers}}", NETWORK).strip() != "0"
    )


def node_names(cluster: str) -> Sequence[str]:
    """Return how kind names the nodes of a control plane and two workers, for `Cluster.nodes`.

    Pods without tolerations do not run on the control plane, and it cannot be switched off without
    the API: a worker is the first, and the other one the last.
    """
    return (f"{cluster}-worker", f"{cluster}-control-plane", f"{cluster}-worker2")


def is_here(pid: int) -> bool:
    """Say whether a process of docker's is one of this machine: its daemon may be elsewhere."""
    return Path(f"/proc/{pid}/ns/net").exists()
