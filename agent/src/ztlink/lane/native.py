"""The compiled kernels: an image of machine code, and how it becomes functions.

The image is what `lane.kernel.build` makes: code that needs nothing but itself, wherever it lies.
Whatever it calls comes with its arguments.
"""

import ctypes
import hashlib
import mmap
import struct
from collections.abc import Callable
from ctypes import c_int64
from dataclasses import dataclass
from typing import Final

from ztlink.errors import ZtError

ENTRIES: Final = {"outbound": 4, "gather": 8, "open_all": 7, "run_length": 6, "coalesce": 7}
"""Kernels and the count of their arguments: numbers and addresses, of 64 bits all."""
MAGIC: Final = b"ztlink kernels 1"
_HEAD: Final = struct.Struct(f"<16s32s{len(ENTRIES)}Q")
"""Magic, digest of what follows it, where the kernels begin."""
_DIGESTED: Final = 48
_PROT_READ_EXEC: Final = mmap.PROT_READ | mmap.PROT_EXEC

Kernel = Callable[..., int]


class KernelError(ZtError):
    """There are no compiled kernels, and why."""


class DamagedImageError(KernelError):
    """An image is not what was written."""


@dataclass(frozen=True, slots=True)
class Kernels:
    """Compiled kernels; see their namesakes in `lane.kernel`."""

    outbound: Kernel
    gather: Kernel
    open_all: Kernel
    run_length: Kernel
    coalesce: Kernel
    memory: mmap.mmap
    """Where they lie: they are gone with it."""


def pack(code: bytes, offsets: dict[str, int]) -> bytes:
    """Return an image."""
    tail = struct.pack(f"<{len(ENTRIES)}Q", *(offsets[name] for name in ENTRIES)) + code
    return MAGIC + hashlib.sha256(tail).digest() + tail


def load(image: bytes) -> Kernels:
    """Return the functions in an image; KernelError where it is none, or may not be run."""
    if len(image) <= _HEAD.size or not image.startswith(MAGIC):
        raise DamagedImageError("this is no image of kernels")
    _, digest, *offsets = _HEAD.unpack_from(image)
    if hashlib.sha256(image[_DIGESTED:]).digest() != digest:
        raise DamagedImageError("the image of the kernels is damaged")
    code = image[_HEAD.size :]
    try:
        memory = mmap.mmap(-1, len(code), prot=mmap.PROT_READ | mmap.PROT_WRITE)
        memory.write(code)
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        libc = ctypes.CDLL(None, use_errno=True)
        size = ctypes.c_size_t(len(code))
        if libc.mprotect(ctypes.c_void_p(address), size, _PROT_READ_EXEC) != 0:
            raise OSError(ctypes.get_errno(), "mprotect")
    except OSError as error:
        raise KernelError(f"this machine lets no new code run: {error}") from error
    functions = {
        name: ctypes.CFUNCTYPE(c_int64, *[c_int64] * count)(address + offset)
        for (name, count), offset in zip(ENTRIES.items(), offsets, strict=True)
    }
    return Kernels(**functions, memory=memory)
