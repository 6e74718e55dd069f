"""The machine's devices and addresses, as the kernel tells them, and news of them."""

import platform
import re
import select
import socket
from collections.abc import Iterator

import pytest

from tests.host.machine import ip, wire
from ztlink.host.addresses import AddressWatch, local_addresses, underlay_addresses

pytestmark = [pytest.mark.netadmin, pytest.mark.usefixtures("own_network")]

NAME = "eth0"


def found_on(name: str) -> set[str]:
    return {str(address) for device, address in local_addresses() if device == name}


def test_addresses_of_both_families_are_told_with_their_device() -> None:
    wire(NAME, "10.1.2.1/24", "fd12::1/64")
    assert found_on(NAME) >= {"10.1.2.1", "fd12::1"}
    assert found_on("lo") == {"127.0.0.1", "::1"}


def test_several_addresses_of_one_subnet_are_all_told() -> None:
    wire(NAME, "10.1.2.1/24", "10.1.2.2/24")
    assert found_on(NAME) >= {"10.1.2.1", "10.1.2.2"}


def test_of_a_link_with_two_ends_our_own_is_told() -> None:
    wire(NAME)
    ip("address", "add", "10.1.2.1", "peer", "10.1.2.9", "dev", NAME)
    assert "10.1.2.1" in found_on(NAME)
    assert "10.1.2.9" not in found_on(NAME)


def test_a_device_with_a_name_of_fifteen_characters_is_told() -> None:
    name = "z" * 15
    ip("link", "add", name, "type", "veth", "peer", "name", "other")
    ip("address", "add", "10.1.2.1/24", "dev", name)
    assert found_on(name) == {"10.1.2.1"}


def test_more_addresses_than_one_message_holds_are_all_told() -> None:
    wire(NAME, *(f"10.1.{number // 250}.{number % 250 + 1}/16" for number in range(600)))
    assert len(found_on(NAME)) >= 600


def test_the_underlay_has_no_device_that_is_down() -> None:
    wire(NAME, "10.1.2.1/24")
    ip("link", "set", NAME, "down")
    assert [one for one in underlay_addresses() if one.device == NAME] == []
    assert "10.1.2.1" in found_on(NAME)


def test_an_address_that_another_machine_has_is_tentative() -> None:
    wire(NAME)
    ip("address", "add", "fd12::1/64", "dev", f"{NAME}x", "nodad")
    ip("address", "add", "fd12::1/64", "dev", NAME)
    (told,) = [
        one for one in underlay_addresses() if (one.device, str(one.ip)) == (NAME, "fd12::1")
    ]
    assert told.is_tentative


def test_an_address_that_nobody_should_begin_with_is_deprecated() -> None:
    wire(NAME)
    ip("address", "add", "fd12::1/64", "dev", NAME, "nodad", "preferred_lft", "0")
    (told,) = [one for one in underlay_addresses() if str(one.ip) == "fd12::1"]
    assert told.is_deprecated


def way_out(text: str) -> int:
    return next(one.way_out for one in underlay_addresses() if str(one.ip) == text)


def test_an_address_leads_out_by_its_device() -> None:
    wire(NAME, "10.1.2.1/24")
    assert way_out("10.1.2.1") == socket.if_nametoindex(NAME)


def test_an_address_of_the_machine_itself_leads_out_by_any_device() -> None:
    ip("address", "add", "10.66.0.1/32", "dev", "lo")
    assert (way_out("127.0.0.1"), way_out("10.66.0.1")) == (0, 0)


# -- news ------------------------------------------------------------------------------------


@pytest.fixture
def watch() -> Iterator[AddressWatch]:
    opened = AddressWatch()
    opened.drain()
    yield opened
    opened.close()


def has_news(watch: AddressWatch, timeout: float) -> bool:
    return bool(select.select([watch.fileno()], [], [], timeout)[0])


@pytest.mark.parametrize("address", ["10.1.2.1/24", "fd12::1/64"])
def test_a_new_address_is_news(watch: AddressWatch, address: str) -> None:
    ip("address", "add", address, "dev", "lo")
    assert has_news(watch, 5)


def test_an_address_that_goes_is_news(watch: AddressWatch) -> None:
    ip("address", "delete", "127.0.0.1/8", "dev", "lo")
    assert has_news(watch, 5)


def test_a_link_that_goes_down_is_news(watch: AddressWatch) -> None:
    ip("link", "set", "lo", "down")
    assert has_news(watch, 5)


@pytest.mark.skipif(
    tuple(int(n) for n in re.findall(r"\d+", platform.release())[:2]) < (6, 14),
    reason="this kernel does not tell of groups: they are looked at once a minute",
)
def test_a_group_that_is_joined_is_news(watch: AddressWatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as member:
        group = socket.inet_aton("239.1.2.3") + socket.inet_aton("127.0.0.1")
        member.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
        assert has_news(watch, 5)


def test_news_are_passed_over_at_once(watch: AddressWatch) -> None:
    ip("address", "add", "10.1.2.1/24", "dev", "lo")
    assert has_news(watch, 5)
    watch.drain()
    assert not has_news(watch, 0)
