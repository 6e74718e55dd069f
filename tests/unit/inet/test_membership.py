from ipaddress import ip_address

import pytest

from ztlink.inet.flow import parse_frame
from ztlink.inet.membership import NOTHING, GroupReport, group_report

GROUP_4, GROUP_6 = ip_address("239.1.2.3"), ip_address("ff02::1:ff00:1")
ETHERNET_4 = bytes.fromhex("01005e00001602000000000108004600")
ETHERNET_6 = bytes.fromhex("3333000000160200000000016786dd")[:12] + b"\x86\xdd"


def igmp(message: bytes, fragment: int = 0) -> bytes:
    """With the router alert option, as hosts send it."""
    rest = bytes(4) + fragment.to_bytes(2, "big") + b"\x01\x02" + bytes(10) + b"\x94\x04\0\0"
    return ETHERNET_4 + rest + message


def mld(message: bytes) -> bytes:
    """With the router alert option, as hosts send it."""
    header = bytes([0x60, 0, 0, 0]) + (8 + len(message)).to_bytes(2, "big") + b"\x00\x01"
    return ETHERNET_6 + header + bytes(32) + bytes.fromhex("3a00050200000100") + message


def report(frame: bytes) -> GroupReport:
    return group_report(memoryview(frame), parse_frame(memoryview(frame)))


def igmp_of(kind: int, group: bytes = GROUP_4.packed) -> bytes:
    return igmp(bytes([kind, 0, 0, 0]) + group)


def mld_of(kind: int, group: bytes = GROUP_6.packed) -> bytes:
    return mld(bytes([kind]) + bytes(7) + group)


def igmp3(*records: bytes) -> bytes:
    return igmp(b"\x22" + bytes(6) + bytes([len(records)]) + b"".join(records))


def mld2(*records: bytes) -> bytes:
    return mld(bytes([143]) + bytes(6) + bytes([len(records)]) + b"".join(records))


def record(kind: int, sources: int, group: bytes = GROUP_4.packed, extra: int = 0) -> bytes:
    return bytes([kind, extra, 0, sources]) + group + bytes(sources * len(group) + 4 * extra)


JOINED_4, LEFT_4 = GroupReport(joined=(GROUP_4,)), GroupReport(left=(GROUP_4,))
JOINED_6, LEFT_6 = GroupReport(joined=(GROUP_6,)), GroupReport(left=(GROUP_6,))


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (igmp_of(0x12), JOINED_4),
        (igmp_of(0x16), JOINED_4),
        (igmp_of(0x17), LEFT_4),
        (mld_of(131), JOINED_6),
        (mld_of(132), LEFT_6),
    ],
    ids=["IGMPv1", "IGMPv2", "IGMPv2 leave", "MLDv1", "MLDv1 done"],
)
def test_a_report_names_one_group(frame: bytes, expected: GroupReport) -> None:
    assert report(frame) == expected


@pytest.mark.parametrize(
    ("kind", "sources", "expected"),
    [
        (1, 0, LEFT_4),
        (1, 1, JOINED_4),
        (2, 0, JOINED_4),
        (3, 0, LEFT_4),
        (3, 2, JOINED_4),
        (4, 0, JOINED_4),
        (4, 1, JOINED_4),
        (5, 1, JOINED_4),
        (6, 1, NOTHING),
    ],
)
def test_a_record_joins_or_leaves(kind: int, sources: int, expected: GroupReport) -> None:
    assert report(igmp3(record(kind, sources))) == expected


def test_records_follow_each_other() -> None:
    other = ip_address("239.9.9.9")
    frame = igmp3(record(2, 1, extra=2), record(3, 0, other.packed))
    assert report(frame) == GroupReport(joined=(GROUP_4,), left=(other,))


def test_records_of_mld_have_longer_groups() -> None:
    assert report(mld2(record(4, 1, GROUP_6.packed), record(6, 0, GROUP_6.packed))) == JOINED_6


def test_a_record_that_is_cut_short_ends_the_report() -> None:
    assert report(igmp3(record(4, 0), record(4, 0))[:-1]) == JOINED_4


@pytest.mark.parametrize(
    "frame",
    [
        igmp_of(0x11),
        igmp_of(0x16, bytes([10, 0, 0, 1])),
        igmp_of(0x16)[:-1],
        igmp3(record(4, 0, bytes([10, 0, 0, 1]))),
        igmp(bytes([0x16, 0, 0, 0]) + GROUP_4.packed, fragment=1),
        mld_of(130),
        mld_of(131)[:-1],
        mld_of(131, bytes(16)),
        mld(bytes([131])),
        bytes(60),
    ],
    ids=[
        "query",
        "no group",
        "cut short",
        "record without group",
        "fragment",
        "MLD query",
        "MLD cut short",
        "MLD without group",
        "MLD header only",
        "neither",
    ],
)
def test_nothing_else_is_a_report(frame: bytes) -> None:
    assert report(frame) == NOTHING
