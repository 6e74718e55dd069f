"""Agents under a root that lets them in, each with a file in a folder as a kubelet mounts it."""

import json
import re
from pathlib import Path
from typing import Any, Final

from tests.host.pods import Pod, make_pods
from tests.lab.lab import Lab
from tests.lab.probe import Probe
from tests.lab.wait import wait_until

TIMEOUT: Final = 60.0
_SERIES: Final = "zerotier_link_"


class Mount:
    """A folder as a ConfigMap is mounted: files are links through `..data`, which is replaced."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "config.yaml"
        self._count = 0
        folder.mkdir()

    def put(self, text: str) -> None:
        """Change the file as the kubelet does: a new folder, and the link moved to it at once."""
        self._count += 1
        former = list(self.folder.glob("..20*"))
        made = self.folder / f"..2026_{self._count:04}"
        made.mkdir()
        (made / "config.yaml").write_text(text)
        link = self.folder / "..data_tmp"
        link.symlink_to(made.name)
        link.rename(self.folder / "..data")
        if not self.file.is_symlink():
            self.file.symlink_to("..data/config.yaml")
        for folder in former:
            (folder / "config.yaml").unlink()
            folder.rmdir()


class Agent(Pod):
    """`ztlink agent`, and the file that it follows."""

    def __init__(self, lab: Lab, name: str, planet: Path, network_id: str) -> None:
        super().__init__(lab, lab.host(name), "agent")
        self.mount = Mount(self.directory / "mount")
        self.config = self.mount.file
        self.content: dict[str, Any] = {
            "home": str(self.home),
            "planet": str(planet),
            "networks": [{"id": network_id}],
            "onStop": "keep",
            "engine": "portable",
            "firewall": {"allow": [{"protocol": "any"}]},
            "log": {"format": "json"},
        }

    def change(self, **content: object) -> None:
        """Change keys of the file."""
        self.content |= content
        self.mount.put(json.dumps(self.content))

    def reloads(self, result: str) -> float:
        """Return how often the file was read again with that result."""
        return self.metric(f'config_reloads_total{{result="{result}"}}')

    def change_and_wait(self, **content: object) -> None:
        """Change keys of the file, and wait until they are in force."""
        before = self.reloads("success")
        self.change(**content)
        wait_until(
            lambda: self.reloads("success") > before, timeout=TIMEOUT, what="the file is in force"
        )

    def move(self, port: int) -> None:
        """Look for its HTTP at another port from now on."""
        self.probe = Probe(self.host, port)

    def is_ready(self) -> bool:
        return self.probe.status("/zerotier/health/ready") == 200

    def wait_ready(self) -> None:
        wait_until(self.is_ready, timeout=TIMEOUT, what=f"{self.host.name} is ready")

    def health(self) -> dict[str, Any]:
        return self.probe.json("/zerotier/health")

    def condition(self) -> dict[str, Any]:
        """Return what is told of the configuration."""
        told: list[dict[str, Any]] = self.health()["conditions"]
        return next(one for one in told if one["kind"] == "config")

    def metric(self, name: str) -> float:
        text = self.probe.exchange("/zerotier/metrics")[1]
        found = re.search(rf"^{re.escape(_SERIES + name)} (\S+)$", text, re.MULTILINE)
        assert found is not None, f"no series {name}"
        return float(found[1])

    def address(self) -> str:
        """Return its address in the network."""
        networks: Any = self.health()["networks"]
        return str(networks[0]["addresses"][0]).partition("/")[0]

    def device(self) -> str:
        networks: Any = self.health()["networks"]
        return str(networks[0]["device"])

    @property
    def log(self) -> str:
        """All that its last process has printed."""
        assert self.process is not None
        return self.process.output


def make_agents(lab: Lab, *names: str) -> tuple[Pod, list[Agent], str]:
    """Return a root that lets everybody in, agents, and their network; the root runs."""
    root, _, network_id = make_pods(lab)
    content = json.loads(root.config.read_text())
    content["controller"]["autoAuthorize"] = True
    root.configure(**content)
    planet = lab.directory / "planet"
    agents = [Agent(lab, name, planet, network_id) for name in names]
    for agent in agents:
        agent.change()
    root.start()
    wait_until(
        lambda: root.probe.status("/zerotier/health/ready") == 200, timeout=TIMEOUT, what="root"
    )
    return root, agents, network_id
