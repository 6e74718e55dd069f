"""The engine of compiled kernels: a call for a whole super-frame or train.

The kernels (`lane.kernel`) are Python that was compiled before; here are their arguments and what
becomes of their results. What they do not do, the portable engine does.
"""

import ctypes
import struct
from array import array
from typing import Final

from ztlink.batch import Gso, PacketBatch, Plan, SuperFrame, Transmit
from ztlink.crypto import evp
from ztlink.crypto.armor import dearmor
from ztlink.crypto.kdf import PeerCipher
from ztlink.lane.gather import Gathered
from ztlink.lane.layout import transmits_of
from ztlink.lane.native import KernelError, Kernels
from ztlink.lane.portable import PortableEngine
from ztlink.wire.packet import MAX_FRAGMENTS, SIZE_FRAGMENT_HEADER

_JOB: Final = struct.Struct("=18q")
_RESULT: Final = struct.Struct("=4q")
_GATHERED: Final = struct.Struct("=2q")
_FRAME: Final = struct.Struct("=4I")
_MAX_PACKETS: Final = 512
"""Packets in one run; what a train has beyond them is the next run."""
_SCRATCH_SIZE: Final = 1024
_OWN_HEADERS: Final = 256
"""Bytes at most that a piece has beside its part of the payload: Ethernet, IP, TCP."""
_NOT_OURS: Final = 2
_address_of = ctypes.addressof
_byte = ctypes.c_char.from_buffer


class JitEngine:
    """See `Engine`; for one thread at a time."""

    name = "jit"

    def __init__(self, kernels: Kernels) -> None:
        """Use kernels; KernelError where the system has no libcrypto for them."""
        if not evp.is_available():
            raise KernelError("the kernels need libcrypto of OpenSSL 3 or later")
        self._kernels = kernels
        self._portable = PortableEngine()
        self._scratch = bytearray(_SCRATCH_SIZE)
        self._job = bytearray(_JOB.size)
        self._result = bytearray(_RESULT.size)
        self._spans = array("I", bytes(4 * 2 * _MAX_PACKETS))
        self._frames = bytearray(_FRAME.size * _MAX_PACKETS)
        self._scratch_at = _address_of(_byte(self._scratch))
        self._job_at = _address_of(_byte(self._job))
        self._result_at = _address_of(_byte(self._result))
        self._spans_at = self._spans.buffer_info()[0]
        self._frames_at = _address_of(_byte(self._frames))

    def outbound(
        self, frame: SuperFrame, payload_offset: int, cipher: PeerCipher, plan: Plan
    ) -> list[Transmit]:
        """Cut, seal and fragment a super-frame in one go."""
        if frame.gso is Gso.UDP_L4 or frame.buffer.readonly:
            return self._portable.outbound(frame, payload_offset, cipher, plan)
        size, count = len(frame.buffer), len(plan.packet_ids) // 8
        prefix, ids = bytearray(plan.prefix), bytearray(plan.packet_ids)
        per_packet = _OWN_HEADERS + len(prefix) + SIZE_FRAGMENT_HEADER * MAX_FRAGMENTS
        out = bytearray(size + count * per_packet)
        _JOB.pack_into(
            self._job,
            0,
            _address_of(_byte(frame.buffer)),
            size,
            frame.gso,
            frame.segment_size,
            frame.checksum_start,
            frame.checksum_offset,
            frame.needs_checksum,
            payload_offset,
            _address_of(_byte(prefix)),
            len(prefix),
            _address_of(_byte(ids)),
            count,
            _address_of(_byte(out)),
            plan.path_mtu,
            plan.suite,
            plan.trusted_path_id,
            plan.destination,
            plan.source,
        )
        done = self._kernels.outbound(
            self._job_at, cipher.evp.address, self._scratch_at, self._result_at
        )
        if done != count:
            return self._portable.outbound(frame, payload_offset, cipher, plan)
        whole, datagrams, last, last_datagrams = _RESULT.unpack(self._result)
        view = memoryview(out)
        if (whole, datagrams) == (last, last_datagrams):
            return transmits_of(view, 0, count, whole, datagrams, plan)
        transmits = transmits_of(view, 0, count - 1, whole, datagrams, plan)
        end = (count - 1) * (whole + SIZE_FRAGMENT_HEADER * (datagrams - 1))
        return transmits + transmits_of(view, end, 1, last, last_datagrams, plan)

    def gather(self, buffer: memoryview, stride: int, start: int, me: bytes) -> Gathered:
        """Find and join packets; one alone is sooner looked at than told to a kernel."""
        if len(buffer) - start <= stride:
            return self._portable.gather(buffer, stride, start, me)
        count = self._kernels.gather(
            _address_of(_byte(buffer)),
            len(buffer),
            stride,
            start,
            int.from_bytes(me, "big"),
            self._spans_at,
            _MAX_PACKETS,
            self._result_at,
        )
        batch = PacketBatch(buffer)
        batch.starts = self._spans[:count]
        batch.sizes = self._spans[_MAX_PACKETS : _MAX_PACKETS + count]
        end, datagrams = _GATHERED.unpack_from(self._result)
        return Gathered(batch, end, datagrams)

    def inbound(self, batch: PacketBatch, cipher: PeerCipher) -> bytearray:
        """Open packets in place."""
        count = len(batch)
        verdicts = bytearray(count)
        if not count:
            return verdicts
        others = self._kernels.open_all(
            _address_of(_byte(batch.buffer)),
            batch.starts.buffer_info()[0],
            batch.sizes.buffer_info()[0],
            count,
            _address_of(_byte(verdicts)),
            cipher.evp.address,
            self._scratch_at,
        )
        if others:
            self._open_others(batch, verdicts, cipher)
        return verdicts

    def _open_others(self, batch: PacketBatch, verdicts: bytearray, cipher: PeerCipher) -> None:
        for index, verdict in enumerate(verdicts):
            if verdict == _NOT_OURS:
                verdicts[index] = dearmor(batch.part(index, index + 1), cipher)[0]

    def run_length(self, batch: PacketBatch, verdicts: bytearray, first: int) -> int:
        """Count frames of a kind; see `gather`."""
        if len(batch.starts) == 1:
            return self._portable.run_length(batch, verdicts, first)
        return self._kernels.run_length(
            _address_of(_byte(batch.buffer)),
            len(batch.buffer),
            batch.starts.buffer_info()[0],
            len(batch),
            _address_of(_byte(verdicts)),
            first,
        )

    def coalesce(self, batch: PacketBatch, offset: int, header: bytes) -> list[SuperFrame]:
        """Join frames where they lie."""
        if len(batch) > _MAX_PACKETS:
            return self._portable.coalesce(batch, offset, header)
        buffer = batch.buffer
        ethernet = bytearray(header)
        count = self._kernels.coalesce(
            _address_of(_byte(buffer)),
            batch.starts.buffer_info()[0],
            batch.sizes.buffer_info()[0],
            len(batch),
            offset,
            _address_of(_byte(ethernet)),
            self._frames_at,
        )
        ip_size, gso = (20, Gso.TCPV4) if header[12:14] == b"\x08\0" else (40, Gso.TCPV6)
        frames = []
        for number in range(count):
            start, size, headers, segment = _FRAME.unpack_from(self._frames, _FRAME.size * number)
            frame = SuperFrame(buffer[start : start + size])
            if segment:
                frame.gso, frame.header_size, frame.segment_size = gso, headers, segment
                frame.needs_checksum = True
                frame.checksum_start, frame.checksum_offset = 14 + ip_size, 16
            frames.append(frame)
        return frames
