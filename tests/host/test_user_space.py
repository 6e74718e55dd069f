"""A user-space stack and a kernel's, on one network, over real UDP: the kernel is the judge."""

import hashlib
import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Interface, ip_address

import pytest

from tests.lab.errors import LabError
from tests.lab.fixtures import NewLab, new_lab, workshop
from tests.lab.measure import ping
from tests.lab.mesh import NETWORK, Layout, Mesh, Side, Workshop, build_mesh
from tests.lab.user_space import UserSpaceNode
from tests.lab.user_tcp import Transfer
from tests.lab.wait import wait_until
from ztlink.clock import Now
from ztlink.drivers.chance import random_bytes
from ztlink.ids import Endpoint, IpAddress, SocketId
from ztlink.netstack.events import (
    ConnectionRefused,
    DatagramFailed,
    DatagramReceived,
    EchoAnswered,
    EchoFailed,
    EchoId,
    Reason,
)
from ztlink.netstack.stack import Stack

pytestmark = pytest.mark.netadmin
__all__ = ["new_lab", "workshop"]

VERSIONS = pytest.mark.parametrize("version", [4, 6])
SIZES = (0, 1, 56, 1472, 2000, 2772, 2773, 9000)
PATTERN = bytes(range(256)) * 36
PATIENCE = 10.0
WARM_UP = 30.0
TRANSFER = 8_000_000
TRANSFER_PATIENCE = 60.0


@dataclass
class Link:
    """The two members."""

    mesh: Mesh
    ours: UserSpaceNode

    @property
    def network_id(self) -> str:
        return self.mesh.network_id

    def kernel_ip(self, version: int) -> IpAddress:
        node = self.mesh.members[0]
        text = node.ipv4(self.network_id) if version == 4 else node.ipv6(self.network_id)
        return ip_address(text)

    def is_reachable(self, version: int) -> bool:
        """Tell whether the kernel reaches us; at first it may not even have a route."""
        host = self.mesh.members[0].host
        with suppress(LabError):
            return ping(host, str(self.ours.ip(version)), count=1).lost == 0
        return False

    def kernel_socket(self, version: int) -> socket.socket:
        """Return a UDP socket of the kernel's, bound to its managed address."""
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        host = self.mesh.members[0].host
        opened = host.namespace.open_socket(family, socket.SOCK_DGRAM)
        opened.settimeout(PATIENCE)
        opened.bind((str(self.kernel_ip(version)), 0))
        return opened

    def kernel_stream(self, version: int) -> socket.socket:
        """Return a TCP socket of the kernel's."""
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        host = self.mesh.members[0].host
        opened = host.namespace.open_socket(family, socket.SOCK_STREAM)
        opened.settimeout(TRANSFER_PATIENCE)
        return opened

    @contextmanager
    def following(self, transfer: Transfer) -> Iterator[None]:
        """Have a transfer told of the stack's events."""
        self.ours.takers.append(transfer.take)
        try:
            yield
        finally:
            self.ours.takers.remove(transfer.take)


def pinging(remote: IpAddress) -> Callable[[Stack, Now], EchoId]:
    return lambda stack, now: stack.ping(remote, 56, now)


def sending(socket_id: SocketId, data: bytes, remote: Endpoint) -> Callable[[Stack, Now], bool]:
    return lambda stack, now: stack.send_datagram(socket_id, data, remote, now)


@pytest.fixture(
    scope="module",
    params=[Side.OURS, pytest.param(Side.REFERENCE, marks=pytest.mark.interop)],
    ids=lambda side: side.value,
)
def link(request: pytest.FixtureRequest, new_lab: NewLab, workshop: Workshop) -> Iterator[Link]:
    """A root, a controller, a member with a TAP, and one with a stack in this process."""
    with new_lab() as lab:
        layout = Layout(Side.OURS, Side.OURS, (request.param,))
        mesh = build_mesh(lab, layout, workshop)
        mesh.start()
        mesh.create_network(NETWORK)
        mesh.join_all()
        with UserSpaceNode(lab, lab.host("user"), mesh.planet(), mesh.network_id) as ours:
            ours.wait_configured()
            made = Link(mesh, ours)
            for version in (4, 6):  # a new device takes seconds until all is known to all
                wait_until(
                    partial(made.is_reachable, version), timeout=WARM_UP, what="a first ping"
                )
            yield made


