"""Configurations of networks."""

from ipaddress import ip_address, ip_interface
from typing import Any

import pytest

from tests.unit.wire.described import describe_credential
from tests.vectors.loading import load
from ztlink.errors import WireError
from ztlink.ids import Address, NetworkId, format_address, format_network_id
from ztlink.wire.netconf import (
    MAX_CONFIG_SIZE,
    ConfigFlag,
    Dns,
    NetworkConfig,
    NetworkType,
    Route,
    Specialist,
    SpecialistRole,
    Sso,
)
from ztlink.wire.rules import encode_rules

CONFIGS = load("netconf.json")["configs"]
ACCEPTED = [case for case in CONFIGS if case["accepted"]]
REFUSED = [case for case in CONFIGS if not case["accepted"]]
SSO_FIELDS = {
    0: ("authentication_url",),
    1: ("issuer_url", "central_url", "nonce", "state", "client_id", "provider"),
}


def names(case: dict[str, Any]) -> str:
    return str(case["name"])


def decode(case: dict[str, Any]) -> NetworkConfig:
    return NetworkConfig.decode(bytes.fromhex(case["dictionary"]))


def describe(config: NetworkConfig) -> dict[str, Any]:
    return {
        "nwid": format_network_id(config.network_id),
        "ts": config.timestamp,
        "ctmd": config.credential_time_max_delta,
        "r": config.revision,
        "id": format_address(config.issued_to),
        "tt": format_address(config.trace_target),
        "tl": config.trace_level,
        "f": int(config.flags),
        "ml": config.multicast_limit,
        "t": config.type.name.lower(),
        "mtu": config.mtu,
        "n": config.name.hex(),
        "specialists": [describe_specialist(s) for s in config.specialists],
        "routes": [
            {
                "target": str(route.target),
                "via": f"{route.via}/0" if route.via else None,
                "flags": route.flags,
                "metric": route.metric,
            }
            for route in config.routes
        ],
        "addresses": [str(address) for address in config.addresses],
        "rules_binary": encode_rules(config.rules).hex(),
        "dns_domain": config.dns.domain.decode(),
        "dns_servers": [f"{server}/0" for server in config.dns.servers],
        **describe_sso(config.sso),
    }


def describe_specialist(specialist: Specialist) -> dict[str, Any]:
    return {
        "address": format_address(specialist.address),
        "roles": f"{specialist.roles:06x}",
        "active_bridge": SpecialistRole.ACTIVE_BRIDGE in specialist.roles,
        "anchor": SpecialistRole.ANCHOR in specialist.roles,
        "multicast_replicator": SpecialistRole.REPLICATOR in specialist.roles,
    }


def describe_sso(sso: Sso) -> dict[str, Any]:
    fields: dict[str, Any] = {"sso_version": sso.version, "sso_enabled": sso.enabled}
    if sso.enabled:
        fields |= {name: getattr(sso, name).decode() for name in SSO_FIELDS[sso.version]}
    if sso.enabled and sso.version == 0:
        fields["authentication_expiry"] = sso.authentication_expiry
    return fields


@pytest.mark.parametrize("case", ACCEPTED, ids=names)
def test_config_decodes_to_its_fields(case: dict[str, Any]) -> None:
    expected = {
        key: value
        for key, value in case["fields"].items()
        if key not in ("com", "capabilities", "tags", "coos", "rules")
    }
    assert describe(decode(case)) == expected


@pytest.mark.parametrize("case", ACCEPTED, ids=names)
def test_config_holds_its_certificate_of_membership(case: dict[str, Any]) -> None:
    com, expected = decode(case).com, case["fields"]["com"]
    assert (com is None) is (expected is None)
    assert com is None or expected.items() <= describe_credential(com).items()


@pytest.mark.parametrize("case", ACCEPTED, ids=names)
@pytest.mark.parametrize("kind", ["capabilities", "tags", "coos"])
def test_config_holds_its_other_credentials(case: dict[str, Any], kind: str) -> None:
    expected = case["fields"][kind]
    found = [describe_credential(credential) for credential in getattr(decode(case), kind)]
    assert len(found) == len(expected)
    for description, fields in zip(found, expected, strict=True):
        ours = {key: value for key, value in fields.items() if key not in ("rules", "bytes")}
        assert ours.items() <= description.items()


@pytest.mark.parametrize("case", ACCEPTED, ids=names)
def test_config_encodes_to_the_same_bytes_where_the_reference_does(case: dict[str, Any]) -> None:
    same = decode(case).encode().hex() == case["dictionary"]
    assert same is case["reserialized_equal"]


@pytest.mark.parametrize("case", ACCEPTED, ids=names)
def test_encoded_config_decodes_to_an_equal_one(case: dict[str, Any]) -> None:
    config = decode(case)
    assert NetworkConfig.decode(config.encode()) == config


