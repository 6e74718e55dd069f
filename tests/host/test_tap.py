"""A real TAP device and the kernel behind it."""

import errno
import fcntl
import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.machine import MAC, NEIGHBOUR, ask, bring_up, comes_true, devices, ip, wait_frame
from tests.unit.inet.frames import ACK, PSH, Packet, plain_checksum
from ztlink.batch import Gso, SuperFrame
from ztlink.drivers import tap as tap_module
from ztlink.drivers.tap import MAX_REFUSALS, VNET_HEADER, Tap
from ztlink.errors import HostError

pytestmark = [pytest.mark.netadmin, pytest.mark.usefixtures("own_network")]

OWN, OTHER = "10.1.2.3", "10.1.2.9"
ARP, IPV4 = b"\x08\x06", b"\x08\x00"
SYN = 0x02
MSS = 1000


@pytest.fixture
def tap() -> Iterator[Tap]:
    opened = Tap("zttest0")
    yield opened
    opened.close()


@pytest.fixture
def up(tap: Tap) -> Tap:
    """A TAP with an address and a neighbour."""
    bring_up(tap, f"{OWN}/24")
    ip("neigh", "add", OTHER, "lladdr", NEIGHBOUR.hex(":"), "dev", tap.name)
    return tap


def is_ipv4(frame: SuperFrame, protocol: int) -> bool:
    return frame.buffer[12:14] == IPV4 and frame.buffer[23] == protocol


def is_icmp(frame: SuperFrame) -> bool:
    return is_ipv4(frame, socket.IPPROTO_ICMP)


def is_tcp(frame: SuperFrame) -> bool:
    return is_ipv4(frame, socket.IPPROTO_TCP)


def is_udp(frame: SuperFrame) -> bool:
    return is_ipv4(frame, socket.IPPROTO_UDP)


def is_arp(frame: SuperFrame) -> bool:
    return frame.buffer[12:14] == ARP


# -- the device ------------------------------------------------------------------------------


def test_a_device_has_the_name_it_was_given(tap: Tap) -> None:
    assert (tap.name, devices()) == ("zttest0", {"lo", "zttest0"})


def test_a_device_is_a_tap(tap: Tap) -> None:
    link = ask("link", "show", tap.name)[0]
    assert link["linkinfo"]["info_data"]["type"] == "tap"


def test_a_device_goes_when_it_is_closed(tap: Tap) -> None:
    tap.close()
    assert devices() == {"lo"}


def test_a_device_can_be_closed_twice(tap: Tap) -> None:
    tap.close()
    tap.close()
    assert devices() == {"lo"}


def test_a_name_that_is_in_use_is_an_error(tap: Tap) -> None:
    with pytest.raises(HostError, match="cannot make the TAP zttest0: the name is in use"):
        Tap(tap.name)


def test_a_name_of_a_device_of_another_kind_is_an_error() -> None:
    with pytest.raises(HostError, match="TAP lo: a device of another kind has that name"):
        Tap("lo")


def refuse(*_: object) -> None:
    raise PermissionError(errno.EPERM, "Operation not permitted")


def test_without_the_right_to_make_devices_the_error_names_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fcntl, "ioctl", refuse)
    with pytest.raises(HostError, match="cannot make the TAP zttest0: NET_ADMIN is missing"):
        Tap("zttest0")


def test_without_the_module_the_error_says_what_to_load(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tap_module, "DEVICES", (tmp_path / "tun", tmp_path / "other"))
    with pytest.raises(HostError, match=r"/tun does not exist: load the tun module"):
        Tap("zttest0")


def test_without_access_the_error_names_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "tun").mkdir()
    monkeypatch.setattr(tap_module, "DEVICES", (tmp_path / "tun",))
    with pytest.raises(HostError, match=r"cannot open .*/tun: Is a directory; the node needs"):
        Tap("zttest0")


# -- what the host sends ---------------------------------------------------------------------


def test_nothing_is_read_where_nothing_was_sent(tap: Tap) -> None:
    assert list(tap.read(4)) == []


def test_a_ping_of_the_host_is_read_as_one_frame(up: Tap) -> None:
    with subprocess.Popen(("ping", "-c1", "-W1", OTHER), stdout=subprocess.DEVNULL) as ping:
        frame = wait_frame(up, is_icmp)
        ping.kill()
    assert bytes(frame.buffer[:12]) == NEIGHBOUR + MAC


