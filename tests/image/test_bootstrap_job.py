"""The hook Job: `ztlink bootstrap` in a container, with a stand-in for its cluster's API."""

import asyncio
import json
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from aiohttp import web

from tests.image.containers import Container, Image
from tests.kube.authority import Authority
from tests.kube.stand_in import StandIn
from tests.lab.lab import Host, Lab
from ztlink.cluster_files import SERVICE_ACCOUNT

pytestmark = [pytest.mark.image, pytest.mark.netadmin]

CONFIG = {
    "namespace": "mesh",
    "secretName": "root",
    "worldConfigMapName": "world",
    "networkConfigMapName": "network",
    "endpoints": ["192.0.2.5/9993"],
}


@dataclass
class Job:
    """What runs it again and again."""

    image: Image
    host: Host
    directory: Path
    port: int
    numbers: "count[int]"

    async def run(self, **changes: object) -> subprocess.CompletedProcess[str]:
        """Run it once, as the ordinary user that the chart makes it."""
        config = self.directory / "config"
        (config / "bootstrap.yaml").write_text(json.dumps({**CONFIG, **changes}))
        container = Container(
            self.image,
            self.host,
            self.directory / f"run-{next(self.numbers)}",
            ("bootstrap", "--config", "/etc/zerotier-k8s-link/bootstrap.yaml"),
            {
                "/etc/zerotier-k8s-link:ro": config,
                f"{SERVICE_ACCOUNT}:ro": self.directory / "account",
            },
            {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(self.port)},
            capabilities=(),
            uid=65532,
        )
        try:
            return await asyncio.to_thread(container.run)
        finally:
            container.remove()


@asynccontextmanager
async def serve(api: StandIn, host: Host, account: Path) -> AsyncIterator[int]:
    """Serve a cluster's API on a host's loopback; what a pod has of it is in `account`."""
    authority = Authority(account)
    (account / "token").write_text(api.token)
    opened = host.namespace.open_socket(socket.AF_INET, socket.SOCK_STREAM)
    opened.bind(("127.0.0.1", 0))
    runner = web.AppRunner(api.application(), access_log=None)
    await runner.setup()
    await web.SockSite(runner, opened, ssl_context=authority.server()).start()
    try:
        yield int(opened.getsockname()[1])
    finally:
        await runner.cleanup()


async def test_the_job_makes_what_is_missing_and_then_nothing_more(image: Image, lab: Lab) -> None:
    api, host, directory = StandIn(), lab.host("job"), lab.directory / "job"
    for name in ("account", "config"):
        (directory / name).mkdir(parents=True)
    async with serve(api, host, directory / "account") as port:
        job = Job(image, host, directory, port, count())
        first = await job.run()
        assert (first.returncode, first.stderr) == (0, "")
        assert set(api.objects) == {
            ("secrets", "root"),
            ("configmaps", "world"),
            ("configmaps", "network"),
        }
        network_id = api.read("configmaps", "network", "networkId").decode()
        assert first.stdout.endswith(f"network {network_id}\n")
        api.log.clear()
        second = await job.run()
        assert "all was there: nothing was changed" in second.stdout
        third = await job.run(endpoints=["192.0.2.6/9993"])
        assert third.stdout.startswith("made planet in ConfigMap world\n")
        assert api.writes == ["update configmaps/world"]
