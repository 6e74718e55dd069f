"""The machine as the tests of this folder see it: one empty network namespace each."""

import contextlib
import ctypes
import json
import os
import select
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_interface
from typing import Any, Final

from ztlink.batch import SuperFrame
from ztlink.drivers.tap import Tap
from ztlink.host.netlink import Netlink
from ztlink.ids import Mac

PATIENCE: Final = 10.0
MAC: Final = Mac(bytes.fromhex("32a0b0c0d0e0"))
NEIGHBOUR: Final = Mac(bytes.fromhex("32a0b0c0d0e1"))
_CLONE_NEWNET: Final = 0x40000000
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def copy_of_us(*, seconds: float) -> Iterator[None]:
    """Have a process that was forked and runs no other program yet."""
    child = os.fork()
    if child == 0:
        time.sleep(seconds)
        os._exit(0)
    yield
    os.waitpid(child, 0)


@contextlib.contextmanager
def own_namespace() -> Iterator[None]:
    """Move this thread into a new network namespace and back; threads it starts are in it too."""
    former = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_LIBC.unshare(_CLONE_NEWNET))
        try:
            ip("link", "set", "lo", "up")
            yield
        finally:
            _check(_LIBC.setns(former, _CLONE_NEWNET))
    finally:
        os.close(former)


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def ip(*arguments: str) -> str:
    """Run `ip` and return what it printed."""
    done = subprocess.run(("ip", *arguments), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def ask(*arguments: str) -> list[dict[str, Any]]:
    """Return what `ip` tells, each thing as a dictionary."""
    told: list[dict[str, Any]] = json.loads(ip("-d", "-j", *arguments) or "[]")
    return [thing for thing in told if thing]


def devices() -> set[str]:
    """Return the names of all devices."""
    return {str(link["ifname"]) for link in ask("link", "show")}


def addresses(name: str) -> set[str]:
    """Return the addresses of a device that are not of its link alone."""
    return {
        f"{address['local']}/{address['prefixlen']}"
        for address in ask("address", "show", "dev", name)[0]["addr_info"]
        if address["scope"] == "global"
    }


def routes(*selector: str) -> set[str]:
    """Return the targets of routes of both families."""
    return {
        str(route["dst"])
        for family in ("-4", "-6")
        for route in ask(family, "route", "show", *selector)
    }


def comes_true(condition: Callable[[], bool]) -> bool:
    """Wait until something is so; False where it never is."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is so, which is not what is to be shown."""
    assert comes_true(condition), "waited in vain"


def wait_frame(tap: Tap, is_wanted: Callable[[SuperFrame], bool]) -> SuperFrame:
    """Return the first frame that the host sends and that is wanted, with a buffer of its own."""
    deadline = time.monotonic() + PATIENCE
    while (left := deadline - time.monotonic()) > 0:
        select.select([tap.fileno()], [], [], left)
        for frame in tap.read(1):
            if is_wanted(frame):
                frame.buffer = memoryview(bytearray(frame.buffer))
                return frame
    raise AssertionError("no such frame")


@contextlib.contextmanager
def dead_end() -> Iterator[None]:
    """Have a device 10.66.0.1/24 whose neighbour 10.66.0.9 does not answer."""
    tap = Tap("zttest9")
    try:
        bring_up(tap, "10.66.0.1/24")
        yield
    finally:
        tap.close()


def shrink(descriptor: int) -> None:
    """Give a socket less room than what waits for a neighbour may take."""
    with socket.socket(fileno=os.dup(descriptor)) as copy:
        copy.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 20_000)


def open_dead_end() -> None:
    """Let what waits at the dead end go."""
    ip("neigh", "replace", "10.66.0.9", "lladdr", NEIGHBOUR.hex(":"), "dev", "zttest9")


def give_address(device: str, address: str, run: Callable[..., str] = ip) -> None:
    """Add an address, and wait until what is for it is delivered; `run` is `ip` elsewhere.

    The kernel makes the route to an IPv6 address of its own later than the address, in a thread of
    its own, even without duplicate address detection. What comes before that is lost.
    """
    own = ip_interface(address)
    run("address", "add", address, "dev", device, *(("nodad",) if own.version == 6 else ()))
    family = f"-{own.version}"
    wait_for(lambda: bool(run(family, "route", "show", "table", "local", str(own.ip)).strip()))


def wire(name: str, *own: str) -> None:
    """Add a device as a network card is, up, with addresses, and something at its other end."""
    ip("link", "add", name, "type", "veth", "peer", "name", f"{name}x")
    ip("link", "set", f"{name}x", "up")
    ip("link", "set", name, "up")
    for address in own:
        ip("address", "add", address, "dev", name)


def bring_up(tap: Tap, *own: str, mtu: int = 2800) -> None:
    """Take a TAP up with addresses."""
    netlink = Netlink()
    try:
        netlink.bring_up(tap.name, MAC, mtu)
    finally:
        netlink.close()
    for address in own:
        ip("address", "add", address, "dev", tap.name)
