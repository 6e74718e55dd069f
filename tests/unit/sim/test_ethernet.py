"""The machine behind a port: two of them on one wire."""

from ipaddress import IPv4Address, ip_address, ip_interface
from random import Random

import pytest

from tests.sim.ethernet import EthernetHost
from tests.sim.packets import checksum, group_of
from tests.sim.schedule import Schedule
from tests.sim.segments import frames_of
from ztlink.batch import Delivery, Gso, SuperFrame
from ztlink.ids import BROADCAST_MAC, Mac, MulticastGroup, NetworkId


class Wire:
    """Two machines, and what may happen between them."""

    def __init__(self, *, loss: float = 0.0) -> None:
        self.schedule = Schedule()
        self.loss = loss
        self.chance = Random(1)  # noqa: S311 - it is to be repeatable
        self.frames: list[bytes] = []
        self.super_frames: list[SuperFrame] = []
        self.a = EthernetHost(Mac(bytes.fromhex("020000000001")), self.schedule, self._from_a)
        self.b = EthernetHost(Mac(bytes.fromhex("020000000002")), self.schedule, self._from_b)
        self.a.configure([ip_interface("10.1.0.1/16"), ip_interface("fd00::aa01/88")])
        self.b.configure([ip_interface("10.1.0.2/16"), ip_interface("fd00::bb02/88")])

    def _from_a(self, frame: SuperFrame) -> None:
        self._carry(frame, self.b)

    def _from_b(self, frame: SuperFrame) -> None:
        self._carry(frame, self.a)

    def _carry(self, frame: SuperFrame, to: EthernetHost) -> None:
        self.super_frames.append(frame)
        for piece in frames_of(Delivery(NetworkId(1), frame)):
            self._carry_piece(piece, to)

    def _carry_piece(self, frame: bytes, to: EthernetHost) -> None:
        self.frames.append(frame)
        if self.chance.random() >= self.loss:
            self.schedule.after(0.005, lambda: to.receive_frame(frame))


@pytest.mark.parametrize("destination", ["10.1.0.2", "fd00::bb02"])
def test_a_ping_is_answered_after_the_neighbour_was_found(destination: str) -> None:
    wire = Wire()
    ping = wire.a.ping(ip_address(destination))
    wire.schedule.run_until(1.0)
    assert ping.round_trip == pytest.approx(0.020)
    assert (wire.a.bad_frames, wire.b.bad_frames) == (0, 0)


@pytest.mark.parametrize("destination", ["10.1.0.2", "fd00::bb02"])
def test_a_known_neighbour_is_not_asked_for_again(destination: str) -> None:
    wire = Wire()
    wire.a.ping(ip_address(destination))
    wire.schedule.run_until(1.0)
    ping = wire.a.ping(ip_address(destination))
    wire.schedule.run_until(2.0)
    assert ping.round_trip == pytest.approx(0.010)


def test_a_neighbour_that_does_not_answer_is_asked_for_three_times() -> None:
    wire = Wire()
    wire.a.ping(ip_address("10.1.0.77"))
    wire.schedule.run_until(10.0)
    assert len(wire.frames) == 3


def test_an_old_neighbour_is_asked_itself() -> None:
    wire = Wire()
    wire.a.ping(ip_address("10.1.0.2"))
    wire.schedule.run_until(40.0)
    wire.frames.clear()
    wire.a.ping(ip_address("10.1.0.2"))
    wire.schedule.run_until(41.0)
    assert BROADCAST_MAC not in [frame[:6] for frame in wire.frames]


def test_a_lost_question_is_asked_again_after_a_second() -> None:
    wire = Wire(loss=1.0)
    ping = wire.a.ping(ip_address("10.1.0.2"))
    wire.schedule.run_until(0.5)
    wire.loss = 0.0
    wire.schedule.run_until(2.0)
    assert ping.round_trip == pytest.approx(1.020)


def test_a_ping_to_nobody_has_no_round_trip() -> None:
    wire = Wire()
    ping = wire.a.ping(ip_address("10.1.0.77"))
    wire.schedule.run_until(10.0)
    assert ping.round_trip is None


@pytest.mark.parametrize("destination", ["10.1.0.2", "fd00::bb02"])
def test_udp_arrives_with_its_payload(destination: str) -> None:
    wire = Wire()
    wire.a.send_udp(ip_address(destination), 7, b"odd")
    wire.schedule.run_until(1.0)
    assert [(port, data) for _, port, data in wire.b.datagrams] == [(7, b"odd")]


def test_a_frame_for_another_machine_is_counted_as_bad() -> None:
    wire = Wire()
    wire.b.receive_frame(bytes.fromhex("020000000009020000000001080045") + bytes(40))
    assert wire.b.bad_frames == 1


def test_a_damaged_payload_is_counted_as_bad() -> None:
    wire = Wire()
    wire.a.send_udp(ip_address("10.1.0.2"), 7, b"data")
    wire.schedule.run_until(1.0)
    frame = bytearray(wire.frames[-1])
    frame[-1] ^= 1
    wire.b.receive_frame(bytes(frame))
    assert (wire.b.bad_frames, len(wire.b.datagrams)) == (1, 1)


def test_groups_follow_from_addresses() -> None:
    wire = Wire()
    groups = wire.a.configure([ip_interface("10.1.0.1/16"), ip_interface("fd00::12:3456/88")])
    assert MulticastGroup(BROADCAST_MAC, 0x0A010001) in groups
    assert MulticastGroup(Mac(bytes.fromhex("3333ff123456"))) in groups


def test_the_checksum_is_that_of_the_rfc() -> None:
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0x220D


def test_the_group_of_an_ipv4_address_carries_it() -> None:
    assert group_of(IPv4Address("1.2.3.4")).adi == 0x01020304


@pytest.mark.parametrize("destination", ["10.1.0.2", "fd00::bb02"])
def test_a_udp_super_frame_is_cut_into_good_frames(destination: str) -> None:
    wire = Wire()
    wire.a.ping(ip_address(destination))
    wire.schedule.run_until(1.0)
    assert wire.a.send_udp_burst(ip_address(destination), 7, b"aaaabbbbcc", 4)
    wire.schedule.run_until(2.0)
    assert wire.super_frames[-1].gso is Gso.UDP_L4
    assert [data for _, _, data in wire.b.datagrams] == [b"aaaa", b"bbbb", b"cc"]
    assert wire.b.bad_frames == 0


def test_a_burst_goes_to_known_neighbours_only() -> None:
    wire = Wire()
    assert not wire.a.send_udp_burst(ip_address("10.1.0.2"), 7, b"aaaabbbbcc", 4)


@pytest.mark.parametrize("destination", ["10.1.0.2", "fd00::bb02"])
def test_a_partial_checksum_is_completed(destination: str) -> None:
    wire = Wire()
    wire.a.ping(ip_address(destination))
    wire.schedule.run_until(1.0)
    wire.a.send_udp_burst(ip_address(destination), 7, b"one frame", 9)
    burst = wire.super_frames[-1]
    burst.gso = Gso.NONE
    (frame,) = frames_of(Delivery(NetworkId(1), burst))
    wire.b.receive_frame(frame)
    assert [data for _, _, data in wire.b.datagrams][-1:] == [b"one frame"]
