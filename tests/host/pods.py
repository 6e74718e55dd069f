"""A root with a controller and a node, configured as the chart does it, on hosts of a lab."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.lab.lab import Host, Lab
from tests.lab.namespace import run
from tests.lab.planet import known_identity, make_planet
from tests.lab.probe import Probe
from tests.lab.process import Process
from ztlink.wire.identity import SecretIdentity

Json = dict[str, Any]

PORT = 9993
HEALTH_PORT = 9994
GATEWAY = "10.147.1.254"
BEHIND = "10.9.0.0/16"
"""What the controller says to lie behind the gateway."""
POOL = {"ipRangeStart": "10.147.1.1", "ipRangeEnd": "10.147.1.253"}
FIELDS = {
    "name": "mesh",
    "private": True,
    "v4AssignMode": {"zt": True},
    "routes": [{"target": "10.147.1.0/24", "via": None}, {"target": BEHIND, "via": GATEWAY}],
    "ipAssignmentPools": [POOL],
}


class Pod:
    """What runs on one host: its folder, its configuration, its probes."""

    def __init__(self, lab: Lab, host: Host, role: str) -> None:
        self.lab = lab
        self.host = host
        self.role = role
        self.directory = lab.directory / f"pod-{host.name}"
        self.directory.mkdir()
        self.home = self.directory / "home"
        self.config = self.directory / "config.yaml"
        self.probe = Probe(host, HEALTH_PORT)
        self.here = Probe(host, HEALTH_PORT, "127.0.0.1")
        self.process: Process | None = None
        self.wrapper: tuple[str, ...] = ()
        """What it is started through."""

    def configure(self, **content: object) -> None:
        """Write the configuration: JSON is YAML."""
        self.config.write_text(json.dumps({"home": str(self.home), **content}))

    def start(self) -> Process:
        program = (sys.executable, "-m", "ztlink", self.role, "--config", str(self.config))
        argv = (*self.wrapper, *program)
        environment = ("env", f"HOST_IP={self.host.v4.ip}")
        self.process = self.lab.start(self.host, *environment, *argv, log="ztlink")
        return self.process

    def command(self, *arguments: str) -> str:
        """Run a command beside it, as `kubectl exec` would."""
        argv = (sys.executable, "-m", "ztlink", *arguments, "--home", str(self.home))
        return run(*self.host.namespace.entry, *argv)

    def command_at_api(self, *arguments: str) -> str:
        """Run a command beside it that asks it by its URL, with the token from a file."""
        token = f"ZEROTIER_API_TOKEN_FILE={self.home / 'authtoken.secret'}"
        api = ("--api", f"http://127.0.0.1:{PORT}")
        argv = ("env", token, sys.executable, "-m", "ztlink", *arguments, *api)
        return run(*self.host.namespace.entry, *argv)

    def links(self) -> Sequence[Json]:
        found: list[Json] = json.loads(self.host.namespace.ip("-json", "address"))
        return found


def write_identity(directory: Path, identity: SecretIdentity) -> Path:
    file = directory / "identity.secret"
    file.write_text(identity.to_text())
    return file


def make_pods(lab: Lab) -> tuple[Pod, Pod, str]:
    """Return a controller that is the root, a node, and the network of both; nothing runs yet."""
    root = Pod(lab, lab.host("root"), "controller")
    node = Pod(lab, lab.host("node"), "node")
    identity = known_identity(0)
    network_id = f"{identity.address << 24 | 0xC1:016x}"
    planet = lab.directory / "planet"
    planet.write_bytes(make_planet([(identity, root.host, PORT)]))
    id_file = lab.directory / "networkId"
    id_file.write_text(f"{network_id}\n")
    root.configure(
        planet=str(planet),
        identity=str(write_identity(root.directory, identity)),
        controller={"networks": [{"idFile": str(id_file), "settings": FIELDS}]},
    )
    node.configure(planet=str(planet), networks=[{"idFile": str(id_file), "required": True}])
    return root, node, network_id
