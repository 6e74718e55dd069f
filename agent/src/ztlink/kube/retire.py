"""`ztlink retire`: the agents of a release that is about to go leave nothing on their nodes.

Agents keep devices, addresses, routes and tables when they end, for the next pod to take over
(`onStop: keep`). Before a release goes for good, their file has to say `remove`: it is changed in
their ConfigMap, which is where they have it from, so that there is no second place that could
say something else, and the next `helm upgrade` puts it right if the release stays after all.

The kubelet would look at a mounted ConfigMap a minute later; a pod whose annotations change it
looks after at once. Then every agent is asked over HTTP what it will do, until all say `remove` or
the patience ends. Who does not is named: the removal of the release goes on without it.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from ztlink.errors import ConfigError
from ztlink.kube.client import KubeError
from ztlink.settings import RetireSettings

logger = logging.getLogger(__name__)

Json = dict[str, Any]

FILE: Final = "config.yaml"
REMOVE: Final = "remove"
TOUCHED: Final = "zerotier-k8s-link/retire"
"""The annotation by which pods are touched; its value is of no interest."""
TOUCH_INTERVAL: Final = 10.0
"""Seconds after which a pod is touched again: the kubelet may not have seen the new file yet."""
LOOK_INTERVAL: Final = 1.0
AT_ONCE: Final = 32
"""Pods that are looked after side by side."""
_ON_STOP: Final = re.compile(r"^onStop:.*$", re.MULTILINE)


class Objects(Protocol):
    """What is needed of the cluster's API."""

    async def get(self, path: str) -> Json | None:
        """Return an object; None where there is none."""

    async def find(self, path: str, labels: Mapping[str, str]) -> list[Json]:
        """Return the objects of a collection that have these labels."""

    async def patch(self, path: str, change: Json) -> Json | None:
        """Change those fields of an object that `change` has; None where there is no object."""


class Healths(Protocol):
    """Who asks agents."""

    async def on_stop(self, host: str) -> str:
        """Return what the agent at an address does when it ends; OSError says why it is unknown."""


@dataclass(frozen=True, slots=True)
class AgentPod:
    """A pod of an agent, and what is known of it."""

    node: str
    pod: str
    complaint: str = ""
    """Why it may leave things behind; empty where it says that it takes everything away."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is so in the end."""

    agents: tuple[AgentPod, ...]
    missing: int = 0
    """Nodes on which there should be an agent, and is no pod."""

    @property
    def following(self) -> tuple[AgentPod, ...]:
        """Those that take everything away when they end."""
        return tuple(one for one in self.agents if not one.complaint)

    @property
    def others(self) -> tuple[AgentPod, ...]:
        """Those that may not."""
        return tuple(one for one in self.agents if one.complaint)

    @property
    def is_complete(self) -> bool:
        """Whether nothing will be left anywhere."""
        return not self.others and not self.missing


class Retirement:
    """One run."""

    def __init__(
        self,
        api: Objects,
        healths: Healths,
        settings: RetireSettings,
        read_time: Callable[[], float],
    ) -> None:
        self._api = api
        self._healths = healths
        self._settings = settings
        self._read_time = read_time
        self._touched: dict[str, float] = {}
        self._at_once = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> Outcome:
        """Have them follow, as long as the patience lasts; KubeError where the API refuses it."""
        deadline = self._read_time() + self._settings.patience
        await self._change_file()
        while True:
            outcome = await self._look()
            if outcome.is_complete or self._read_time() >= deadline:
                return outcome
            await asyncio.gather(*(self._touch(one) for one in outcome.others))
            await asyncio.sleep(LOOK_INTERVAL)

    async def _change_file(self) -> None:
        path = self._path("configmaps", self._settings.config_map_name)
        found = await self._api.get(path)
        text = ((found or {}).get("data") or {}).get(FILE)
        if text is None:
            raise ConfigError(
                f"{FILE} in ConfigMap {self._settings.config_map_name} is not there: agents cannot "
                "be told; `ztlink cleanup` takes away what they leave, on each node"
            )
        changed = taking_away(text)
        if changed != text:
            await self._api.patch(path, {"data": {FILE: changed}})

    async def _look(self) -> Outcome:
        pods = await self._api.find(self._path("pods"), self._settings.labels)
        agents = await asyncio.gather(*(self._ask(pod) for pod in pods))
        name = self._settings.daemon_set_name
        wanted = await self._api.get(self._path("daemonsets", name, "/apis/apps/v1"))
        status = (wanted or {}).get("status") or {}
        missing = int(status.get("desiredNumberScheduled", 0)) - len(agents)
        return Outcome(tuple(sorted(agents, key=lambda one: one.node)), max(missing, 0))

    async def _ask(self, pod: Json) -> AgentPod:
        """Find out what an agent does when it ends."""
        name = str(pod["metadata"]["name"])
        node = str(pod["spec"].get("nodeName") or "no node yet")
        phase = str(pod["status"].get("phase", "Unknown"))
        if phase != "Running":
            return AgentPod(node, name, f"its pod is {phase}")
        if self._settings.health_port is None:
            return AgentPod(node, name, "it serves no health here, and so cannot be asked")
        try:
            async with self._at_once:
                said = await self._healths.on_stop(self._host(pod))
        except OSError as error:
            return AgentPod(node, name, str(error))
        complaint = "" if said == REMOVE else f"it says onStop: {said or 'nothing'}"
        return AgentPod(node, name, complaint)

    def _host(self, pod: Json) -> str:
        if self._settings.health_ip is not None:
            return str(self._settings.health_ip)
        return str(pod["status"].get("hostIP", ""))

    async def _touch(self, one: AgentPod) -> None:
        """Have the kubelet look after a pod, and so after its volumes.

        By its status: an account that may write no more than that can change annotations, but not
        what a pod runs.
        """
        now = self._read_time()
        if now - self._touched.get(one.pod, -TOUCH_INTERVAL) < TOUCH_INTERVAL:
            return
        self._touched[one.pod] = now
        change = {"metadata": {"annotations": {TOUCHED: f"{now:.3f}"}}}
        try:
            async with self._at_once:
                await self._api.patch(f"{self._path('pods', one.pod)}/status", change)
        except KubeError as error:
            logger.warning("%s: its kubelet will look within two minutes, not at once", error)

    def _path(self, kind: str, name: str = "", group: str = "/api/v1") -> str:
        path = f"{group}/namespaces/{self._settings.namespace}/{kind}"
        return f"{path}/{name}" if name else path


def taking_away(text: str) -> str:
    """Return an agent's file that says `onStop: remove`; in the chart's, keys have own lines."""
    line = f"onStop: {REMOVE}"
    changed, count = _ON_STOP.subn(line, text)
    return changed if count else f"{text.rstrip()}\n{line}\n"
