import pytest

from tests.unit.inet.frames import plain_checksum
from ztlink.inet.checksum import MODULUS, checksum, fold, ones_sum, row_sums

# RFC 1071 3: the sum of these eight bytes is ddf2.
RFC_1071 = bytes.fromhex("0001f203f4f5f6f7")


def test_the_sum_of_the_rfc_is_found() -> None:
    assert ones_sum(RFC_1071) == 0xDDF2


def test_the_checksum_is_the_complement() -> None:
    assert checksum(RFC_1071) == 0xFFFF - 0xDDF2


def test_what_else_is_covered_is_added() -> None:
    assert checksum(RFC_1071[4:], ones_sum(RFC_1071[:4])) == checksum(RFC_1071)


@pytest.mark.parametrize(("total", "folded"), [(0, 0), (0xFFFF, 0xFFFF), (0x10000, 1)])
def test_only_nothing_folds_to_zero(total: int, folded: int) -> None:
    assert fold(total) == folded


@pytest.mark.parametrize("size", [0, 1, 2, 639, 640, 641, 65_535])
@pytest.mark.parametrize("byte", [0x00, 0x5A, 0xFF])
def test_every_size_is_summed_as_word_by_word(size: int, byte: int) -> None:
    data = bytes([byte]) * size
    assert checksum(data) == plain_checksum(data)


@pytest.mark.parametrize("size", [1, 2, 3, 700, 701])
def test_rows_are_summed_one_by_one(size: int) -> None:
    data = bytes(index * 7 % 256 for index in range(3 + 4 * size))
    rows = [data[3 + row * size : 3 + (row + 1) * size] for row in range(4)]
    sums = row_sums(memoryview(data), 3, 4, size).tolist()
    assert sums == [ones_sum(row) % MODULUS for row in rows]
