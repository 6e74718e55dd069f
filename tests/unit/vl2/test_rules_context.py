from ipaddress import IPv4Interface, IPv6Interface

from ztlink.derive import rfc4193_address, sixplane_address
from ztlink.ids import Address, IpInterface, Mac, parse_address, parse_network_id
from ztlink.vl2.rule_context import things_of, trusted_prefixes
from ztlink.wire.credentials import CertificateOfOwnership, Thing, ThingType

OWN, OTHER = parse_address("53be9b7b42"), parse_address("1598c1bf84")
NETWORK = parse_network_id("1122334455667788")
MAC = Mac(bytes.fromhex("26a9b6f7a790"))


def certificate(*things: Thing) -> CertificateOfOwnership:
    return CertificateOfOwnership(NETWORK, 0, 0, 1, things, Address(OWN))


def test_things_lose_their_padding() -> None:
    ip = IPv4Interface("10.0.0.1").ip
    things = things_of([certificate(Thing.of_ip(ip)), certificate(Thing.of_mac(MAC))])
    assert things == {(ThingType.IPV4, ip.packed), (ThingType.MAC, MAC)}


def test_things_of_unknown_types_do_not_count() -> None:
    assert things_of([certificate(Thing(9, bytes(16)))]) == frozenset()


def test_each_scheme_of_which_we_hold_our_address_is_trusted() -> None:
    sixplane, rfc4193 = sixplane_address(NETWORK, OWN), rfc4193_address(NETWORK, OWN)
    prefixes = trusted_prefixes(NETWORK, OWN, [rfc4193, sixplane])
    assert prefixes == (sixplane.ip.packed[:5], rfc4193.ip.packed[:11])


def test_another_members_address_makes_no_scheme_trusted() -> None:
    held: list[IpInterface] = [
        sixplane_address(NETWORK, OTHER),
        IPv4Interface("10.0.0.1/8"),
        IPv6Interface("fd::1/8"),
    ]
    assert trusted_prefixes(NETWORK, OWN, held) == ()
