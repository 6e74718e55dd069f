"""Which ranges overlap."""

from ipaddress import IPv4Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ztlink.host.routes.ranges import Range, RangeTable, Use


def table(*networks: str) -> RangeTable:
    return RangeTable(Range(ip_network(one), Use.PODS, "a test") for one in networks)


@pytest.mark.parametrize(
    ("known", "target"),
    [
        ("10.0.0.0/8", "10.20.0.0/16"),
        ("10.20.3.0/24", "10.20.0.0/16"),
        ("10.20.0.0/24", "10.20.0.0/16"),
        ("10.20.0.0/16", "10.20.0.0/16"),
        ("10.20.255.255/32", "10.20.0.0/16"),
        ("fd00::/8", "fd12::/64"),
        ("fd12::1/128", "fd12::/64"),
    ],
)
def test_ranges_overlap_where_one_contains_the_other(known: str, target: str) -> None:
    found = table(known).first_overlap(ip_network(target))
    assert found is not None
    assert found.network == ip_network(known)


@pytest.mark.parametrize(
    ("known", "target"),
    [
        ("10.21.0.0/16", "10.20.0.0/16"),
        ("10.19.255.0/24", "10.20.0.0/16"),
        ("::a14:0/112", "10.20.0.0/16"),
        ("10.20.0.0/16", "::a14:0/112"),
    ],
)
def test_ranges_apart_and_of_different_families_do_not_overlap(known: str, target: str) -> None:
    assert table(known).first_overlap(ip_network(target)) is None


def test_an_empty_table_has_no_overlap() -> None:
    assert RangeTable().first_overlap(ip_network("10.20.0.0/16")) is None


def test_of_two_ranges_of_the_same_the_first_stays() -> None:
    known = table("10.20.0.0/16")
    known.add(Range(ip_network("10.20.0.0/16"), Use.NODES, "later"))
    assert [one.origin for one in known] == ["a test"]


def networks() -> st.SearchStrategy[IPv4Network]:
    return st.tuples(st.integers(0, 255), st.integers(2, 32)).map(
        lambda drawn: IPv4Network((drawn[0] << 24 | drawn[0] << 3, drawn[1]), strict=False)
    )


@given(st.lists(networks(), max_size=12), networks())
def test_what_is_told_is_what_a_comparison_of_all_would_tell(
    known: list[IPv4Network], target: IPv4Network
) -> None:
    found = table(*map(str, known)).first_overlap(target)
    assert (found is not None) == any(one.overlaps(target) for one in known)
