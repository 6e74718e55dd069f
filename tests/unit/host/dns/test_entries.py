"""What of a network's name servers may be told to others."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from tests.unit.api.seen import config
from ztlink.host.dns.entries import NameServers, coredns_stub, name_servers
from ztlink.wire.netconf import Dns, NetworkConfig

SERVER = ip_address("10.147.1.53")


def network(domain: bytes, *servers: str) -> NetworkConfig:
    return replace(config(), dns=Dns(domain, tuple(map(ip_address, servers))))


def test_a_domain_and_its_servers_are_told() -> None:
    found = name_servers(network(b"Mesh.Example.", "10.147.1.53"))
    assert found == NameServers("mesh.example", (SERVER,))


def test_before_there_is_a_configuration_there_are_none() -> None:
    assert name_servers(None) is None


@pytest.mark.parametrize(
    "domain",
    [
        b"",
        b".",
        b"a b",
        b"a..b",
        b"-a.example",
        b"a.example}\nevil",
        b"mesh.example\n",
        b"\xff.example",
        b"a" * 64,
        b"*",
    ],
)
def test_what_is_no_name_of_a_domain_is_told_to_nobody(domain: bytes) -> None:
    assert name_servers(network(domain, "10.147.1.53")) is None


@pytest.mark.parametrize("ip", ["::", "127.0.0.1", "224.0.0.251", "169.254.1.1", "::1"])
def test_what_is_no_server_on_a_network_is_left_out(ip: str) -> None:
    found = name_servers(network(b"mesh.example", ip, "10.147.1.53"))
    assert found == NameServers("mesh.example", (SERVER,))


def test_without_a_server_a_domain_is_told_to_nobody() -> None:
    assert name_servers(network(b"mesh.example")) is None


def test_coredns_is_given_a_block_that_asks_the_network_s_servers() -> None:
    servers = name_servers(network(b"mesh.example", "10.147.1.53", "fd00::53"))
    assert coredns_stub(servers) == (
        "mesh.example:53 {\n    errors\n    cache 30\n    forward . 10.147.1.53 fd00::53\n}\n"
    )


def test_coredns_is_given_nothing_where_there_is_nothing() -> None:
    assert coredns_stub(None) == ""
