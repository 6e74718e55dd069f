"""Names of a network, from a name server on the kernel's side of it."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import pytest_asyncio

from tests.judge.command import run
from tests.judge.field import VERSIONS, Field
from tests.judge.name_server import NameServer, serving
from tests.lab.pages import Pages
from tests.lab.wait import wait_until
from ztlink.aio.errors import NameNotFound

pytestmark = [pytest.mark.netadmin, pytest.mark.asyncio(loop_scope="module")]
DOMAIN = "lab.example"
MANY = tuple(str(IPv4Address("10.77.0.10") + number) for number in range(100))
"""More than an answer of 512 bytes, or of 1232, has room for."""
PATIENCE = 30.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(field: Field) -> AsyncIterator[NameServer]:
    """A name server, which the network's controller has told all members of."""
    four, six = (field.kernel_ip(version) for version in VERSIONS)
    made = NameServer(
        {
            (f"web.{DOMAIN}.", "A"): (four,),
            (f"web.{DOMAIN}.", "AAAA"): (six,),
            (f"six.{DOMAIN}.", "AAAA"): (six,),
            (f"alias.{DOMAIN}.", "CNAME"): (f"web.{DOMAIN}.",),
            (f"many.{DOMAIN}.", "A"): MANY,
        }
    )
    async with serving(made, field):
        told = {"dns": {"domain": DOMAIN, "servers": [four]}}
        await asyncio.to_thread(partial(field.mesh.apply, told))
        await asyncio.to_thread(
            wait_until, lambda: field.network.dns.servers, timeout=PATIENCE, what="name servers"
        )
        yield made


async def names(field: Field, host: str) -> set[str]:
    return {str(ip) for ip in await field.network.resolve(host)}


@pytest.mark.parametrize("host", ["web", f"web.{DOMAIN}", f"alias.{DOMAIN}", f"WEB.{DOMAIN}."])
async def test_a_name_is_found(field: Field, server: NameServer, host: str) -> None:
    assert await names(field, host) == {field.kernel_ip(4), field.kernel_ip(6)}


async def test_a_name_with_ipv6_alone_is_found(field: Field, server: NameServer) -> None:
    assert await names(field, "six") == {field.kernel_ip(6)}


async def test_an_answer_that_does_not_fit_is_asked_for_by_tcp(
    field: Field, server: NameServer
) -> None:
    before = server.by_tcp
    assert await names(field, "many") == set(MANY)
    assert server.by_tcp == before + 1


async def test_an_answer_is_kept(field: Field, server: NameServer) -> None:
    await names(field, "web")
    before = server.by_udp
    await names(field, "web")
    assert server.by_udp == before


async def test_a_name_that_is_not_there_is_not_found(field: Field, server: NameServer) -> None:
    with pytest.raises(NameNotFound, match="know no address"):
        await field.network.resolve("nobody")


@pytest.mark.parametrize("host", ["web", "six"])
async def test_a_page_is_fetched_by_name(
    field: Field, server: NameServer, tmp_path: Path, host: str
) -> None:
    async with (
        field.kernel_site(Pages(tmp_path).application()) as served,
        field.our_session() as session,
        session.get(f"http://{host}.{DOMAIN}:{served.port}/?name=anna") as response,
    ):
        assert await response.json() == {"hello": "anna"}


async def test_our_command_calls_by_name(field: Field, server: NameServer, tmp_path: Path) -> None:
    async with field.kernel_site(Pages(tmp_path).application()) as served:
        page = f"http://web.{DOMAIN}:{served.port}/?name=anna"
        assert await run(*field.ztlink("call", page)) == b'{"hello": "anna"}'
