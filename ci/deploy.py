"""Puts the chart on the cluster of the current context, and lets its nodes into their network.

    python ci/deploy.py install    namespace, label of the controller's node, helm upgrade --install
    python ci/deploy.py authorize  every agent, at the controller of one's own or at one elsewhere

What to do comes by environment, see `ENVIRONMENT`; kubectl and helm do it.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from ci.toolchain import TOOLS, ToolError, default_cache, read_pin
from ztlink.hosted.access import TOKEN, TOKEN_FILE, without_token

CHART: Final = Path(__file__).parents[1] / "charts" / "zerotier-k8s-link"
CHART_NAME: Final = "zerotier-k8s-link"
CONTROLLER_LABEL: Final = "zerotier-k8s-link/controller"
CONTROLLER_PORT: Final = 9995
ZTLINK: Final = (sys.executable, "-m", "ztlink")
ENVIRONMENT: Final = """\
  ZEROTIER_NETWORK_ID  a network whose controller you have elsewhere
  CONTROLLER_NODE      a node of the cluster for a root and a controller of your own
  ZEROTIER_API_TOKEN, ZEROTIER_API_TOKEN_FILE
                       the token for that controller, or a file that holds it: `ztlink authorize`
                       reads it, and nothing else does
  ZEROTIER_API_URL     where that controller is asked, http://HOST:9993; ZeroTier Central if unset
  DRY_RUN              `authorize` looks, and changes nothing
  IMAGE                the image, REGISTRY/REPOSITORY:TAG; that of the chart where unset
  VALUES               a file of further values
  NAMESPACE, RELEASE   where, and by which name; both zerotier-k8s-link where unset"""

Run = Callable[[list[str]], str]
"""Runs a command, returns what it prints; raises `DeployError`."""


class DeployError(Exception):
    """The cluster, or what was asked for, does not allow it; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be on the cluster."""

    network_id: str = ""
    controller_node: str = ""
    image: str = ""
    values: str = ""
    namespace: str = CHART_NAME
    release: str = CHART_NAME
    api: str = ""
    """Where a controller elsewhere is asked to let nodes in; empty where nobody gave a token."""
    is_dry: bool = False

    @property
    def fullname(self) -> str:
        """How the chart's objects are called."""
        name = self.release if CHART_NAME in self.release else f"{self.release}-{CHART_NAME}"
        return name[:40].removesuffix("-")


def read_wish(environment: Mapping[str, str]) -> Wish:
    """Read what is wished for."""
    has_token = any(environment.get(name) for name in (TOKEN, TOKEN_FILE))
    api = environment.get("ZEROTIER_API_URL") or ("central" if has_token else "")
    return Wish(
        network_id=environment.get("ZEROTIER_NETWORK_ID", ""),
        controller_node=environment.get("CONTROLLER_NODE", ""),
        image=environment.get("IMAGE", ""),
        values=environment.get("VALUES", ""),
        namespace=environment.get("NAMESPACE") or CHART_NAME,
        release=environment.get("RELEASE") or CHART_NAME,
        api=api,
        is_dry=bool(environment.get("DRY_RUN")),
    )


def split_image(image: str) -> list[str]:
    """Return an image's reference as values of the chart."""
    name, _, digest = image.partition("@")
    registry, slash, repository = name.partition("/")
    if not slash or not (set(registry) & set(".:") or registry == "localhost"):
        registry, repository = "", name
    repository, _, tag = repository.partition(":")
    values = {"registry": registry, "repository": repository, "tag": tag, "digest": digest}
    return [f"image.{key}={value}" for key, value in values.items()]


def helm_arguments(wish: Wish, addresses: list[str]) -> list[str]:
    """Return how Helm is called; `addresses` are those of the controller's node.

    Not with --wait: a node of a private network is ready only after it was let in.
    """
    texts = []
    if wish.network_id:
        texts.append(f"networks[0].id={wish.network_id}")
    if wish.image:
        texts += split_image(wish.image)
    endpoints = ",".join(f"{address}/{CONTROLLER_PORT}" for address in addresses)
    switches = ["controller.enabled=true", f"controller.port={CONTROLLER_PORT}"]
    arguments = ["upgrade", "--install", wish.release, str(CHART), "--namespace", wish.namespace]
    if wish.values:
        arguments += ["--values", wish.values]
    for text in texts:
        arguments += ["--set-string", text]
    for switch in [*switches, f"controller.endpoints={{{endpoints}}}"] if addresses else []:
        arguments += ["--set", switch]
    return arguments


def controller_addresses(run: Run, node: str) -> list[str]:
    """Label the controller's node and return where other nodes reach it."""
    query = '{.status.addresses[?(@.type=="InternalIP")].address}'
    addresses = run(["kubectl", "get", "node", node, "-o", f"jsonpath={query}"]).split()
    if not addresses:
        raise DeployError(f"node {node} has no InternalIP: set controller.endpoints in VALUES")
    labelled = run(["kubectl", "get", "nodes", "-l", CONTROLLER_LABEL, "-o", "name"]).split()
    others = [name for name in labelled if name != f"node/{node}"]
    if others:
        raise DeployError(
            f"the label {CONTROLLER_LABEL} is on {', '.join(others)}, too: the controller's"
            " addresses are those of one node, so take it away there:"
            f" kubectl label node NODE {CONTROLLER_LABEL}-"
        )
    run(["kubectl", "label", "--overwrite", "node", node, f"{CONTROLLER_LABEL}=true"])
    return [str(ip_address(address)) for address in addresses]


