"""The machine's devices and addresses, read from the kernel by rtnetlink(7), and news of them.

Sockets are bound by these before anything else of a node runs, and a root or a controller asks the
kernel for nothing more. So this does without pyroute2, whose import takes a tenth of a second.
"""

import contextlib
import os
import socket
import struct
from ipaddress import ip_address
from typing import Final, NamedTuple

from ztlink.drivers.sockets import LocalAddress
from ztlink.errors import HostError
from ztlink.host.rtnetlink import attributes, dump, open_socket
from ztlink.ids import IpAddress

IFF_UP: Final = 0x01
IFF_LOOPBACK: Final = 0x08
IFF_POINTOPOINT: Final = 0x10
IFF_NOARP: Final = 0x80
IFA_F_OPTIMISTIC: Final = 0x04
IFA_F_DADFAILED: Final = 0x08
IFA_F_DEPRECATED: Final = 0x20
IFA_F_TENTATIVE: Final = 0x40

_RTM_GETLINK: Final = 18
_RTM_GETADDR: Final = 22
_ANY_FAMILY: Final = bytes((socket.AF_UNSPEC,))
_IFLA_IFNAME: Final = 3
_IFA_ADDRESS: Final = 1
_IFA_LOCAL: Final = 2
_IFA_FLAGS: Final = 8
_LINK: Final = struct.Struct("=BxHiII")
"""Of a device: family, hardware, index, flags, changed flags."""
_ADDRESS: Final = struct.Struct("=BBBBI")
"""Of an address: family, prefix length, flags, scope, index of the device."""
_FLAGS: Final = struct.Struct("=I")

_RTMGRP_LINK: Final = 0x1
_RTMGRP_IPV4_IFADDR: Final = 0x10
_RTMGRP_IPV6_IFADDR: Final = 0x100
_RTNLGRP_IPV4_MCADDR: Final = 37
_RTNLGRP_IPV6_MCADDR: Final = 38
_SOL_NETLINK: Final = 270
_NETLINK_ADD_MEMBERSHIP: Final = 1


class _Link(NamedTuple):
    name: str
    flags: int


class _Found(NamedTuple):
    link: int
    ip: IpAddress
    flags: int


def local_addresses() -> list[tuple[str, IpAddress]]:
    """Return every address of the machine with its device's name."""
    links, found = _look()
    return [(links[one.link].name, one.ip) for one in found]


def underlay_addresses() -> list[LocalAddress]:
    """Return the addresses of devices that are up, with what the kernel says of each."""
    links, found = _look()
    return [_local_address(links[one.link], one) for one in found if links[one.link].flags & IFF_UP]


def _leads_nowhere(flags: int) -> bool:
    """Tell whether a device is a loopback or dummy one: its addresses are the machine's own."""
    return bool(flags & IFF_LOOPBACK) or flags & (IFF_NOARP | IFF_POINTOPOINT) == IFF_NOARP


def _local_address(link: _Link, found: _Found) -> LocalAddress:
    is_unsure = bool(found.flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED))
    return LocalAddress(
        link.name,
        found.ip,
        0 if _leads_nowhere(link.flags) else found.link,
        is_tentative=is_unsure and not found.flags & IFA_F_OPTIMISTIC,
        is_deprecated=bool(found.flags & IFA_F_DEPRECATED),
    )


# -- the conversation with the kernel ----------------------------------------------------------


def _look() -> tuple[dict[int, _Link], list[_Found]]:
    """Return all devices by their index, and the addresses that are on them."""
    try:
        with open_socket() as opened:
            links = dict(_parse_link(body) for body in dump(opened, _RTM_GETLINK, _ANY_FAMILY))
            found = [_parse_address(body) for body in dump(opened, _RTM_GETADDR, _ANY_FAMILY)]
    except OSError as error:
        raise HostError(
            error.errno, f"cannot read the machine's addresses: {error.strerror}"
        ) from error
    return links, [one for one in found if one is not None and one.link in links]


def _parse_link(body: memoryview) -> tuple[int, _Link]:
    _, _, index, flags, _ = _LINK.unpack_from(body)
    name = attributes(body[_LINK.size :]).get(_IFLA_IFNAME, b"")
    return index, _Link(os.fsdecode(bytes(name).rstrip(b"\0")), flags)


def _parse_address(body: memoryview) -> _Found | None:
    """Return an address; None for one of a family that is neither IPv4 nor IPv6."""
    family, _, flags, _, index = _ADDRESS.unpack_from(body)
    found = attributes(body[_ADDRESS.size :])
    # At a point-to-point device, the other attribute is the address at the far end.
    packed = found.get(_IFA_LOCAL) or found.get(_IFA_ADDRESS)
    if family not in (socket.AF_INET, socket.AF_INET6) or packed is None:
        return None
    if _IFA_FLAGS in found:  # more of them than the byte of the header holds
        (flags,) = _FLAGS.unpack(found[_IFA_FLAGS])
    return _Found(index, ip_address(bytes(packed)), flags)


class AddressWatch:
    """A netlink socket that becomes readable when links, addresses or group memberships change."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        )
        self._socket.bind((0, _RTMGRP_LINK | _RTMGRP_IPV4_IFADDR | _RTMGRP_IPV6_IFADDR))
        for group in (_RTNLGRP_IPV4_MCADDR, _RTNLGRP_IPV6_MCADDR):
            with contextlib.suppress(OSError):  # a kernel before 6.14 tells nothing of groups
                self._socket.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, group)

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._socket.fileno()

    def drain(self) -> None:
        """Pass over the news: whoever watches looks at the whole state anyway."""
        with contextlib.suppress(OSError):  # nothing left, or more was lost than the buffer held
            while self._socket.recv(65_536):
                pass

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