# -- echo --------------------------------------------------------------------------------------


@VERSIONS
@pytest.mark.parametrize("size", [56, 2000, 9000])
def test_the_kernel_pings_us(link: Link, version: int, size: int) -> None:
    host = link.mesh.members[0].host
    pings = ping(host, str(link.ours.ip(version)), size=size, wait=PATIENCE)
    assert pings.lost == 0


@VERSIONS
@pytest.mark.parametrize("size", [0, 56, 2000, 9000])
def test_we_ping_the_kernel(link: Link, version: int, size: int) -> None:
    remote = link.kernel_ip(version)
    link.ours.do(lambda stack, now: stack.ping(remote, size, now))
    assert link.ours.wait_for(EchoAnswered, PATIENCE).size == size


# -- UDP ---------------------------------------------------------------------------------------


@VERSIONS
def test_the_kernel_gets_our_datagrams_of_all_sizes(link: Link, version: int) -> None:
    with link.kernel_socket(version) as theirs:
        remote = Endpoint(link.kernel_ip(version), theirs.getsockname()[1])
        local = Endpoint(link.ours.ip(version), 0)
        ours = link.ours.do(lambda stack, now: stack.bind_udp(local))
        for size in SIZES:
            data = PATTERN[:size]
            link.ours.do(sending(ours, data, remote))
            assert theirs.recv(65_536) == data
        link.ours.do(lambda stack, now: stack.close_udp(ours))


@VERSIONS
def test_we_get_the_kernels_datagrams_of_all_sizes(link: Link, version: int) -> None:
    local = Endpoint(link.ours.ip(version), 0)
    ours = link.ours.do(lambda stack, now: stack.bind_udp(local))
    port = link.ours.do(lambda stack, now: stack.udp_endpoints(ours)[0].port)
    with link.kernel_socket(version) as theirs:
        for size in SIZES:
            data = PATTERN[:size]
            theirs.sendto(data, (str(local.ip), port))
            got = link.ours.wait_for(DatagramReceived, PATIENCE)
            assert (got.data, got.remote.port) == (data, theirs.getsockname()[1])
    link.ours.do(lambda stack, now: stack.close_udp(ours))


@VERSIONS
def test_the_kernel_hears_that_no_socket_of_ours_is_there(link: Link, version: int) -> None:
    with link.kernel_socket(version) as theirs:
        theirs.connect((str(link.ours.ip(version)), 9))
        theirs.send(b"anybody?")
        with pytest.raises(ConnectionRefusedError):
            theirs.recv(1)


@VERSIONS
def test_we_hear_that_no_socket_of_the_kernels_is_there(link: Link, version: int) -> None:
    remote = Endpoint(link.kernel_ip(version), 9)
    local = Endpoint(link.ours.ip(version), 0)
    ours = link.ours.do(lambda stack, now: stack.bind_udp(local))
    link.ours.do(sending(ours, b"anybody?", remote))
    failed = link.ours.wait_for(DatagramFailed, PATIENCE)
    assert (failed.remote, failed.reason) == (remote, Reason.PORT_UNREACHABLE)
    link.ours.do(lambda stack, now: stack.close_udp(ours))


def test_all_addresses_of_the_kernel_answer(link: Link) -> None:
    """Of both derived schemes, too, whose neighbours the node itself answers for."""
    for text in link.mesh.members[0].ips(link.network_id):
        link.ours.do(pinging(ip_address(text)))
        assert link.ours.wait_for(EchoAnswered, PATIENCE).remote == ip_address(text)


def test_all_our_addresses_answer_the_kernel(link: Link) -> None:
    host = link.mesh.members[0].host
    addresses = link.ours.do(lambda stack, now: stack.addresses)
    managed = [str(one.ip) for one in addresses if not one.ip.is_link_local]
    lost = {text: ping(host, text, count=2, wait=PATIENCE).lost for text in managed}
    assert lost == dict.fromkeys(managed, 0)
    assert len(managed) == 3


