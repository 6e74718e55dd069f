"""Planets and moons."""

from hashlib import sha256
from typing import Any

import pytest

from tests.vectors.loading import load
from ztlink.crypto.identity import verify
from ztlink.errors import WireError
from ztlink.wire.buffer import Reader
from ztlink.wire.default_planet import DEFAULT_PLANET
from ztlink.wire.world import World

WORLDS = load("world.json")["worlds"]
GOOD = [case for case in WORLDS if case["parses"]]
BAD = [case for case in WORLDS if not case["parses"]]


def names(case: dict[str, Any]) -> str:
    return str(case["name"])


def decode(case: dict[str, Any]) -> World:
    return World.from_bytes(bytes.fromhex(case["bytes"]))


@pytest.mark.parametrize("case", GOOD, ids=names)
def test_world_decodes_to_its_fields(case: dict[str, Any]) -> None:
    world = decode(case)
    fields = {
        "type": int(world.world_type),
        "id": f"{world.world_id:016x}",
        "timestamp": world.timestamp,
        "next_update_key": world.next_update_key.hex(),
        "signature": world.signature.hex(),
        "roots": [
            {
                "identity": str(root.identity),
                "stable_endpoints": [e and str(e) for e in root.stable_endpoints],
            }
            for root in world.roots
        ],
    }
    assert fields == {key: case[key] for key in fields}


@pytest.mark.parametrize("case", GOOD, ids=names)
def test_world_ends_where_its_fields_end(case: dict[str, Any]) -> None:
    reader = Reader(bytes.fromhex(case["bytes"]))
    World.decode(reader)
    assert reader.position == case["bytes_consumed"]


@pytest.mark.parametrize("case", GOOD, ids=names)
def test_world_encodes_to_the_same_bytes_where_the_reference_does(case: dict[str, Any]) -> None:
    original = bytes.fromhex(case["bytes"])[: case["bytes_consumed"]]
    assert (decode(case).to_bytes() == original) is case["reserialized_equal"]


@pytest.mark.parametrize("case", GOOD, ids=names)
def test_signature_covers_the_world_as_written_again(case: dict[str, Any]) -> None:
    assert decode(case).signing_input().hex() == case["signing_input"]


@pytest.mark.parametrize("case", GOOD, ids=names)
def test_signature_is_good_under_its_own_key_where_the_reference_says(
    case: dict[str, Any],
) -> None:
    world = decode(case)
    good = verify(world.next_update_key, world.signing_input(), world.signature)
    assert good is case["signature_verifies_under_own_next_update_key"]


@pytest.mark.parametrize("case", BAD, ids=names)
def test_malformed_world_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        decode(case)


def test_moon_with_a_long_dictionary_is_too_large() -> None:
    moon = next(case for case in GOOD if case["type"] == 127 and case["reserialized_equal"])
    body = bytes.fromhex(moon["bytes"])[: moon["bytes_consumed"] - 2]
    with pytest.raises(WireError, match="bytes"):
        World.from_bytes(body + (8480).to_bytes(2, "big") + bytes(8480))


def test_empty_entries_are_no_endpoints_of_a_root() -> None:
    case = next(case for case in GOOD if case["name"] == "endpoint nil")
    (root,) = decode(case).roots
    assert (root.stable_endpoints, root.endpoints) == ((None,), ())


def test_default_planet_has_the_known_digest() -> None:
    digest = "d85620dee418cd7efc5558b6a50b2a8ac34792764d074fa55d752952e48da470"
    assert sha256(DEFAULT_PLANET.to_bytes()).hexdigest() == digest


def test_default_planet_is_signed_with_the_key_that_it_names() -> None:
    planet = DEFAULT_PLANET
    assert verify(planet.next_update_key, planet.signing_input(), planet.signature)


def test_default_planet_decodes_to_an_equal_one() -> None:
    assert World.from_bytes(DEFAULT_PLANET.to_bytes()) == DEFAULT_PLANET
