"""Names on a network, with name servers that answer from a table."""

from collections.abc import Mapping
from ipaddress import ip_address

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from ztlink.aio.errors import NameNotFound
from ztlink.aio.names import Names
from ztlink.ids import IpAddress
from ztlink.wire.netconf import Dns

SERVER = ip_address("10.0.0.53")
OTHER = ip_address("10.0.0.54")
HOST = ip_address("10.0.0.7")
HOST6 = ip_address("fd00::7")


class Servers:
    """Name servers: what they know, who of them is silent, what they were asked."""

    def __init__(self, *records: str) -> None:
        self.records = records
        self.silent: set[IpAddress] = set()
        self.is_long = False
        self.asked: list[tuple[IpAddress, str, bool]] = []

    async def ask(self, server: IpAddress, content: bytes, is_stream: bool) -> bytes:
        query = dns.message.from_wire(content)
        (question,) = query.question
        name = question.name.to_text(omit_final_dot=True)
        self.asked.append((server, name, is_stream))
        if server in self.silent:
            raise ConnectionRefusedError
        answer = dns.message.make_response(query)
        if self.is_long and not is_stream:
            answer.flags |= dns.flags.TC
            return answer.to_wire()
        for record in self.records:
            owner, ttl, kind, value = record.split()
            if dns.rdatatype.from_text(kind) in (question.rdtype, dns.rdatatype.CNAME):
                answer.answer.append(dns.rrset.from_text(f"{owner}.", int(ttl), "IN", kind, value))
        if not self.records:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer.to_wire()


def names(servers: Servers, hosts: Mapping[str, IpAddress] | None = None) -> Names:
    return Names(servers.ask, lambda: Dns(b"mesh.example", (SERVER, OTHER)), hosts)


async def test_names_that_are_forgotten_are_asked_for_anew() -> None:
    servers = Servers("db.mesh.example 60 A 10.0.0.7")
    found = names(servers)
    await found.resolve("db")
    asked = len(servers.asked)
    found.forget()
    await found.resolve("db")
    assert len(servers.asked) == 2 * asked


async def test_an_address_is_its_own_name() -> None:
    servers = Servers()
    assert await names(servers).resolve("fd00::7") == (HOST6,)
    assert servers.asked == []


async def test_the_programs_own_table_comes_before_the_servers() -> None:
    servers = Servers("db.mesh.example 60 A 10.0.0.9")
    assert await names(servers, {"DB": HOST}).resolve("db") == (HOST,)
    assert servers.asked == []


async def test_a_short_name_is_of_the_networks_domain() -> None:
    servers = Servers("db.mesh.example 60 A 10.0.0.7")
    assert await names(servers).resolve("db") == (HOST,)


async def test_both_families_are_found() -> None:
    servers = Servers("db.mesh.example 60 A 10.0.0.7", "db.mesh.example 60 AAAA fd00::7")
    assert await names(servers).resolve("db.mesh.example.") == (HOST, HOST6)


async def test_an_alias_is_followed() -> None:
    servers = Servers(
        "db.mesh.example 60 CNAME one.mesh.example.", "one.mesh.example 60 A 10.0.0.7"
    )
    assert await names(servers).resolve("db") == (HOST,)


async def test_an_answer_is_kept() -> None:
    servers = Servers("db.mesh.example 60 A 10.0.0.7")
    cached = names(servers)
    await cached.resolve("db")
    count = len(servers.asked)
    await cached.resolve("DB")
    assert len(servers.asked) == count


async def test_the_second_server_is_asked_where_the_first_is_silent() -> None:
    servers = Servers("db.mesh.example 60 A 10.0.0.7")
    servers.silent = {SERVER}
    assert await names(servers).resolve("db") == (HOST,)


async def test_a_long_answer_is_fetched_by_tcp() -> None:
    servers = Servers("db.mesh.example 60 A 10.0.0.7")
    servers.is_long = True
    assert await names(servers).resolve("db") == (HOST,)
    assert any(is_stream for _, _, is_stream in servers.asked)


async def test_a_name_that_nobody_knows_is_said() -> None:
    with pytest.raises(NameNotFound, match="know no address"):
        await names(Servers()).resolve("db")


async def test_servers_that_do_not_answer_are_named() -> None:
    servers = Servers()
    servers.silent = {SERVER, OTHER}
    with pytest.raises(NameNotFound, match=r"10\.0\.0\.53, 10\.0\.0\.54"):
        await names(servers).resolve("db")


async def test_a_network_without_name_servers_says_what_else_helps() -> None:
    with pytest.raises(NameNotFound, match="hosts="):
        await Names(Servers().ask, Dns).resolve("db")


async def test_what_cannot_be_a_name_is_said() -> None:
    with pytest.raises(NameNotFound, match="is no name"):
        await names(Servers()).resolve("a" * 64 + ".example")


async def test_an_answer_that_is_none_is_passed_over() -> None:
    async def garbage(_: IpAddress, __: bytes, ___: bool) -> bytes:
        return b"\xff" * 40

    with pytest.raises(NameNotFound, match="no answer"):
        await Names(garbage, lambda: Dns(b"", (SERVER,))).resolve("db.example")
