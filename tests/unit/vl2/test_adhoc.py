"""Networks without a controller."""

from typing import Any

import pytest

from tests.vectors.loading import load
from ztlink.ids import NetworkId, format_address, parse_address, parse_network_id
from ztlink.vl2.adhoc import adhoc_config, is_adhoc, is_impossible
from ztlink.wire.netconf import NetworkConfig
from ztlink.wire.rules import encode_rules

CASES = load("derive.json")["adhoc"]
REQUESTING, OK, NOT_FOUND = 0, 1, 3
NOW = 1_700_000_000_000


def config_of(case: dict[str, Any]) -> NetworkConfig | None:
    own = parse_address(case["member"])
    return adhoc_config(parse_network_id(case["network_id"]), own, NOW)


@pytest.mark.parametrize("case", [case for case in CASES if case["status_code"] == OK])
def test_config_is_that_of_the_reference(case: dict[str, Any]) -> None:
    config = config_of(case)
    assert config is not None
    described = {
        "name": config.name.decode(),
        "type": config.type.name.lower(),
        "mtu": config.mtu,
        "flags": int(config.flags),
        "multicast_limit": config.multicast_limit,
        "credential_time_max_delta": config.credential_time_max_delta,
        "revision": config.revision,
        "managed_addresses": [str(address) for address in config.addresses],
        "rules": encode_rules(config.rules).hex(),
        "specialists": [f"{s.roles << 40 | s.address:016x}" for s in config.specialists],
    }
    assert described == {key: case[key] for key in described}


@pytest.mark.parametrize("case", [case for case in CASES if case["status_code"] == OK])
def test_config_is_ours_and_of_now(case: dict[str, Any]) -> None:
    config = config_of(case)
    assert config is not None
    assert (format_address(config.issued_to), config.timestamp) == (case["member"], NOW)


@pytest.mark.parametrize("case", [case for case in CASES if case["status_code"] != OK])
def test_id_of_no_known_form_gives_no_config(case: dict[str, Any]) -> None:
    assert config_of(case) is None


@pytest.mark.parametrize("case", CASES)
def test_network_is_impossible_where_the_reference_finds_none(case: dict[str, Any]) -> None:
    network_id = parse_network_id(case["network_id"])
    assert is_impossible(network_id) is (case["status_code"] == NOT_FOUND)


def test_network_with_a_controller_is_not_adhoc() -> None:
    network_id = NetworkId(0x112972485D000001)
    assert not is_adhoc(network_id)
    assert adhoc_config(network_id, parse_address("202fe49703"), NOW) is None
