"""Reading single fields: what is taken, and how a refusal reads."""

import pytest

from ztlink.controller.fields import (
    FieldError,
    as_number,
    integer,
    interface,
    ip,
    read_fields,
    text,
    trace_target,
)


def test_a_field_that_is_not_there_sets_nothing() -> None:
    assert read_fields({"other": 1}, {"mtu": as_number("mtu", 0, 9)}) == {}


def test_a_truth_value_is_no_number() -> None:
    with pytest.raises(FieldError, match="mtu: True is not an integer from 0 to 9"):
        integer("mtu", True, 0, 9)


def test_bytes_of_a_text_are_counted_not_letters() -> None:
    with pytest.raises(FieldError, match="at most 3 bytes"):
        text("name", "\u00fc\u00fc", 3)


def test_an_address_of_a_number_is_refused() -> None:
    with pytest.raises(FieldError, match="servers: 16843009 is not an IP address"):
        ip("servers", 0x01010101)


def test_a_range_may_have_bits_of_a_host() -> None:
    assert str(interface("target", "10.1.2.3/16")) == "10.1.2.3/16"


@pytest.mark.parametrize("value", [None, ""])
def test_no_trace_target_is_none(value: object) -> None:
    assert trace_target("remoteTraceTarget", value) is None
