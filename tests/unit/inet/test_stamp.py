from array import array

import pytest

from ztlink.inet.stamp import Stamp, write_evenly

FIN, PSH, ACK, CWR = 0x01, 0x08, 0x10, 0x80


def tcp_stamp(flags: int) -> Stamp:
    """Of IPv4 and TCP headers in which every field is zero."""
    stamp = Stamp(bytearray(40), 0, 20, is_v4=True, is_tcp=True)
    stamp.flags = flags
    return stamp


@pytest.mark.parametrize(
    ("is_first", "is_last", "flags"),
    [
        (True, True, ACK | CWR | FIN | PSH),
        (True, False, ACK | CWR),
        (False, False, ACK),
        (False, True, ACK | FIN | PSH),
    ],
)
def test_flags_depend_on_the_place(is_first: bool, is_last: bool, flags: int) -> None:
    stamp = tcp_stamp(ACK | CWR | FIN | PSH)
    assert stamp.flags_of(is_first=is_first, is_last=is_last) == flags


def test_pieces_are_written_behind_their_headers() -> None:
    out = bytearray(150)
    starts, sizes = array("I", [0, 50, 100]), array("I", [44, 44, 42])
    write_evenly(tcp_stamp(ACK), memoryview(b"abcdefghij"), 4, memoryview(out), starts, sizes)
    assert [bytes(out[at + 40 : at + 44]) for at in starts] == [b"abcd", b"efgh", b"ij\0\0"]
