"""A TAP device that carries super-frames: what we read in one piece the kernel has not cut.

Some kernels refuse super-frames that are written. Such a one is cut here; where several in a row
are refused, none is tried any more.
"""

import errno
import fcntl
import logging
import os
import struct
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ztlink.batch import Gso, SuperFrame
from ztlink.errors import HostError
from ztlink.inet import segment

logger = logging.getLogger(__name__)

DEVICES: Final = (Path("/dev/net/tun"), Path("/dev/tun"))
TUNSETIFF: Final = 0x400454CA
TUNSETPERSIST: Final = 0x400454CB
TUNSETOFFLOAD: Final = 0x400454D0
TUNSETVNETHDRSZ: Final = 0x400454D8
IFF_TAP: Final = 0x0002
IFF_NO_PI: Final = 0x1000
IFF_VNET_HDR: Final = 0x4000
TUN_F_CSUM: Final = 0x01
TUN_F_TSO4: Final = 0x02
TUN_F_TSO6: Final = 0x04
VNET_NEEDS_CSUM: Final = 0x01
VNET_GSO_ECN: Final = 0x80
VNET_HEADER: Final = struct.Struct("<BBHHHH")
"""Flags, gso type, header length, gso size, checksum start, checksum offset (virtio 1.2, 5.1.6)."""
MAX_FRAME: Final = 65_536 + 64
MAX_REFUSALS: Final = 8
"""Super-frames refused in a row: one may be a sender's fault, so many are the kernel's way."""
_IFREQ: Final = struct.Struct("16sH22x")
_NO_HEADER: Final = bytes(VNET_HEADER.size)


class Tap:
    """One TAP device; gone when closed, unless it was told to persist.

    One that persists and that nobody holds is taken over by its name, with all that is on it.
    """

    def __init__(self, name: str, *, has_offload: bool = True) -> None:
        """Make the device; without offload it carries frames one by one."""
        self._fd = _open_device()
        try:
            request = _IFREQ.pack(name.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)
            answer = fcntl.ioctl(self._fd, TUNSETIFF, request)
            fcntl.ioctl(self._fd, TUNSETVNETHDRSZ, struct.pack("i", VNET_HEADER.size))
        except OSError as error:
            os.close(self._fd)
            raise _explain(error, name) from error
        self.name = answer[:16].rstrip(b"\0").decode()
        self.dropped = 0
        """Frames that the kernel did not take."""
        self.is_gone = False
        """Somebody else removed the device."""
        if has_offload:
            self._offload()
        self._refusals = 0 if has_offload else MAX_REFUSALS
        self._buffer = bytearray(VNET_HEADER.size + MAX_FRAME)
        self._view = memoryview(self._buffer)

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._fd

    def persist(self, persists: bool) -> None:
        """Say whether the device outlives this process, however that ends."""
        if self.is_gone:
            return
        try:
            fcntl.ioctl(self._fd, TUNSETPERSIST, int(persists))
        except OSError as error:
            raise HostError(
                error.errno, f"cannot keep the TAP {self.name}: {error.strerror}"
            ) from error

    def close(self) -> None:
        """Let go of the device; one that does not persist is gone then."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def read(self, budget: int) -> Iterator[SuperFrame]:
        """Yield up to `budget` frames of the host; each is borrowed until the next is taken."""
        for _ in range(budget):
            try:
                size = os.readv(self._fd, [self._buffer])
            except BlockingIOError:
                return
            except OSError as error:  # EIO while the device is down
                self.is_gone = error.errno == errno.EBADFD
                logger.debug("read failed device=%s error=%s", self.name, error)
                return
            if size <= VNET_HEADER.size:
                continue
            yield self._parse(size)

    def write(self, frame: SuperFrame) -> None:
        """Hand a frame to the host; one that it does not take is counted."""
        if frame.gso is Gso.NONE:
            self._write_one(_vnet_header(frame), frame.buffer)
        elif self._refusals >= MAX_REFUSALS:
            self._write_cut(frame)
        elif self._write_one(_vnet_header(frame), frame.buffer, refusal=errno.EINVAL):
            self._refusals = 0
        else:
            self._refusals += 1
            if self._refusals == MAX_REFUSALS:
                logger.info("writing frames one by one device=%s", self.name)
            self._write_cut(frame)

    def _write_one(self, header: bytes, frame: memoryview, refusal: int = 0) -> bool:
        """Write a frame; False where the error is the one that the caller sees to."""
        try:
            os.writev(self._fd, [header, frame])
        except OSError as error:
            if error.errno == refusal:
                return False
            self.dropped += 1
            logger.debug("write failed device=%s error=%s", self.name, error)
        return True

    def _write_cut(self, frame: SuperFrame) -> None:
        sizes = segment.sizes_of(frame, 0)
        starts = array("I", range(0, sizes[0] * len(sizes), sizes[0]))
        pieces = memoryview(bytearray(sum(sizes)))
        segment.cut(frame, pieces, starts, 0)
        for start, size in zip(starts, sizes, strict=True):
            self._write_one(_NO_HEADER, pieces[start : start + size])

    def _parse(self, size: int) -> SuperFrame:
        flags, kind, header, segment, start, offset = VNET_HEADER.unpack_from(self._buffer)
        frame = self._view[VNET_HEADER.size : size]
        needs_checksum = bool(flags & VNET_NEEDS_CSUM)
        kind &= ~VNET_GSO_ECN
        if kind == Gso.NONE or not segment or len(frame) <= header:
            return SuperFrame(
                frame,
                needs_checksum=needs_checksum,
                checksum_start=start,
                checksum_offset=offset,
            )
        # The kernel's hint of the header's length may be short or long: the TCP header tells.
        header = start + (frame[start + 12] >> 4) * 4
        return SuperFrame(frame, Gso(kind), header, segment, needs_checksum, start, offset)

    def _offload(self) -> None:
        try:
            fcntl.ioctl(self._fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)
        except OSError as error:
            logger.info("reading frames one by one device=%s error=%s", self.name, error)


def _vnet_header(frame: SuperFrame) -> bytes:
    if not frame.needs_checksum and frame.gso is Gso.NONE:
        return _NO_HEADER
    return VNET_HEADER.pack(
        VNET_NEEDS_CSUM if frame.needs_checksum else 0,
        frame.gso,
        frame.header_size,
        frame.segment_size,
        frame.checksum_start,
        frame.checksum_offset,
    )


def _open_device() -> int:
    for device in DEVICES:
        try:
            return os.open(device, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise HostError(
                error.errno, f"cannot open {device}: {error.strerror}; the node needs access to it"
            ) from error
    raise HostError(
        errno.ENOENT,
        f"{DEVICES[0]} does not exist: load the tun module (modprobe tun), or give the container "
        "the device",
    )


def _explain(error: OSError, name: str) -> HostError:
    if error.errno == errno.EPERM:
        return HostError(error.errno, f"cannot make the TAP {name}: NET_ADMIN is missing")
    if error.errno == errno.EBUSY:
        return HostError(error.errno, f"cannot make the TAP {name}: the name is in use")
    if error.errno == errno.EINVAL:  # a name that the kernel takes, but not for a TAP
        return HostError(
            error.errno, f"cannot make the TAP {name}: a device of another kind has that name"
        )
    return HostError(error.errno, f"cannot make the TAP {name}: {error.strerror}")
