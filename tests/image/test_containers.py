"""The image as a root with a controller and as an agent, in containers that may do little."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.host.pods import FIELDS, HEALTH_PORT, PORT, write_identity
from tests.image.containers import CAPABILITIES, Container, Image
from tests.lab.fixtures import NewLab
from tests.lab.lab import Host, Lab
from tests.lab.namespace import run
from tests.lab.planet import known_identity, make_planet
from tests.lab.probe import Probe
from tests.lab.process import Process
from tests.lab.wait import Stopwatch, wait_until

pytestmark = [pytest.mark.image, pytest.mark.netadmin]

TIMEOUT = 60.0
HOME = "/var/lib/zerotier-k8s-link"
CONFIG = "/etc/zerotier-k8s-link"


@dataclass
class Pod:
    """A container, its process and its probes."""

    container: Container
    process: Process
    probe: Probe

    def wait_for(self, path: str) -> None:
        wait_until(
            lambda: self._alive() and self.probe.status(f"/zerotier/health/{path}") == 200,
            timeout=TIMEOUT,
            what=f"{path}: {self.probe.exchange('/zerotier/health')}",
        )

    def _alive(self) -> bool:
        assert self.process.exit_status is None, self.process.output
        return True


@dataclass
class Mesh:
    root: Pod
    node: Pod
    network_id: str


def make_container(
    image: Image, lab: Lab, host: Host, role: str, content: dict[str, object]
) -> Container:
    """Return what a pod of the chart is: a root and controller has no capability at all."""
    directory = lab.directory / host.name / role
    for name in ("home", "config"):
        (directory / name).mkdir(parents=True)
    (directory / "config" / "config.yaml").write_text(json.dumps({"home": HOME, **content}))
    binds = {HOME: directory / "home", f"{CONFIG}:ro": directory / "config"}
    arguments = (role, "--config", f"{CONFIG}/config.yaml")
    capabilities = CAPABILITIES if role == "agent" else ()
    return Container(
        image,
        host,
        directory / "bundle",
        arguments,
        binds,
        {"ZTLINK_HOME": HOME},
        capabilities,
    )


@pytest.fixture(scope="module")
def mesh(image: Image, new_lab: NewLab) -> Iterator[Mesh]:
    """A root and a node that has joined its network."""
    with new_lab() as lab, ExitStack() as cleanup:
        hosts = lab.host("root"), lab.host("node")
        identity = known_identity(0)
        network_id = f"{identity.address << 24 | 0xC1:016x}"
        planet = make_planet([(identity, hosts[0], PORT)])
        common: dict[str, object] = {"planet": f"{CONFIG}/planet"}
        root = make_container(
            image,
            lab,
            hosts[0],
            "controller",
            {
                **common,
                "identity": f"{CONFIG}/identity.secret",
                "controller": {"networks": [{"id": network_id, "settings": FIELDS}]},
            },
        )
        node = make_container(
            image, lab, hosts[1], "agent", {**common, "networks": [{"id": network_id}]}
        )
        for container in (root, node):
            (container.binds[f"{CONFIG}:ro"] / "planet").write_bytes(planet)
        write_identity(root.binds[f"{CONFIG}:ro"], identity)
        write_identity(node.binds[HOME], known_identity(1))
        pods = []
        for container, host in zip((root, node), hosts, strict=True):
            cleanup.callback(container.remove)
            pods.append(Pod(container, container.start(), Probe(host, HEALTH_PORT)))
            pods[-1].wait_for("startup")
        root.command("ztlink", "authorize", network_id, f"{known_identity(1).address:010x}")
        pods[1].wait_for("ready")
        yield Mesh(pods[0], pods[1], network_id)


def test_a_node_in_a_container_becomes_ready(mesh: Mesh) -> None:
    network = mesh.node.probe.json("/zerotier/health")["networks"][0]
    assert (network["status"], network["fault"]) == ("OK", None)


def test_its_only_capability_is_net_admin(mesh: Mesh) -> None:
    status = mesh.node.container.status()
    masks = {key: int(status[key], 16) for key in ("CapEff", "CapPrm", "CapBnd")}
    assert masks == dict.fromkeys(("CapEff", "CapPrm", "CapBnd"), 1 << 12)


def test_a_root_and_controller_has_no_capability(mesh: Mesh) -> None:
    assert int(mesh.root.container.status()["CapEff"], 16) == 0


def test_it_gains_no_privileges(mesh: Mesh) -> None:
    assert mesh.node.container.status()["NoNewPrivs"] == "1"


def test_it_is_the_first_process_of_its_container(mesh: Mesh) -> None:
    assert mesh.node.container.status()["NSpid"].split()[-1] == "1"


def test_its_root_cannot_be_written(mesh: Mesh) -> None:
    python = "/opt/ztlink/bin/python"
    said = run(
        *("runc", "--root", str(mesh.node.container.state), "exec", mesh.node.container.name),
        *(python, "-c", "import os; print(os.statvfs('/').f_flag & os.ST_RDONLY)"),
    )
    assert said.strip() == str(os.ST_RDONLY)


def test_commands_find_the_node_beside_them(mesh: Mesh) -> None:
    status = json.loads(mesh.node.container.command("ztlink", "status", "--json"))
    assert status["address"] == f"{known_identity(1).address:010x}"


def test_the_home_is_all_that_it_writes_to(mesh: Mesh) -> None:
    home = mesh.node.container.binds[HOME]
    assert {"identity.secret", "planet", "networks.d"} <= {file.name for file in home.iterdir()}


def test_a_node_ends_within_five_seconds_of_sigterm_with_status_0(mesh: Mesh) -> None:
    device = mesh.node.probe.json("/zerotier/health")["networks"][0]["device"]
    watch = Stopwatch()
    mesh.node.container.terminate()
    assert mesh.node.process.wait(timeout=TIMEOUT) == 0
    assert watch.seconds() < 5
    links = mesh.node.container.host.namespace.ip("-o", "link")
    assert device not in links


def test_sigterm_is_heard_while_a_node_still_makes_its_identity(image: Image, lab: Lab) -> None:
    container = make_container(image, lab, lab.host("late"), "agent", {"http": {"enabled": False}})
    process = container.start()
    try:
        wait_until(
            lambda: "making an identity" in process.output, timeout=TIMEOUT, what="the start"
        )
        container.terminate()
        assert process.wait(timeout=TIMEOUT) == 0
        assert not (container.binds[HOME] / "identity.secret").exists()
    finally:
        container.remove()


def test_a_mistake_in_the_configuration_ends_it_with_status_78(image: Image, lab: Lab) -> None:
    container = make_container(image, lab, lab.host("wrong"), "agent", {"prot": 9993})
    try:
        done = container.run()
    finally:
        container.remove()
    assert done.returncode == 78
    assert "prot: is not a key here: did you mean port?" in done.stderr


def test_the_bootstrap_runs_as_an_ordinary_user(image: Image, lab: Lab) -> None:
    argv = ("bootstrap", "--config", "/nowhere.yaml")
    host = lab.host("job")
    container = Container(image, host, lab.directory / "job", argv, capabilities=(), uid=65532)
    try:
        done = container.run()
    finally:
        container.remove()
    assert (done.returncode, done.stderr) == (
        78,
        "ztlink: cannot read /nowhere.yaml: No such file or directory\n",
    )
