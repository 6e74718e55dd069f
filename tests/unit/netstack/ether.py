"""Stacks on one Ethernet in virtual time, and a bare machine that says what a test wants."""

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, ip_address, ip_interface

from ztlink.batch import SuperFrame
from ztlink.clock import Now
from ztlink.ids import BROADCAST_MAC, Endpoint, Mac, is_multicast
from ztlink.inet.arp import ARP_REPLY, ARP_REQUEST, Arp
from ztlink.inet.segment import cut, sizes_of
from ztlink.netstack.events import Event
from ztlink.netstack.route import Route
from ztlink.netstack.settings import StackSettings
from ztlink.netstack.stack import Stack

US = Mac(bytes.fromhex("020000000001"))
THEM = Mac(bytes.fromhex("020000000002"))
OTHER = Mac(bytes.fromhex("020000000003"))
MTU = 2800
PLENTY = 1 << 24
START = Now(1000.0, 1_700_000_000_000)

OWN_4, PEER_4, OTHER_4 = "10.0.0.1", "10.0.0.2", "10.0.0.3"
ANY_4, ANY_6 = str(IPv4Address(0)), "::"
OWN_6, PEER_6 = "fd00::1", "fd00::2"
OWN_ADDRESSES = (ip_interface("10.0.0.1/24"), ip_interface("fd00::1/64"))
PEER_ADDRESSES = (ip_interface("10.0.0.2/24"), ip_interface("fd00::2/64"))


def seeded(seed: int = 1) -> Callable[[int], bytes]:
    """Return a source of bytes that look random and are the same in every run."""
    state = seed

    def draw(size: int) -> bytes:
        nonlocal state
        drawn = bytearray()
        for _ in range(size):
            state = (state * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % 2**64
            drawn.append(state >> 56)
        return bytes(drawn)

    return draw


def at(text: str, port: int) -> Endpoint:
    return Endpoint(ip_address(text), port)


def make_stack(
    mac: Mac = US,
    addresses: tuple[object, ...] = OWN_ADDRESSES,
    *,
    routes: tuple[Route, ...] = (),
    mtu: int = MTU,
    settings: StackSettings | None = None,
) -> Stack:
    """Return a stack with addresses, whose questions about them are over."""
    stack = Stack(mac, mtu=mtu, random_bytes=seeded(mac[-1]), settings=settings)
    stack.set_addresses([ip_interface(str(one)) for one in addresses], routes, START)
    stack.transmits(PLENTY, START)
    return stack


def events_of(stack: Stack) -> list[Event]:
    told = []
    while (event := stack.next_event()) is not None:
        told.append(event)
    return told


@dataclass
class Alone:
    """One stack, and what is said to it and heard of it."""

    stack: Stack = field(default_factory=make_stack)
    now: Now = START

    def hear(self) -> list[bytes]:
        """Return the frames that the stack sends."""
        heard: list[bytes] = []
        while self.stack.has_output():
            heard += [bytes(frame.buffer) for frame in self.stack.transmits(PLENTY, self.now)]
        return heard

    def say(self, *frames: bytes) -> list[bytes]:
        """Give frames to the stack, and return what it sends then."""
        for frame in frames:
            self.stack.receive_frame(SuperFrame(memoryview(bytearray(frame))), self.now)
        return self.hear()

    def wait(self, seconds: float) -> list[bytes]:
        """Let time pass, timers firing when they are due; return what is sent meanwhile."""
        heard: list[bytes] = []
        end = self.now.mono + seconds
        while (deadline := self.stack.get_timer()) is not None and deadline <= end:
            self.now = self.now._replace(mono=max(deadline, self.now.mono))
            self.stack.handle_timer(self.now)
            heard += self.hear()
        self.now = self.now._replace(mono=end)
        return heard

    def events(self) -> list[Event]:
        return events_of(self.stack)

    def knows(self, ip: str = PEER_4, mac: Mac = THEM) -> "Alone":
        """Have the stack know a neighbour by a question of its."""
        self.say(arp_frame(ARP_REQUEST, mac, ip, OWN_4))
        return self


@dataclass
class Ether:
    """Stacks on a link that loses nothing."""

    stacks: list[Stack]
    now: Now = START
    frames: list[bytes] = field(default_factory=list)
    """All that passed."""
    is_lost: Callable[[bytes], bool] = field(default=lambda frame: False)

    def settle(self) -> None:
        """Carry frames until nobody has any."""
        while any(stack.has_output() for stack in self.stacks):
            for sender in self.stacks:
                for frame in sender.transmits(65_536, self.now):
                    self._carry(sender, frame)

    def _carry(self, sender: Stack, frame: SuperFrame) -> None:
        data = bytes(frame.buffer)
        self.frames.append(data)
        destination = data[:6]
        for stack in self.stacks:
            is_for = destination == stack.mac or (is_multicast(destination) and stack is not sender)
            if is_for and not self.is_lost(data):
                stack.receive_frame(replace(frame, buffer=memoryview(bytearray(data))), self.now)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now.mono + seconds
        while True:
            self.settle()
            timers = [stack.get_timer() for stack in self.stacks]
            deadline = min((timer for timer in timers if timer is not None), default=end)
            if deadline > end:
                break
            self.now = self.now._replace(mono=max(deadline, self.now.mono))
            for stack in self.stacks:
                stack.handle_timer(self.now)
            if deadline == end:
                self.settle()
                break
        self.now = self.now._replace(mono=end)


def pair(mtu: int = MTU) -> Ether:
    """Return two stacks on a link."""
    ours = make_stack(US, OWN_ADDRESSES, mtu=mtu)
    theirs = make_stack(THEM, PEER_ADDRESSES, mtu=mtu)
    return Ether([ours, theirs])


def ethernet(source: Mac, destination: Mac, ethertype: int, payload: bytes) -> bytes:
    return destination + source + ethertype.to_bytes(2, "big") + payload


def arp_frame(
    operation: int,
    mac: Mac,
    sender: str,
    target: str,
    *,
    to: Mac | None = None,
    target_mac: Mac = US,
    said: Mac | None = None,
) -> bytes:
    """Return an ARP frame from `mac`, which says that it is `said`."""
    destination = to or (US if operation == ARP_REPLY else BROADCAST_MAC)
    ips = ip_address(sender), ip_address(target)
    body = Arp(operation, said or mac, ips[0], target_mac, ips[1])  # type: ignore[arg-type]  # tests name IPv4
    return ethernet(mac, destination, 0x0806, body.encode())


def cut_frames(frame: SuperFrame) -> list[SuperFrame]:
    """Cut a super-frame as a lane does, checksums completed."""
    sizes = sizes_of(frame, 0)
    stride = max(sizes)
    starts = array("I", range(0, stride * len(sizes), stride))
    out = memoryview(bytearray(stride * len(sizes)))
    cut(frame, out, starts, 0)
    return [SuperFrame(out[at : at + size]) for at, size in zip(starts, sizes, strict=True)]
