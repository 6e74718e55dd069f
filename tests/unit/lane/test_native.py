"""Images of machine code: what is run, and what is not."""

import pytest

from tests.unit.lane.engines import kernel_image
from ztlink.drivers.kernels import obstacle_to_compiling
from ztlink.lane.kernel.flatten import flatten
from ztlink.lane.native import ENTRIES, DamagedImageError, KernelError, load, pack

RETURN_7 = b"\xb8\x07\x00\x00\x00\xc3"
"""mov eax, 7; ret"""
OFFSETS = dict.fromkeys(ENTRIES, 0)
needs_kernels = pytest.mark.skipif(
    obstacle_to_compiling() is not None, reason=str(obstacle_to_compiling())
)


@needs_kernels
def test_what_was_packed_can_be_called() -> None:
    kernels = load(pack(b"\xcc" * 16 + RETURN_7, dict.fromkeys(ENTRIES, 16)))
    assert kernels.run_length(1, 2, 3, 4, 5, 6) == 7


@needs_kernels
def test_the_code_cannot_be_written_to() -> None:
    kernels = load(kernel_image().read_bytes())
    with open("/proc/self/maps") as maps:  # noqa: PTH123 - not a file to be read at once
        modes = [line.split()[1] for line in maps]
    assert kernels.memory
    assert not [mode for mode in modes if "w" in mode and "x" in mode]


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (b"", "no image"),
        (pack(RETURN_7, OFFSETS)[:60], "no image"),
        (b"?" + pack(RETURN_7, OFFSETS)[1:], "no image"),
        (pack(RETURN_7, OFFSETS)[:-1], "damaged"),
        (pack(RETURN_7, OFFSETS)[:-1] + b"\0", "damaged"),
    ],
)
def test_nothing_else_is_loaded(image: bytes, reason: str) -> None:
    with pytest.raises(DamagedImageError, match=reason):
        load(image)


def test_an_object_of_another_machine_is_not_flattened() -> None:
    elf = bytearray(64)
    elf[18:20] = (183).to_bytes(2, "little")
    with pytest.raises(KernelError, match="machine 183"):
        flatten(bytes(elf), ENTRIES)
