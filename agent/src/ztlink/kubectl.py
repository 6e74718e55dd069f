"""Asking every agent of a release through `kubectl`, as an operator's account may."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from ztlink.errors import ZtError
from ztlink.mesh import NodeReport

Json = dict[str, Any]

NAME: Final = "zerotier-k8s-link"
TIMEOUT: Final = 30.0
AT_ONCE: Final = 8
_QUESTIONS: Final = ("status", "networks", "peers")


class KubectlError(ZtError):
    """`kubectl` is missing, or was refused something; the message is its own."""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """`kubectl` on a namespace."""

    namespace: str
    options: Sequence[str] = ()
    """Before its command, such as --context."""
    program: str = "kubectl"
    timeout: float = TIMEOUT
    environment: Mapping[str, str] | None = None
    """For it; ours where there is none."""

    def run(self, *arguments: str) -> str:
        """Return what a command prints; KubectlError says why it could not be run."""
        argv = [self.program, *self.options, "--namespace", self.namespace, *arguments]
        try:
            done = subprocess.run(  # noqa: S603 - the operator's own kubectl, no shell
                argv,
                capture_output=True,
                text=True,
                timeout=self.timeout,
                check=False,
                env=self.environment,
            )
        except FileNotFoundError as error:
            raise KubectlError(f"{self.program} is not in PATH: install it") from error
        except subprocess.TimeoutExpired as error:
            raise KubectlError(
                f"kubectl {arguments[0]}: no answer in {self.timeout:g} s"
            ) from error
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            raise KubectlError(f"kubectl {arguments[0]}: {lines[-1]}")
        return done.stdout


def ask_agents(kubectl: Kubectl, release: str) -> list[NodeReport]:
    """Return a report of every agent pod of a release, by machine."""
    labels = {"name": NAME, "instance": release, "component": "agent"}
    selector = ",".join(f"app.kubernetes.io/{key}={value}" for key, value in labels.items())
    pods = _parse(kubectl.run("get", "pods", "--selector", selector, "--output", "json"))["items"]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        reports = pool.map(lambda pod: _ask(kubectl, pod), pods)
        return sorted(reports, key=lambda report: (report.machine, report.pod))


def _ask(kubectl: Kubectl, pod: Json) -> NodeReport:
    name = str(pod["metadata"]["name"])
    machine = str(pod["spec"].get("nodeName") or "unscheduled")
    phase = str(pod["status"].get("phase", "Unknown"))
    if phase != "Running":
        return NodeReport(name, machine, phase, _why(pod))
    try:
        status, networks, peers = (_question(kubectl, name, word) for word in _QUESTIONS)
    except KubectlError as error:
        return NodeReport(name, machine, phase, f"{_why(pod)} {error}".strip())
    return NodeReport(name, machine, phase, "", status, networks, peers)


def _question(kubectl: Kubectl, pod: str, word: str) -> Any:  # noqa: ANN401 - JSON
    return _parse(kubectl.run("exec", pod, "--", "ztlink", word, "--json"))


def _why(pod: Json) -> str:
    """Return what the kubelet says of containers that wait, in its words."""
    waiting = [
        status.get("state", {}).get("waiting") or {}
        for status in pod["status"].get("containerStatuses", ())
    ]
    scheduling = [
        condition
        for condition in pod["status"].get("conditions", ())
        if condition["type"] == "PodScheduled" and condition["status"] != "True"
    ]
    words = [f"{one.get('reason', '')} {one.get('message', '')}".strip() for one in waiting]
    words += [str(one.get("message", "not scheduled")) for one in scheduling]
    return "; ".join(word for word in words if word)


def _parse(text: str) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(text)
    except ValueError as error:
        raise KubectlError(f"kubectl printed no JSON: {text[:80]!r}") from error
