"""A stand-in cluster on loopback, and how its pods reach it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web

from tests.kube.authority import Authority
from tests.kube.stand_in import StandIn
from ztlink.settings import ClusterAccess


@dataclass
class Cluster:
    """A running stand-in; `access` is what a pod in it has."""

    api: StandIn
    access: ClusterAccess


@asynccontextmanager
async def serve(directory: Path) -> AsyncIterator[Cluster]:
    authority = Authority(directory)
    token = directory / "token"
    api = StandIn()
    token.write_text(f"{api.token}\n")
    runner = web.AppRunner(api.application(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=authority.server())
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield Cluster(api, ClusterAccess(f"https://127.0.0.1:{port}", token, authority.ca))
    finally:
        await runner.cleanup()


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with serve(tmp_path) as running:
        yield running