def test_a_frame_that_needs_no_cutting_says_so(up: Tap) -> None:
    with subprocess.Popen(("ping", "-c1", "-W1", OTHER), stdout=subprocess.DEVNULL) as ping:
        frame = wait_frame(up, is_icmp)
        ping.kill()
    assert (frame.gso, frame.segment_size, frame.needs_checksum) == (Gso.NONE, 0, False)


def test_a_ping_of_the_host_that_is_answered_succeeds(up: Tap) -> None:
    with subprocess.Popen(("ping", "-c1", "-W9", OTHER), stdout=subprocess.DEVNULL) as ping:
        frame = wait_frame(up, is_icmp).buffer
        source, target = bytes(frame[26:30]), bytes(frame[30:34])
        answer = bytearray(MAC + NEIGHBOUR + IPV4 + bytes(frame[14:26]) + target + source)
        echo = b"\0\0" + b"\0\0" + bytes(frame[38:])
        answer += echo[:2] + plain_checksum(echo).to_bytes(2, "big") + echo[4:]
        up.write(SuperFrame(memoryview(answer)))
        assert ping.wait() == 0


def test_a_datagram_of_the_host_is_still_to_be_checksummed(up: Tap) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.sendto(b"hello", (OTHER, 4000))
    frame = wait_frame(up, is_udp)
    assert (frame.needs_checksum, frame.checksum_start, frame.checksum_offset) == (True, 34, 6)


def test_only_as_many_frames_are_read_as_asked_for(up: Tap) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        for _ in range(5):
            udp.sendto(b"hello", (OTHER, 4000))
    assert len(list(up.read(2))) == 2


class Connection:
    """A TCP connection of the host to a neighbour that is played here."""

    def __init__(self, tap: Tap) -> None:
        self.tap = tap
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.connect_ex((OTHER, 80))
        syn = wait_frame(tap, is_tcp).buffer
        self.port, self.sequence = struct.unpack(">H2xI", syn[34:42])
        self.write(SYN | ACK, options=struct.pack(">BBH", 2, 4, MSS), sequence=999)
        wait_frame(tap, is_tcp)  # the handshake's end
        self.socket.setblocking(True)
        self.socket.settimeout(10)

    def write(
        self,
        flags: int,
        payload: bytes = b"",
        options: bytes = b"",
        sequence: int = 1000,
        segment_size: int = 0,
    ) -> None:
        """Send the host a segment, or several in one piece."""
        packet = Packet(
            source=OTHER,
            destination=OWN,
            source_port=80,
            destination_port=self.port,
            sequence=sequence,
            acknowledgement=self.sequence + 1,
            flags=flags,
            options=options,
            payload=payload,
            window=65535,
        )
        frame = packet.super_frame(segment_size)
        frame.buffer[:12] = MAC + NEIGHBOUR
        if not segment_size:
            frame.gso, frame.header_size = Gso.NONE, 0
        self.tap.write(frame)


@pytest.fixture
def connection(up: Tap) -> Iterator[Connection]:
    made = Connection(up)
    yield made
    made.socket.close()


def is_long(frame: SuperFrame) -> bool:
    return is_tcp(frame) and len(frame.buffer) > 2800


def test_a_stream_of_the_host_is_read_as_a_super_frame(connection: Connection) -> None:
    connection.socket.sendall(bytes(8000))
    assert wait_frame(connection.tap, is_long).gso is Gso.TCPV4


def test_a_super_frame_names_the_size_of_its_headers(connection: Connection) -> None:
    connection.socket.sendall(b"\xaa" * 8000)
    frame = wait_frame(connection.tap, is_long)
    assert frame.header_size == 14 + 20 + 20
    assert set(frame.buffer[frame.header_size :]) == {0xAA}


def test_a_super_frame_names_the_size_of_its_segments(connection: Connection) -> None:
    connection.socket.sendall(bytes(8000))
    assert wait_frame(connection.tap, is_long).segment_size == MSS


def test_a_super_frame_is_still_to_be_checksummed(connection: Connection) -> None:
    connection.socket.sendall(bytes(8000))
    frame = wait_frame(connection.tap, is_long)
    assert (frame.needs_checksum, frame.checksum_start, frame.checksum_offset) == (True, 34, 16)


# -- what is handed to the host --------------------------------------------------------------


