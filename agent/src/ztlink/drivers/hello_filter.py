"""A filter that the kernel runs before a datagram takes room in a socket: HELLOs, by lot.

It is a classic BPF program (as tcpdump's), which needs no rights. What it drops costs a tenth of
what reading it would. All but HELLOs to us in clear pass; of them a share, by chance, where their
source is one of those named, another share of all others.
"""

import ctypes
import socket
import struct
from typing import Final

from ztlink.ids import Address
from ztlink.vl1.floodgate import Gate
from ztlink.wire.packet import (
    MASK_SUITE,
    OFFSET_DESTINATION,
    OFFSET_FLAGS,
    OFFSET_FRAGMENT_MARKER,
    OFFSET_VERB,
    SIZE_HEADER,
    VERB_MASK,
)
from ztlink.wire.verbs import Verb

SO_ATTACH_FILTER: Final = 26
SO_DETACH_FILTER: Final = 27
_UDP_HEADER: Final = 8
"""A filter of a UDP socket sees the datagram from its UDP header on."""
_IP_HEADER: Final = 0x1_0000_0000 - 0x10_0000
"""SKF_NET_OFF: offsets from here count from the IP header."""
_RANDOM: Final = 0x1_0000_0000 - 0x1000 + 56
"""SKF_AD_OFF + SKF_AD_RANDOM: not a place in the packet, but 32 random bits."""
_LOAD_WORD: Final = 0x20
_LOAD_BYTE: Final = 0x30
_LOAD_LENGTH: Final = 0x80
_AND: Final = 0x54
_JUMP_EQUAL: Final = 0x15
_JUMP_GREATER: Final = 0x25
_JUMP_AT_LEAST: Final = 0x35
_RETURN: Final = 0x06
_ALL: Final = 0xFFFF_FFFF
_SOURCE_V4: Final = 12
_SOURCE_V6: Final = 8
_MASK_V4: Final = 0xFFFF_FF00
_INSTRUCTION: Final = struct.Struct("=HBBI")
_PROGRAM: Final = struct.Struct("@HP")

Step = tuple[int, int, str | None, str | None]
"""Code, value, and the labels to go to where a comparison holds and where not; None: go on."""


def attach(opened: socket.socket, gate: Gate, me: Address, version: int) -> None:
    """Have the kernel filter what a socket receives; OSError where it does not."""
    program = assemble(gate, me, version)
    memory = ctypes.create_string_buffer(program, len(program))
    count = len(program) // _INSTRUCTION.size
    described = _PROGRAM.pack(count, ctypes.addressof(memory))
    opened.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, described)


def detach(opened: socket.socket) -> None:
    """Have the kernel let everything pass."""
    opened.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, struct.pack("=i", 0))


def assemble(gate: Gate, me: Address, version: int) -> bytes:
    """Return the program for sockets of one IP version."""
    steps: list[Step | str] = [
        (_LOAD_LENGTH, 0, None, None),
        (_JUMP_AT_LEAST, _UDP_HEADER + SIZE_HEADER, None, "pass"),
        *_payload_byte(OFFSET_VERB, VERB_MASK, Verb.HELLO),
        *_payload_byte(OFFSET_FLAGS, MASK_SUITE, 0),
        (_LOAD_BYTE, _UDP_HEADER + OFFSET_FRAGMENT_MARKER, None, None),
        (_JUMP_EQUAL, 0xFF, "pass", None),
        (_LOAD_WORD, _UDP_HEADER + OFFSET_DESTINATION, None, None),
        (_JUMP_EQUAL, me >> 8, None, "pass"),
        *_payload_byte(OFFSET_DESTINATION + 4, 0xFF, me & 0xFF),
        *_named(gate, version),
        *_lot(gate.others_share),
        "named",
        *_lot(gate.named_share),
        "pass",
        (_RETURN, _ALL, None, None),
        "drop",
        (_RETURN, 0, None, None),
    ]
    return _link(steps)


def _payload_byte(offset: int, mask: int, wanted: int) -> list[Step]:
    return [
        (_LOAD_BYTE, _UDP_HEADER + offset, None, None),
        (_AND, mask, None, None),
        (_JUMP_EQUAL, wanted, None, "pass"),
    ]


def _named(gate: Gate, version: int) -> list[Step | str]:
    """Go to "named" where the source is one of those."""
    prefixes = sorted(prefix for kind, prefix in gate.named if kind == version)
    steps: list[Step | str] = []
    if version == 4 and prefixes:
        steps += [(_LOAD_WORD, _IP_HEADER + _SOURCE_V4, None, None), (_AND, _MASK_V4, None, None)]
        steps += [(_JUMP_EQUAL, prefix << 8, "named", None) for prefix in prefixes]
    elif version == 6:
        for number, prefix in enumerate(prefixes):
            steps += [
                (_LOAD_WORD, _IP_HEADER + _SOURCE_V6, None, None),
                (_JUMP_EQUAL, prefix >> 32, None, f"next{number}"),
                (_LOAD_WORD, _IP_HEADER + _SOURCE_V6 + 4, None, None),
                (_JUMP_EQUAL, prefix & _ALL, "named", None),
                f"next{number}",
            ]
    return steps


def _lot(share: float) -> list[Step]:
    return [
        (_LOAD_WORD, _RANDOM, None, None),
        (_JUMP_GREATER, min(int(share * _ALL), _ALL), "drop", "pass"),
    ]


def _link(steps: list[Step | str]) -> bytes:
    """Turn labels into distances; a program is short, so that they fit into a byte."""
    places: dict[str, int] = {}
    code: list[Step] = []
    for step in steps:
        if isinstance(step, str):
            places[step] = len(code)
        else:
            code.append(step)
    packed = bytearray()
    for place, (operation, value, if_so, if_not) in enumerate(code):
        jumps = [places[label] - place - 1 if label else 0 for label in (if_so, if_not)]
        packed += _INSTRUCTION.pack(operation, *jumps, value)
    return bytes(packed)