def test_addresses_of_the_link_answer_both_ways(link: Link) -> None:
    host = link.mesh.members[0].host
    device = link.mesh.device(link.mesh.members[0])
    ours = link.ours.do(lambda stack, now: stack.addresses[-1].ip)
    assert ping(host, f"{ours}%{device}", count=2, wait=PATIENCE).lost == 0
    shown = json.loads(host.namespace.run("ip", "-j", "-6", "address", "show", "dev", device))
    (theirs,) = [one["local"] for one in shown[0]["addr_info"] if one["scope"] == "link"]
    link.ours.do(pinging(ip_address(theirs)))
    assert link.ours.wait_for(EchoAnswered, PATIENCE).remote == ip_address(theirs)


def test_nobody_answers_for_an_address_that_nobody_has(link: Link) -> None:
    nobody = IPv4Interface(f"{link.kernel_ip(4)}/24").network.network_address + 250
    link.ours.do(lambda stack, now: stack.ping(nobody, 56, now))
    failed = link.ours.wait_for(EchoFailed, PATIENCE)
    assert (failed.remote, failed.reason) == (nobody, Reason.HOST_UNREACHABLE)


# -- TCP ---------------------------------------------------------------------------------------


def send_all(theirs: socket.socket, data: bytes) -> None:
    theirs.sendall(data)
    theirs.shutdown(socket.SHUT_WR)


def exchange(theirs: socket.socket, data: bytes) -> str:
    """Send all and its end from the kernel's side; return the MD5 of what comes until the end."""
    digest = hashlib.md5(usedforsecurity=False)
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(send_all, theirs, data)
        while chunk := theirs.recv(1 << 20):
            digest.update(chunk)
        sent.result(TRANSFER_PATIENCE)
    return digest.hexdigest()


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


@pytest.fixture(scope="module")
def noise() -> bytes:
    return random_bytes(TRANSFER)


@VERSIONS
def test_the_kernel_connects_and_each_sends_the_other_everything(
    link: Link, version: int, noise: bytes
) -> None:
    local = Endpoint(link.ours.ip(version), 8080)
    transfer = Transfer(link.ours.stack, memoryview(noise))
    with link.following(transfer), link.kernel_stream(version) as theirs:
        listener = link.ours.do(lambda stack, now: stack.listen(local, 5, now))
        theirs.connect((str(local.ip), local.port))
        assert exchange(theirs, noise[::-1]) == md5(noise)
        assert transfer.done.result(TRANSFER_PATIENCE) == md5(noise[::-1])
        link.ours.do(lambda stack, now: stack.tcp.close_listener(listener, now))


@VERSIONS
def test_we_connect_and_each_sends_the_other_everything(
    link: Link, version: int, noise: bytes
) -> None:
    transfer = Transfer(link.ours.stack, memoryview(noise))

    def connect(stack: Stack, now: Now) -> None:
        transfer.id = stack.connect(Endpoint(link.kernel_ip(version), port), now)

    with link.following(transfer), link.kernel_stream(version) as listener:
        listener.bind((str(link.kernel_ip(version)), 0))
        listener.listen()
        port = listener.getsockname()[1]
        link.ours.do(connect)
        theirs, _ = listener.accept()
        with theirs:
            theirs.settimeout(TRANSFER_PATIENCE)
            assert exchange(theirs, noise[::-1]) == md5(noise)
        assert transfer.done.result(TRANSFER_PATIENCE) == md5(noise[::-1])


@VERSIONS
def test_the_kernel_is_refused_where_nobody_listens(link: Link, version: int) -> None:
    with link.kernel_stream(version) as theirs, pytest.raises(ConnectionRefusedError):
        theirs.connect((str(link.ours.ip(version)), 81))


@VERSIONS
def test_we_are_refused_where_nobody_listens(link: Link, version: int) -> None:
    remote = Endpoint(link.kernel_ip(version), 81)
    link.ours.do(lambda stack, now: stack.connect(remote, now))
    assert link.ours.wait_for(ConnectionRefused, PATIENCE).reason is Reason.REFUSED
