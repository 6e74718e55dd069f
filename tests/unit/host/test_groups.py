"""The kernel's table of link-layer groups."""

from ztlink.host.groups import MAX_GROUPS, parse_dev_mcast
from ztlink.ids import Mac, MulticastGroup

TABLE = """\
2    eth0            1     0     333300000001
2    eth0            1     0     01005e000001
9    zt0             1     0     333300000001
9    zt0             2     1     01005e0000fb
10   zt00            1     0     3333ff000001
"""


def group(text: str) -> MulticastGroup:
    return MulticastGroup(Mac(bytes.fromhex(text)))


def test_the_groups_of_one_device_are_found() -> None:
    found = parse_dev_mcast(TABLE, "zt0")
    assert found == {group("333300000001"), group("01005e0000fb")}


def test_a_device_that_is_not_in_the_table_has_no_groups() -> None:
    assert parse_dev_mcast(TABLE, "zt1") == frozenset()


def test_an_empty_table_has_no_groups() -> None:
    assert parse_dev_mcast("", "zt0") == frozenset()


def test_an_address_that_is_no_group_is_passed_over() -> None:
    assert parse_dev_mcast("9 zt0 1 0 020000000001", "zt0") == frozenset()


def test_what_is_no_entry_is_passed_over() -> None:
    table = "9 zt0\n\nzt0 zt0 zt0 zt0 zt0\n9 zt0 1 0 01005e0000fb0000\n"
    assert parse_dev_mcast(table, "zt0") == frozenset()


def test_there_is_a_most_of_groups() -> None:
    table = "".join(f"9 zt0 1 0 01005e00{n:04x}\n" for n in range(MAX_GROUPS + 5))
    assert len(parse_dev_mcast(table, "zt0")) == MAX_GROUPS
