"""Salsa20/12 of eight blocks at once, as vectors (wire.adoc#suites)."""

from collections.abc import Callable
from typing import Any, Final, cast

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ztlink.lane.kernel.memory import INT, kernel, load_32, store_32

LANES: Final = 8
DOUBLE_ROUNDS: Final = 6
COLUMNS: Final = ((0, 4, 8, 12), (5, 9, 13, 1), (10, 14, 2, 6), (15, 3, 7, 11))
ROWS: Final = ((0, 1, 2, 3), (5, 6, 7, 4), (10, 11, 8, 9), (15, 12, 13, 14))
COUNTER: Final = 8
SIGMA_0: Final = 0x61707865
SIGMA_1: Final = 0x3320646E
SIGMA_2: Final = 0x79622D32
SIGMA_3: Final = 0x6B206574
"""The constants of 32-byte keys, "expand 32-byte k"."""
_WORD: Final = ir.IntType(32)
_VECTOR: Final = ir.VectorType(_WORD, LANES)


def _constant(numbers: list[int]) -> Any:  # noqa: ANN401 - llvmlite's own types
    return ir.Constant(_VECTOR, numbers)


def _splat(builder: Any, value: Any) -> Any:  # noqa: ANN401
    nothing = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(nothing, value, ir.Constant(_WORD, 0))
    return builder.shuffle_vector(first, nothing, _constant([0] * LANES))


def _rounds(builder: Any, start: list[Any]) -> list[Any]:  # noqa: ANN401
    """Return the words of the state after all rounds; each is a vector with one of every block."""
    x = list(start)

    def mix(target: int, one: int, other: int, bits: int) -> None:
        total = builder.add(x[one], x[other])
        high = builder.shl(total, _constant([bits] * LANES))
        low = builder.lshr(total, _constant([32 - bits] * LANES))
        x[target] = builder.xor(x[target], builder.or_(high, low))

    for _ in range(DOUBLE_ROUNDS):
        for a, b, c, d in COLUMNS + ROWS:
            mix(b, a, d, 7)
            mix(c, b, a, 9)
            mix(d, c, b, 13)
            mix(a, d, c, 18)
    return [builder.add(end, begin) for end, begin in zip(x, start, strict=True)]


def _eight_blocks(typing: Any, state: Any, out: Any) -> Any:  # noqa: ANN401
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        source = builder.inttoptr(arguments[0], _WORD.as_pointer())
        target = builder.inttoptr(arguments[1], _VECTOR.as_pointer())
        numbers = [ir.Constant(_WORD, index) for index in range(16)]
        start = [
            _splat(builder, builder.load(builder.gep(source, [number]), align=1))
            for number in numbers
        ]
        start[COUNTER] = builder.add(start[COUNTER], _constant(list(range(LANES))))
        for number, word in zip(numbers, _rounds(builder, start), strict=True):
            builder.store(word, builder.gep(target, [number]), align=1)
        return context.get_dummy_value()

    return types.void(INT, INT), generate


_write_eight = cast(Callable[[int, int], None], intrinsic(_eight_blocks))
"""Write word w of block b, counted from the state's, to 32 * w + 4 * b bytes behind an address."""


@kernel
def set_state(state: int, key: int, nonce: int) -> None:
    """Write the state of block 0; key and nonce are addresses."""
    store_32(state, SIGMA_0)
    store_32(state + 20, SIGMA_1)
    store_32(state + 40, SIGMA_2)
    store_32(state + 60, SIGMA_3)
    for index in range(4):
        store_32(state + 4 + 4 * index, load_32(key + 4 * index))
        store_32(state + 44 + 4 * index, load_32(key + 16 + 4 * index))
    store_32(state + 24, load_32(nonce))
    store_32(state + 28, load_32(nonce + 4))
    store_32(state + 32, 0)
    store_32(state + 36, 0)


@kernel
def blocks(state: int, first: int, out: int) -> None:
    """Write eight blocks from number `first` on, interleaved; see `word_of`."""
    store_32(state + 4 * COUNTER, first)
    _write_eight(state, out)


@kernel
def word_of(out: int, block: int, word: int) -> int:
    """Return a word of one of eight interleaved blocks."""
    return load_32(out + 4 * LANES * word + 4 * block)
