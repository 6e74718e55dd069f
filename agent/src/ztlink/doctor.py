"""What a machine has of what an agent needs: looked at, never changed.

Each finding is a condition with its remedy. What must be there is required; what only some uses
need is told and no more. A running agent tells its own conditions beside these.
"""

import errno
import fcntl
import http.client
import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from ztlink.conditions import Condition, Status
from ztlink.drivers.clock import is_synchronised, read_clock
from ztlink.drivers.store import PLANET
from ztlink.drivers.tap import DEVICES
from ztlink.errors import HostError, WireError
from ztlink.host import sysctls
from ztlink.host.routes.examine import examine as examine_routes
from ztlink.settings import Settings
from ztlink.wire.buffer import Reader
from ztlink.wire.default_planet import DEFAULT_PLANET
from ztlink.wire.world import World

CAP_NET_ADMIN: Final = 12
TUNGETFEATURES: Final = 0x800454CF
EARLIEST_UNIX: Final = 1_735_689_600
"""2025 began; a clock that is behind has not been set."""
_TIMEOUT: Final = 3.0
_STATUS: Final = Path("/proc/self/status")


def examine(settings: Settings) -> Iterator[Condition]:
    """Yield what there is to be said of this machine for such settings."""
    running = _running(settings)
    yield tun_device()
    yield net_admin()
    yield from home(settings)
    yield world(settings)
    if running is None:
        yield udp_port(settings.port)
        yield from routes(settings)
    yield clock()
    yield nft()
    yield from forwarding()
    yield from reverse_path()
    yield from agent(settings, running)


def routes(settings: Settings) -> Iterator[Condition]:
    """Tell which declared routes would be refused here, and why."""
    if settings.routing is None or not settings.routing.routes:
        return
    try:
        yield from examine_routes(settings.routing)
    except HostError as error:
        yield Condition("routes", Status.UNKNOWN, "", str(error.strerror))


def _well(kind: str, said: str = "", subject: str = "", *, is_required: bool = True) -> Condition:
    return Condition(kind, Status.OK, subject, said, is_required=is_required)


def tun_device(devices: tuple[Path, ...] = DEVICES) -> Condition:
    """Tell whether there is a TAP to be had."""
    kind = "tunDevice"
    device = next((one for one in devices if one.exists()), None)
    if device is None:
        remedy = "load the module (modprobe tun), or give the container the device"
        return Condition(kind, Status.FAULT, "", f"{devices[0]} does not exist", remedy)
    try:
        descriptor = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        remedy = "run as root, or let the container's runtime allow the device (c 10:200 rwm)"
        return Condition(kind, Status.FAULT, "", f"{device}: {error.strerror}", remedy)
    try:
        fcntl.ioctl(descriptor, TUNGETFEATURES, bytes(4))
    except OSError as error:
        remedy = "mount the machine's own /dev/net/tun: this is another device"
        return Condition(kind, Status.FAULT, "", f"{device}: {error.strerror}", remedy)
    finally:
        os.close(descriptor)
    return _well(kind, str(device))


def net_admin(status: Path = _STATUS) -> Condition:
    """Tell whether we may make devices and routes."""
    lines = dict(line.partition(":")[::2] for line in status.read_text().splitlines())
    if int(lines["CapEff"], 16) >> CAP_NET_ADMIN & 1:
        return _well("netAdmin", "CAP_NET_ADMIN is in effect")
    return Condition(
        "netAdmin",
        Status.FAULT,
        "",
        "CAP_NET_ADMIN is missing",
        "run as root, or add NET_ADMIN to the container's capabilities",
    )


def home(settings: Settings) -> Iterator[Condition]:
    """Tell whether state can be kept."""
    directory = settings.home
    place = directory
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        yield Condition("home", Status.FAULT, "", f"{place} is no directory", "name another home")
    elif os.access(place, os.W_OK | os.X_OK):
        said = str(directory) if place == directory else f"{directory}, which will be made"
        yield _well("home", said)
    else:
        yield Condition(
            "home",
            Status.FAULT,
            "",
            f"{place} is not writable",
            "mount a volume there, or run as its owner: the identity must outlive the process",
        )


