"""Address fields and the scopes of IP addresses."""

from ipaddress import ip_address, ip_interface
from typing import Any

import pytest

from tests.vectors.loading import load
from ztlink.errors import WireError
from ztlink.ids import Endpoint
from ztlink.wire.buffer import Reader, Writer
from ztlink.wire.inet_address import (
    IpScope,
    ip_scope,
    pull_endpoint,
    pull_interface,
    push_endpoint,
    push_interface,
)

ENCODINGS = load("derive.json")["inet_encoding"]
GOOD = [case for case in ENCODINGS if case["ok"]]
BAD = [case for case in ENCODINGS if not case["ok"]]


@pytest.mark.parametrize("case", GOOD)
def test_field_decodes_to_its_value(case: dict[str, Any]) -> None:
    reader = Reader(bytes.fromhex(case["bytes"]))
    endpoint = pull_endpoint(reader)
    value = "nil" if endpoint is None else str(endpoint)
    assert (value, reader.position) == (case["value"], case["consumed"])


@pytest.mark.parametrize("case", [case for case in GOOD if case["bytes"][:2] in ("00", "04", "06")])
def test_field_encodes_to_the_same_bytes(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["bytes"])
    writer = Writer()
    push_endpoint(pull_endpoint(Reader(data)), writer)
    assert writer.getvalue() == data[: case["consumed"]]


@pytest.mark.parametrize("case", BAD)
def test_malformed_field_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        pull_endpoint(Reader(bytes.fromhex(case["bytes"])))


@pytest.mark.parametrize("text", ["10.147.17.5/24", "0.0.0.0/0", "fd51::2/64", "::/128"])
def test_field_with_a_prefix_survives_a_round_trip(text: str) -> None:
    writer = Writer()
    push_interface(ip_interface(text), writer)
    assert pull_interface(Reader(writer.getvalue())) == ip_interface(text)


def test_empty_field_with_a_prefix_is_none() -> None:
    writer = Writer()
    push_interface(None, writer)
    assert pull_interface(Reader(writer.getvalue())) is None


@pytest.mark.parametrize("text", ["10.0.0.1/33", "fd51::2/129"])
def test_prefix_longer_than_the_address_is_refused(text: str) -> None:
    ip, _, prefix = text.partition("/")
    writer = Writer()
    push_endpoint(Endpoint(ip_address(ip), int(prefix)), writer)
    with pytest.raises(WireError, match=f"prefix /{prefix}"):
        pull_interface(Reader(writer.getvalue()))


@pytest.mark.parametrize("case", load("derive.json")["ip_scopes"], ids=lambda case: case["ip"])
def test_scope_is_that_of_the_reference(case: dict[str, Any]) -> None:
    assert ip_scope(ip_address(case["ip"])) == IpScope(case["scope"])
