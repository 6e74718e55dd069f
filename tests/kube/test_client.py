"""The client against a stand-in over HTTPS: what is there, what is refused, what passes."""

import asyncio
import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.kube.authority import Authority
from tests.kube.conftest import Cluster
from tests.kube.stand_in import Json
from ztlink.errors import ConfigError
from ztlink.kube.client import ConflictError, KubeClient, KubeError
from ztlink.settings import ClusterAccess

SECRETS = "/api/v1/namespaces/mesh/secrets"
ONE = f"{SECRETS}/one"
BODY: Json = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "one", "namespace": "mesh"},
    "type": "Opaque",
    "data": {"key": "dmFsdWU="},
}


def client(access: ClusterAccess, read_time: Callable[[], float] = lambda: 0.0) -> KubeClient:
    return KubeClient(access, read_time, bytes, first_pause=0.001)


async def test_what_is_not_there_is_none(cluster: Cluster) -> None:
    async with client(cluster.access) as api:
        assert await api.get(ONE) is None


async def test_what_was_made_is_there(cluster: Cluster) -> None:
    async with client(cluster.access) as api:
        await api.create(SECRETS, BODY)
        found = await api.get(ONE)
    assert found is not None
    assert found["data"] == BODY["data"]


async def test_what_is_there_cannot_be_made_again(cluster: Cluster) -> None:
    cluster.api.put("secrets", "one", data={})
    async with client(cluster.access) as api:
        with pytest.raises(ConflictError, match="already exists"):
            await api.create(SECRETS, BODY)


async def test_a_change_of_somebody_else_is_not_written_over(cluster: Cluster) -> None:
    found = cluster.api.put("secrets", "one", type="Opaque", data={})
    cluster.api.put("secrets", "one", data={"theirs": ""})
    async with client(cluster.access) as api:
        with pytest.raises(ConflictError, match="has been modified"):
            await api.replace(ONE, {**found, "data": {}})
    assert cluster.api.objects["secrets", "one"]["data"] == {"theirs": ""}


async def test_a_role_that_is_missing_is_named(cluster: Cluster) -> None:
    cluster.api.forbidden.add(("get", "secrets"))
    async with client(cluster.access) as api:
        with pytest.raises(KubeError, match=r'cannot get resource "secrets".*Role'):
            await api.get(ONE)


async def test_the_token_is_read_anew_for_every_request(cluster: Cluster) -> None:
    async with client(cluster.access) as api:
        await api.get(ONE)
        cluster.api.token = "the.next.token"  # noqa: S105 - made for tests
        cluster.access.token.write_text(cluster.api.token)
        assert await api.get(ONE) is None


async def test_a_token_that_is_not_taken_is_said(cluster: Cluster) -> None:
    cluster.access.token.write_text("old")
    async with client(cluster.access) as api:
        with pytest.raises(KubeError, match="does not take our token"):
            await api.get(ONE)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_what_may_pass_is_tried_again(cluster: Cluster, status: int) -> None:
    cluster.api.troubles = [status, status]
    async with client(cluster.access) as api:
        assert await api.get(ONE) is None
    assert cluster.api.troubles == []


async def test_patience_ends(cluster: Cluster) -> None:
    cluster.api.troubles = [503] * 50
    clock = itertools.count(0, 10)
    async with client(cluster.access, lambda: next(clock)) as api:
        with pytest.raises(KubeError, match=re.escape("status 503, for 60 s")):
            await api.get(ONE)


async def test_a_server_that_is_away_is_tried_again_until_patience_ends(cluster: Cluster) -> None:
    clock = itertools.count(0, 10)
    nobody = replace(cluster.access, url="https://127.0.0.1:1")
    async with client(nobody, lambda: next(clock)) as api:
        with pytest.raises(KubeError, match="for 60 s"):
            await api.get(ONE)


async def test_a_server_under_another_authority_is_not_trusted(
    cluster: Cluster, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    access = replace(cluster.access, ca=Authority(other).ca)
    async with client(access) as api:
        with pytest.raises(KubeError, match="does not prove to be the cluster's API"):
            await api.get(ONE)


async def test_an_authority_that_is_not_there_is_said(cluster: Cluster) -> None:
    with pytest.raises(ConfigError, match=r"cannot use the cluster's certificate /nowhere/ca\.crt"):
        async with client(replace(cluster.access, ca=Path("/nowhere/ca.crt"))):
            pass


async def test_an_object_that_the_server_finds_wrong_is_refused_with_its_words(
    cluster: Cluster,
) -> None:
    async with client(cluster.access) as api:
        with pytest.raises(KubeError, match=r"illegal base64 data.*\(status 400\)"):
            await api.create(SECRETS, {**BODY, "data": {"key": "%"}})


async def test_requests_of_one_client_may_run_side_by_side(cluster: Cluster) -> None:
    async with client(cluster.access) as api:
        found = await asyncio.gather(*(api.get(f"{SECRETS}/{n}") for n in range(5)))
    assert found == [None] * 5