def world(settings: Settings) -> Condition:
    """Tell who the roots are."""
    file = settings.planet or settings.home / PLANET
    try:
        found = World.decode(Reader(file.read_bytes()))
    except FileNotFoundError as error:
        if settings.planet is not None:
            remedy = "mount the world file, or name none"
            return Condition("world", Status.FAULT, "", f"{file}: {error.strerror}", remedy)
        found, file = DEFAULT_PLANET, Path("ZeroTier's own")
    except OSError as error:
        return Condition("world", Status.FAULT, "", f"{file}: {error.strerror}", "see its rights")
    except WireError as error:
        remedy = "make one by 'ztlink world create', or name none"
        return Condition("world", Status.FAULT, "", f"{file} is no world: {error}", remedy)
    said = f"{file}: {found.world_id:016x} of {found.timestamp}, {len(found.roots)} roots"
    return _well("world", said)


def udp_port(port: int) -> Condition:
    """Tell whether the port is free."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as tried:
        try:
            tried.bind(("", port))
        except OSError as error:
            remedy = "stop what has it (ss -lunp), or set another port"
            if error.errno != errno.EADDRINUSE:
                remedy = "set another port"
            return Condition("port", Status.FAULT, "", f"UDP {port}: {error.strerror}", remedy)
    return _well("port", f"UDP {port} is free")


def clock() -> Condition:
    """Tell whether the time is right."""
    if read_clock().unix_ms / 1000 < EARLIEST_UNIX:
        remedy = "set the clock (chrony, systemd-timesyncd): ages, logs and certificates go by it"
        return Condition("clock", Status.FAULT, "", "the clock was never set", remedy)
    is_kept = is_synchronised()
    if is_kept is None:
        return Condition(
            "clock",
            Status.UNKNOWN,
            cause="the kernel does not tell whether the clock is synchronised",
            is_required=False,
        )
    if not is_kept:
        return Condition(
            "clock",
            Status.WAITING,
            cause="nothing keeps the clock synchronised",
            remedy="run chrony or systemd-timesyncd: ages, logs and certificates go by it",
            is_required=False,
        )
    return _well("clock", "synchronised", is_required=False)


def nft(find: Callable[[str], str | None] = shutil.which) -> Condition:
    """Tell whether a firewall can be made."""
    found = find("nft")
    if found is not None:
        return _well("nft", found, is_required=False)
    return Condition(
        "nft",
        Status.FAULT,
        cause="there is no program nft",
        remedy="install nftables, or do without a firewall",
        is_required=False,
    )


def forwarding(shown: Path = sysctls.SHOWN) -> Iterator[Condition]:
    """Tell whether the machine passes packets on, which networks behind it need."""
    for one in sysctls.forwarding(shown):
        kind, subject = "forwarding", one.family
        if one.is_well:
            yield _well(kind, "on", subject, is_required=False)
        else:
            status = Status.UNKNOWN if one.value is None else Status.WAITING
            yield Condition(kind, status, subject, one.cause, one.remedy, is_required=False)


def reverse_path(shown: Path = sysctls.SHOWN) -> Iterator[Condition]:
    """Tell whether the kernel drops what comes by another way than it would answer by."""
    one = sysctls.reverse_path(shown)
    if not one.is_well:
        yield Condition("rpFilter", Status.WAITING, "", one.cause, one.remedy, is_required=False)


def agent(settings: Settings, running: dict[str, Any] | None) -> Iterator[Condition]:
    """Tell what a running agent says of itself."""
    if settings.http is None:
        return
    if running is None:
        yield Condition(
            "agent",
            Status.WAITING,
            cause=f"none answers at {settings.http.ip}:{settings.http.port}",
            remedy="ztlink agent --config FILE",
            is_required=False,
        )
        return
    yield _well("agent", f"{running.get('address')} runs, version {running.get('version')}")
    for told in running.get("conditions", ()):
        if told["status"] != Status.OK:
            yield Condition(
                told["kind"],
                Status(told["status"]),
                told["subject"],
                told["cause"],
                told["remedy"],
                told["required"],
            )


def _running(settings: Settings) -> dict[str, Any] | None:
    """Return what a running agent tells at the address of its health."""
    if settings.http is None:
        return None
    ip = settings.http.ip
    if ip.is_unspecified:
        ip = ip_address("127.0.0.1" if ip.version == 4 else "::1")
    connection = http.client.HTTPConnection(str(ip), settings.http.port, timeout=_TIMEOUT)
    try:
        connection.request("GET", "/zerotier/health")
        told = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    # Somebody else may have the port, who speaks JSON, too.
    return told if isinstance(told, dict) and isinstance(told.get("conditions"), list) else None