def test_the_host_answers_an_arp_request_that_is_written(up: Tap) -> None:
    ask_for = struct.pack(">HHBBH", 1, 0x800, 6, 4, 1) + NEIGHBOUR
    ask_for += socket.inet_aton(OTHER) + bytes(6) + socket.inet_aton(OWN)
    up.write(SuperFrame(memoryview(b"\xff" * 6 + NEIGHBOUR + ARP + ask_for)))
    answer = wait_frame(up, is_arp).buffer
    assert bytes(answer[22:32]) == MAC + socket.inet_aton(OWN)


def test_a_frame_whose_checksum_is_to_be_made_is_taken(connection: Connection) -> None:
    connection.write(ACK | PSH, b"hello")
    assert connection.socket.recv(100) == b"hello"


def test_a_super_frame_is_taken_in_one_piece(connection: Connection) -> None:
    payload = bytes(range(256)) * 16
    connection.write(ACK | PSH, payload, segment_size=MSS)
    assert connection.socket.recv(len(payload), socket.MSG_WAITALL) == payload


class Refusal:
    """Writing as on a kernel that takes no super-frames, the first few times or for ever."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, refused: int) -> None:
        self.refused = refused
        self.tried = 0
        self._writev = os.writev
        monkeypatch.setattr(os, "writev", self.writev)

    def writev(self, descriptor: int, parts: list[bytes]) -> int:
        if VNET_HEADER.unpack(parts[0])[1] != Gso.NONE:
            self.tried += 1
            if self.tried <= self.refused:
                raise OSError(errno.EINVAL, "Invalid argument")
        return self._writev(descriptor, parts)


def send_often(connection: Connection, times: int) -> bytes:
    """Write the host the same super-frame, which it takes once."""
    payload = bytes(range(256)) * 16
    for _ in range(times):
        connection.write(ACK | PSH, payload, segment_size=MSS)
    return connection.socket.recv(len(payload), socket.MSG_WAITALL)


def test_a_super_frame_that_the_kernel_refuses_is_cut(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    Refusal(monkeypatch, 1)
    assert send_often(connection, 1) == bytes(range(256)) * 16
    assert connection.tap.dropped == 0


@pytest.mark.parametrize(
    ("refused", "tried"), [(MAX_REFUSALS, MAX_REFUSALS), (MAX_REFUSALS - 1, 20)]
)
def test_super_frames_that_are_always_refused_are_not_tried_any_more(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, refused: int, tried: int
) -> None:
    kernel = Refusal(monkeypatch, refused)
    send_often(connection, 20)
    assert kernel.tried == tried


@pytest.fixture
def plain() -> Iterator[Connection]:
    """A connection over a device without offload."""
    tap = Tap("zttest0", has_offload=False)
    bring_up(tap, f"{OWN}/24")
    ip("neigh", "add", OTHER, "lladdr", NEIGHBOUR.hex(":"), "dev", tap.name)
    made = Connection(tap)
    yield made
    made.socket.close()
    tap.close()


def test_without_offload_the_host_cuts_and_checksums(plain: Connection) -> None:
    plain.socket.sendall(bytes(8000))
    frame = wait_frame(plain.tap, lambda f: is_tcp(f) and len(f.buffer) > MSS)
    assert (frame.gso, frame.needs_checksum) == (Gso.NONE, False)
    assert len(frame.buffer) == 14 + 20 + 20 + MSS


def test_without_offload_no_super_frame_is_written(
    plain: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = Refusal(monkeypatch, 99)
    assert send_often(plain, 1) == bytes(range(256)) * 16
    assert kernel.tried == 0


def test_a_frame_for_a_device_that_is_down_is_counted(tap: Tap) -> None:
    tap.write(SuperFrame(memoryview(bytes(60))))
    assert tap.dropped == 1


def test_a_frame_that_is_no_frame_is_counted(up: Tap) -> None:
    up.write(SuperFrame(memoryview(b"x")))
    assert up.dropped == 1


def test_a_device_that_somebody_removed_is_seen_to_be_gone(up: Tap) -> None:
    ip("link", "delete", up.name)
    assert comes_true(lambda: list(up.read(1)) == [] and up.is_gone)


def test_a_device_that_is_down_is_not_gone(tap: Tap) -> None:
    list(tap.read(1))
    assert not tap.is_gone
