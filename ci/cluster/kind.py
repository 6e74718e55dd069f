"""A cluster of kind: nodes are containers of docker."""

import json
from pathlib import Path
from typing import Any, Final

from ci.cluster import docker, loan
from ci.cluster.cluster import START_SECONDS, Cluster, wait_for
from ci.cluster.errors import ClusterError
from ci.cluster.network import run

CREATE_SECONDS: Final = 900.0
"""With the pull of kind's node image, of half a gigabyte, where it is not there yet."""


class KindCluster(Cluster):
    """A control plane and two workers, of the release of Kubernetes that kind is made for."""

    kind = "kind"

    def __init__(self, directory: Path, kind: str, kubectl: str) -> None:
        nodes = docker.node_names(directory.name)
        super().__init__(directory, nodes, directory / "kubeconfig", kubectl)
        self._kind: Final = kind

    def begin(self) -> None:
        """Have kind make the nodes, and wait for none of them."""
        name = self.directory.name
        self._note.kind = [self._kind, name, str(self.kubeconfig)]
        self._note.owns_kind_network = not docker.has_network()
        self._watch()
        loan.borrow(name, ())  # kubelets set sysctls of the machine from inside of containers, too
        file = self.directory / "kind.json"
        file.write_text(json.dumps(config(), indent=1))
        options = (f"--name={name}", f"--config={file}", f"--kubeconfig={self.kubeconfig}")
        self._run_kind("create", "cluster", *options, timeout=CREATE_SECONDS)

    def load_image(self, archive: Path) -> None:
        name = f"--name={self.directory.name}"
        self._run_kind("load", "image-archive", str(archive), name, timeout=300)

    def start_node(self, name: str) -> None:
        run("docker", "start", name)

    def stop_node(self, name: str) -> None:
        run("docker", "kill", "--signal=KILL", name)
        wait_for(f"the end of {name}", lambda: not docker.process_of(name), START_SECONDS)

    def outside(self, *command: str) -> list[str]:
        """Return the command as it is: kind publishes the API's port on this machine."""
        return list(command)

    def enter_node(self, name: str) -> list[str]:
        return ["docker", "exec", name]

    def enter_network(self, name: str) -> list[str]:
        pid = docker.process_of(name)
        if not pid:
            raise ClusterError(f"{name} is not on; its last words: docker logs {name}")
        if not docker.is_here(pid):
            raise ClusterError(
                f"process {pid} of {name} is not on this machine, so docker's daemon is elsewhere:"
                " CLUSTER=own does without docker"
            )
        return ["nsenter", f"--net=/proc/{pid}/ns/net"]

    def where_logs_are(self) -> str:
        return f"kind export logs --name={self.directory.name}"

    def _run_kind(self, *words: str, timeout: float) -> None:
        try:
            docker.run_kind(self._kind, *words, timeout=timeout)
        except ClusterError as error:
            raise ClusterError(f"{error}\nCLUSTER=own does without kind and docker") from error


def config() -> dict[str, Any]:
    """Return what kind is to make."""
    roles = ("control-plane", "worker", "worker")
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        # As on the bench: what kube-proxy writes is then known by its table's name.
        "networking": {"kubeProxyMode": "nftables"},
        "nodes": [{"role": role} for role in roles],
    }
