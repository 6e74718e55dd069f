"""Who may speak to the local API from elsewhere."""

import asyncio
from ipaddress import ip_network

import pytest

from ztlink.api.listeners import Listeners


def listeners(*networks: str) -> Listeners:
    made = Listeners(asyncio.Protocol)
    made._networks = tuple(ip_network(one) for one in networks)  # noqa: SLF001 - without a port
    return made


@pytest.mark.parametrize("client", ["127.0.0.1", "127.0.0.9", "::1"])
def test_this_machine_may_always_speak(client: str) -> None:
    assert listeners().lets_in(client)


@pytest.mark.parametrize("client", ["10.1.2.3", "2001:db8::1", "fe80::1%eth0"])
def test_others_may_not(client: str) -> None:
    assert not listeners().lets_in(client)


@pytest.mark.parametrize(
    ("client", "may"),
    [
        ("10.1.2.3", True),
        ("10.2.2.3", False),
        ("2001:db8::9", True),
        ("2001:db8:1::9", False),
        ("::ffff:10.1.2.3", False),
    ],
)
def test_clients_of_the_networks_that_are_named_may(client: str, may: bool) -> None:
    assert listeners("10.1.0.0/16", "2001:db8::/64").lets_in(client) is may


def test_a_network_may_be_everybody_of_a_family() -> None:
    everybody = listeners("0.0.0.0/0")
    assert everybody.lets_in("203.0.113.9")
    assert not everybody.lets_in("2001:db8::1")
