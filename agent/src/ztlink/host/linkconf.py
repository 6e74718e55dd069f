"""Settings of one device's IPv4, by netlink: also where /proc/sys is read-only, as in a pod.

The kernel takes them as nested attributes of RTM_SETLINK, the number of the setting for a kind:
IFLA_AF_SPEC / AF_INET / IFLA_INET_CONF. Only devices have that; what holds for all of them, and
IPv6 as a whole, can but be read.
"""

import errno
import os
import socket
import struct
from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path
from typing import Final

from ztlink.errors import HostError
from ztlink.host import rtnetlink
from ztlink.host.sysctls import SHOWN, read_number


class Ipv4Conf(IntEnum):
    """Settings by their numbers: IPV4_DEVCONF_* of the kernel's linux/ip.h."""

    FORWARDING = 1
    RP_FILTER = 8


LOOSE: Final = 2
"""Of RP_FILTER: there must be a way back, by whatever device. Stronger than 0 and 1 of `all`."""

_BY_MAC: Final = 0
"""Of addr_gen_mode; others make none, or one by a secret of the machine's."""
_RTM_SETLINK: Final = 19
_IFLA_AF_SPEC: Final = 26
_IFLA_INET_CONF: Final = 1
_LINK: Final = struct.Struct("=BxHiII")
_VALUE: Final = struct.Struct("=I")


def ensure_ipv4_conf(device: str, values: Mapping[Ipv4Conf, int]) -> None:
    """Change what differs; HostError where the device is not there, or we may not.

    What is as it should be stays untouched: every change is an event for whoever watches devices.
    """
    changes = {k: value for k, value in values.items() if read_ipv4_conf(device, k) != value}
    if not changes:
        return
    index = index_of(device)
    if not index:
        raise HostError(errno.ENODEV, f"there is no device {device}")
    try:
        _request(_message(index, changes))
    except OSError as error:
        raise HostError(error.errno, f"cannot set up IPv4 of {device}: {error.strerror}") from error


def makes_link_local(device: str, shown: Path = SHOWN) -> bool:
    """Tell whether a device that is up has a link-local address of the kernel's, by its MAC."""
    conf = shown / "ipv6/conf" / device
    values = (read_number(conf / "disable_ipv6"), read_number(conf / "addr_gen_mode"))
    return values == (0, _BY_MAC)  # without IPv6, nothing is shown


def index_of(name: str) -> int:
    """Return a device's number, in the network namespace that we are in; 0 where there is none."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return 0


def read_ipv4_conf(device: str, kind: Ipv4Conf) -> int | None:
    """Return a setting of a device; None where the kernel does not show it."""
    return read_number(SHOWN / "ipv4/conf" / device / kind.name.lower())


def _message(index: int, values: Mapping[Ipv4Conf, int]) -> bytes:
    settings = (rtnetlink.attribute(kind, _VALUE.pack(value)) for kind, value in values.items())
    conf = rtnetlink.nested(_IFLA_INET_CONF, b"".join(settings))
    family = rtnetlink.nested(socket.AF_INET, conf)
    body = _LINK.pack(socket.AF_UNSPEC, 0, index, 0, 0) + rtnetlink.nested(_IFLA_AF_SPEC, family)
    return rtnetlink.request(_RTM_SETLINK, 0, body)


def _request(message: bytes) -> None:
    with rtnetlink.open_socket() as opened:
        (status,) = rtnetlink.carry_out(opened, [message])
    if status:
        raise OSError(status, os.strerror(status))
