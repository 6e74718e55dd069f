"""An ELF object made one piece of code that may lie anywhere; what it cannot say is an error."""

import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

from ztlink.lane.native import KernelError

_HEADER: Final = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION: Final = struct.Struct("<IIQQQQIIQQ")
_SYMBOL: Final = struct.Struct("<IBBHQQ")
_RELOCATION: Final = struct.Struct("<QQq")
_X86_64: Final = 62
_PROGBITS, _SYMTAB, _RELA = 1, 2, 4
_ALLOC: Final = 2
_RELATIVE: Final = frozenset({2, 4})
"""R_X86_64_PC32, R_X86_64_PLT32: four bytes, the distance from where they are."""
_UNDEFINED: Final = 0


class _Section(NamedTuple):
    name: int
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry: int


def flatten(elf: bytes, entries: Iterable[str]) -> tuple[bytes, dict[str, int]]:
    """Return the code with its constants, and where the functions named `entries` begin."""
    header = _HEADER.unpack_from(elf)
    if header[2] != _X86_64:
        raise KernelError(f"objects of machine {header[2]} cannot be flattened")
    table, count = header[6], header[12]
    sections = [_Section(*_SECTION.unpack_from(elf, table + 64 * i)) for i in range(count)]
    code = bytearray()
    places: dict[int, int] = {}
    for number, section in enumerate(sections):
        if section.kind == _PROGBITS and section.flags & _ALLOC:
            code += bytes(-len(code) % max(section.alignment, 1))
            places[number] = len(code)
            code += elf[section.offset : section.offset + section.size]
    symbols = _symbols(elf, sections)
    for section in sections:
        if section.kind == _RELA and section.info in places:
            _relocate(elf, section, places, symbols, code)
    found = {name: places[home] + value for name, home, value in symbols if home in places}
    return bytes(code), {name: found[name] for name in entries}


def _symbols(elf: bytes, sections: list[_Section]) -> list[tuple[str, int, int]]:
    """Return name, section and value of each."""
    (table,) = (one for one in sections if one.kind == _SYMTAB)
    names = sections[table.link].offset
    symbols = []
    for at in range(table.offset, table.offset + table.size, _SYMBOL.size):
        name, _, _, home, value, _ = _SYMBOL.unpack_from(elf, at)
        start = names + name
        symbols.append((elf[start : elf.index(b"\0", start)].decode(), home, value))
    return symbols


def _relocate(
    elf: bytes,
    section: _Section,
    places: dict[int, int],
    symbols: list[tuple[str, int, int]],
    code: bytearray,
) -> None:
    for at in range(section.offset, section.offset + section.size, _RELOCATION.size):
        offset, info, addend = _RELOCATION.unpack_from(elf, at)
        name, home, value = symbols[info >> 32]
        if home == _UNDEFINED:
            raise KernelError(f"the kernels call {name}, which comes with no arguments")
        if info & 0xFFFF_FFFF not in _RELATIVE:
            raise KernelError(f"a relocation of type {info & 0xFFFF_FFFF} cannot be resolved")
        place = places[section.info] + offset
        struct.pack_into("<i", code, place, places[home] + value + addend - place)