def install(run: Run, wish: Wish, helm: str) -> str:
    """Install or upgrade the release; return what is next."""
    if not (wish.network_id or wish.controller_node or wish.values):
        nodes = run(["kubectl", "get", "nodes", "-o", "name"]).replace("node/", "  ")
        raise DeployError(
            f"which network? Set one of these:\n{ENVIRONMENT}\nNodes of the cluster:\n{nodes}"
        )
    node = wish.controller_node
    addresses = controller_addresses(run, node) if node else []
    namespace = ["kubectl", "get", "namespace", wish.namespace, "--ignore-not-found", "-o", "name"]
    if not run(namespace).strip():
        run(["kubectl", "create", "namespace", wish.namespace])
    privileged = "pod-security.kubernetes.io/enforce=privileged"
    run(["kubectl", "label", "--overwrite", "namespace", wish.namespace, privileged])
    notes = run([helm, *helm_arguments(wish, addresses)])
    return f"{notes}\nNext: `make authorize-nodes`, then `make mesh-status`.\n"


def agent_addresses(run: Run, wish: Wish) -> tuple[list[str], list[str]]:
    """Return the ZeroTier address of every agent that says it, and the complaints of the others."""
    kubectl = ["kubectl", "--namespace", wish.namespace]
    labels = {"name": CHART_NAME, "instance": wish.release, "component": "agent"}
    selector = ",".join(f"app.kubernetes.io/{key}={value}" for key, value in labels.items())
    running = "--field-selector=status.phase=Running"
    pods = run([*kubectl, "get", "pods", "-l", selector, running, "-o", "name"]).split()
    if not pods:
        raise DeployError(
            f"no agent of release {wish.release} runs in namespace {wish.namespace}:"
            f" kubectl -n {wish.namespace} get pods,events"
        )
    addresses, complaints = [], []
    for pod in pods:
        try:
            status = run([*kubectl, "exec", pod, "--", "ztlink", "status", "--json"])
            addresses.append(str(json.loads(status)["address"]))
        except DeployError as error:
            complaints.append(f"{pod} does not say its address: {error}")
    return addresses, complaints


def authorize(run: Run, wish: Wish) -> str:
    """Let the agents of the release, and nobody else, into the network of its controller."""
    kubectl = ["kubectl", "--namespace", wish.namespace]
    name = f"configmap/{wish.fullname}-network"
    query = "jsonpath={.data.networkId}"
    own = run([*kubectl, "get", name, "--ignore-not-found", "-o", query]).strip()
    if wish.network_id and wish.api and own != wish.network_id:
        return _authorize_elsewhere(run, wish)
    addresses, complaints = agent_addresses(run, wish)
    if own:
        dry = ["--dry-run"] if wish.is_dry else []
        words = ["ztlink", "authorize", *dry, own, *addresses]
        done = run([*kubectl, "exec", f"{wish.fullname}-controller-0", "--", *words])
    else:
        done = _list_members(wish, addresses)
    if complaints:
        raise DeployError("\n".join([done.rstrip(), *complaints]))
    return done


def _authorize_elsewhere(run: Run, wish: Wish) -> str:
    where = ["--namespace", wish.namespace, "--release", wish.release, "--api", wish.api]
    dry = ["--dry-run"] if wish.is_dry else []
    return run([*ZTLINK, "authorize", wish.network_id, "--agents", *where, *dry])


def _list_members(wish: Wish, addresses: list[str]) -> str:
    listed = "".join(f"  {address}\n" for address in addresses)
    return (
        f"release {wish.release} has no controller of its own: authorise these members at"
        f" the controller of {wish.network_id or 'the network'}:\n{listed}"
        "or let `make authorize-nodes` do it: set ZEROTIER_NETWORK_ID and ZEROTIER_API_TOKEN\n"
    )


def run_command(command: list[str]) -> str:
    """Run a command; errors are in its own words. Of all commands ztlink alone sees the token."""
    is_ours = tuple(command[: len(ZTLINK)]) == ZTLINK
    environment = os.environ if is_ours else without_token(os.environ)
    try:
        return subprocess.run(
            command, check=True, capture_output=True, text=True, env=environment
        ).stdout
    except FileNotFoundError as error:
        raise DeployError(f"{command[0]} is not in PATH") from error
    except subprocess.CalledProcessError as error:
        said = "\n".join(filter(None, (error.stdout.strip(), error.stderr.strip())))
        what = f"ztlink {command[len(ZTLINK)]} failed" if is_ours else " ".join(command)
        raise DeployError(f"{what}\n{said}") from error


def find_helm(environment: Mapping[str, str]) -> str:
    """Return the user's Helm, or the one that `make tools` built."""
    built = default_cache(environment).program(read_pin(TOOLS / "helm"))
    found = shutil.which("helm", path=environment.get("PATH"))
    if found is None and not built.exists():
        raise DeployError("helm is not in PATH: install Helm 3, or `make tools` builds it")
    return found or str(built)


def main(arguments: list[str]) -> int:
    """Do one of the two."""
    wish = read_wish(os.environ)
    try:
        match arguments:
            case ["install"]:
                print(install(run_command, wish, find_helm(os.environ)), end="")
            case ["authorize"]:
                print(authorize(run_command, wish), end="")
            case _:
                print(f"usage: deploy.py install|authorize\n{ENVIRONMENT}", file=sys.stderr)
                return 2
    except (DeployError, ToolError) as error:
        print(f"deploy: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
