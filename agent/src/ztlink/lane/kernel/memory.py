"""Memory as kernels see it: addresses are integers, and what lies there needs no alignment.

Numbers are 64 bits wide and signed; what is read of fewer bits is never negative. `load` and
`store` go by the machine's order of bytes, `get` and `put` by the network's.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

INT: Final = types.int64
Load = Callable[[int], int]
Store = Callable[[int, int], None]
_WORD: Final = ir.IntType(64)
_CHUNK: Final = ir.VectorType(ir.IntType(8), 32)
_Kernel = TypeVar("_Kernel", bound=Callable[..., Any])


def kernel(function: _Kernel) -> _Kernel:
    """Mark what is compiled: it neither raises nor allocates."""
    compiled = njit(error_model="numpy", boundscheck=False, no_cpython_wrapper=True)(function)
    return cast(_Kernel, compiled)


def _loader(bits: int) -> Load:
    kind = ir.IntType(bits)

    def load(typing: Any, address: Any) -> Any:  # noqa: ANN401 - numba's own types
        def generate(_: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
            value = builder.load(builder.inttoptr(arguments[0], kind.as_pointer()), align=1)
            return value if bits == _WORD.width else builder.zext(value, _WORD)

        return INT(INT), generate

    return cast(Load, intrinsic(load))


def _storer(bits: int) -> Store:
    kind = ir.IntType(bits)

    def store(typing: Any, address: Any, value: Any) -> Any:  # noqa: ANN401
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
            place = builder.inttoptr(arguments[0], kind.as_pointer())
            number = arguments[1]
            builder.store(
                number if bits == _WORD.width else builder.trunc(number, kind), place, align=1
            )
            return context.get_dummy_value()

        return types.void(INT, INT), generate

    return cast(Store, intrinsic(store))


load_8, load_16, load_32, load_64 = (_loader(bits) for bits in (8, 16, 32, 64))
store_8, store_16, store_32, store_64 = (_storer(bits) for bits in (8, 16, 32, 64))


def _call(
    typing: Any,  # noqa: ANN401
    function: Any,  # noqa: ANN401
    one: Any,  # noqa: ANN401
    two: Any,  # noqa: ANN401
    three: Any,  # noqa: ANN401
    four: Any,  # noqa: ANN401
    five: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    def generate(_: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        kind = ir.FunctionType(_WORD, [_WORD] * 5).as_pointer()
        return builder.call(builder.inttoptr(arguments[0], kind), arguments[1:])

    return INT(INT, INT, INT, INT, INT, INT), generate


def _copy_chunk(typing: Any, target: Any, source: Any) -> Any:  # noqa: ANN401
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        kind = _CHUNK.as_pointer()
        value = builder.load(builder.inttoptr(arguments[1], kind), align=1)
        builder.store(value, builder.inttoptr(arguments[0], kind), align=1)
        return context.get_dummy_value()

    return types.void(INT, INT), generate


call = cast(Callable[[int, int, int, int, int, int], int], intrinsic(_call))
"""Call a function of C, named first, by its address; it ignores arguments it does not take."""
_copy_32 = cast(Store, intrinsic(_copy_chunk))


@kernel
def copy(target: int, source: int, size: int) -> None:
    """Copy to somewhere else, or to a lower place."""
    whole = size & ~31
    for index in range(0, whole, 32):
        _copy_32(target + index, source + index)
    for index in range(whole, size):
        store_8(target + index, load_8(source + index))


@kernel
def copy_up(target: int, source: int, size: int) -> None:
    """Copy to a higher place, which may overlap; so from the end."""
    while size & 31:
        size -= 1
        store_8(target + size, load_8(source + size))
    while size:
        size -= 32
        _copy_32(target + size, source + size)


@kernel
def get_16(address: int) -> int:
    """Return two bytes as a number."""
    return load_8(address) << 8 | load_8(address + 1)


@kernel
def put_16(address: int, value: int) -> None:
    """Write a number as two bytes."""
    store_8(address, value >> 8)
    store_8(address + 1, value)


@kernel
def get_32(address: int) -> int:
    """Return four bytes as a number."""
    return get_16(address) << 16 | get_16(address + 2)


@kernel
def put_32(address: int, value: int) -> None:
    """Write a number as four bytes."""
    put_16(address, value >> 16)
    put_16(address + 2, value)


@kernel
def is_equal(one: int, other: int, size: int) -> bool:
    """Compare bytes; for what is no secret."""
    for index in range(size):  # noqa: SIM110 - kernels have no generators
        if load_8(one + index) != load_8(other + index):
            return False
    return True


@kernel
def fold(total: int) -> int:
    """Fold a sum to 16 bits: only zero becomes zero."""
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@kernel
def ones_sum(address: int, size: int) -> int:
    """Return the one's complement sum of 16-bit words; an odd byte is padded with zero."""
    total = 0
    words = size >> 2
    for index in range(words):
        total += load_32(address + 4 * index)
    rest = address + 4 * words
    if size & 2:
        total += load_16(rest)
        rest += 2
    if size & 1:
        total += load_8(rest)
    total = fold(total)
    return (total & 0xFF) << 8 | total >> 8