@pytest.mark.parametrize("case", REFUSED, ids=names)
def test_config_that_the_reference_refuses_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        decode(case)


HEAD = b"v=7\nnwid=112972485d000001\nid=202fe49703\n"


def blob(*parts: bytes) -> bytes:
    escapes = {0: b"\\0", 10: b"\\n", 13: b"\\r", 61: b"\\e", 92: b"\\\\"}
    return b"".join(escapes.get(byte, bytes([byte])) for byte in b"".join(parts))


def test_legacy_format_is_named_in_the_refusal() -> None:
    with pytest.raises(WireError, match="format version 0, with keys v4s com of the legacy format"):
        NetworkConfig.decode(b"nwid=112972485d000001\nid=202fe49703\nv4s=10.0.0.1/24\ncom=0")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"I=" + blob(b"\x04\x0a\0\0\x01\0\x21"), "prefix /33"),
        (b"I=" + blob(b"\0"), "an empty address"),
        (b"RT=" + blob(b"\x04\x0a\0\0\0\0\x21\0\0\0\0\0"), "prefix /33"),
        (b"RT=" + blob(b"\0\0\0\0\0\0"), "a route without a target"),
        (b"R=" + blob(b"\x1f\x05\x0a\0\0\0\x21"), "prefix /33"),
        (b"id=0", "for member 0"),
    ],
)
def test_entry_that_cannot_be_used_makes_the_config_unusable(line: bytes, reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        NetworkConfig.decode(line + b"\n" + HEAD)


def test_config_beyond_the_size_limit_is_refused() -> None:
    with pytest.raises(WireError, match=f"{MAX_CONFIG_SIZE + 1} bytes"):
        NetworkConfig.decode(HEAD.ljust(MAX_CONFIG_SIZE + 1, b"x"))


@pytest.mark.parametrize(
    ("key", "entry", "field", "most"),
    [
        (b"RT", b"\x04\x0a\0\0\0\0\x18\0\0\0\0\0", "routes", 128),
        (b"I", b"\x04\x0a\0\0\x01\0\x18", "addresses", 32),
        (b"S", b"\0\0\x02\x20\x2f\xe4\x97\x03", "specialists", 256),
        (b"R", b"\x01\0", "rules", 1024),
    ],
)
def test_lists_are_cut_at_their_limits(key: bytes, entry: bytes, field: str, most: int) -> None:
    text = HEAD + key + b"=" + blob(entry * (most + 1))
    assert len(getattr(NetworkConfig.decode(text), field)) == most


def test_over_long_name_is_cut() -> None:
    assert NetworkConfig.decode(HEAD + b"n=" + b"x" * 200).name == b"x" * 127


def test_flags_read_as_statements() -> None:
    config = NetworkConfig.decode(HEAD + b"f=1e\nt=1")
    statements = (
        config.is_public,
        config.allows_broadcast,
        config.emulates_ndp,
        config.unknown_rules_match,
        config.compresses_frames,
    )
    assert statements == (True, True, True, True, False)


def test_members_are_found_by_their_roles() -> None:
    config = NetworkConfig(
        network_id=NetworkId(1),
        timestamp=1,
        issued_to=Address(1),
        specialists=(
            Specialist(Address(2), SpecialistRole.ACTIVE_BRIDGE),
            Specialist(Address(3), SpecialistRole.ANCHOR | SpecialistRole.ACTIVE_BRIDGE),
            Specialist(Address(4), SpecialistRole.REPLICATOR),
        ),
    )
    assert (config.active_bridges, config.anchors, config.replicators) == ((2, 3), (3,), (4,))


def test_sso_of_an_unknown_version_survives_a_round_trip() -> None:
    config = NetworkConfig.decode(HEAD + b"ssov=2\nssoe=1\naurl=x")
    assert config.sso == Sso(2, True)
    assert NetworkConfig.decode(config.encode()).sso == Sso(2, True)


def test_config_made_here_decodes_to_an_equal_one() -> None:
    config = NetworkConfig(
        network_id=NetworkId(0x112972485D000001),
        timestamp=1_700_000_000_000,
        issued_to=Address(0x202FE49703),
        flags=ConfigFlag.BROADCAST | ConfigFlag.NDP_EMULATION,
        type=NetworkType.PUBLIC,
        name=b"a=b\\c",
        routes=(Route(ip_interface("0.0.0.0/0"), ip_address("10.147.17.1"), 1, 500),),
        dns=Dns(b"lab.example", (ip_address("10.147.17.2"), ip_address("fd51::2"))),
    )
    assert NetworkConfig.decode(config.encode()) == config
