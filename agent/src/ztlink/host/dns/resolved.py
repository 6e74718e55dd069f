"""The door to systemd-resolved, over the system's D-Bus: name servers of one device.

`busctl` speaks for us: it is on every machine that has systemd-resolved, and what is said is short.
What is set belongs to the device, and goes with it.
"""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ztlink.errors import HostError
from ztlink.host.dns import pointed
from ztlink.host.dns.entries import NameServers
from ztlink.host.dns.way import Link
from ztlink.ids import IpAddress

_TIMEOUT: Final = 5.0
_FAMILY: Final = {4: "2", 6: "10"}
"""AF_INET and AF_INET6."""
_OBJECT: Final = (
    "org.freedesktop.resolve1",
    "/org/freedesktop/resolve1",
    "org.freedesktop.resolve1.Manager",
)


class _RefusedError(HostError):
    """The bus, or who is asked on it, has said no."""


class Resolved:
    """Talks to the resolver; HostError where it refuses."""

    name = "systemd-resolved"

    def __init__(
        self, environment: Mapping[str, str] | None = None, etc: Path = pointed.ETC
    ) -> None:
        """Make it; `environment` names another bus than the system's."""
        self._environment = environment
        self._etc = etc

    @property
    def caveat(self) -> str:
        """Tell where programs of the machine ask others, now."""
        return pointed.caveat(self._etc)

    def why_not(self) -> str | None:
        """Return that it does not run here, in words of what was asked."""
        if shutil.which("busctl") is None:
            return "there is no systemd-resolved: busctl is missing"
        try:
            self._all_servers()
        except _RefusedError as error:
            return f"{error.strerror}"
        return None

    def holds(self, link: Link, found: NameServers) -> bool:
        """Tell whether a device has these servers."""
        return self.servers(link) == tuple(ip.packed for ip in found.servers)

    def apply(self, link: Link, found: NameServers) -> None:
        """Have names in a domain, and no others, asked of servers behind a device."""
        index = str(link.index)
        servers = [word for ip in found.servers for word in _server(ip)]
        self._call("SetLinkDNS", "ia(iay)", index, str(len(found.servers)), *servers)
        self._call("SetLinkDomains", "ia(sb)", index, "1", found.domain, "true")
        self._call("SetLinkDefaultRoute", "ib", index, "false")

    def revert(self, link: Link) -> None:
        """Take back what was set for a device."""
        self._call("RevertLink", "i", str(link.index))

    def kept(self) -> frozenset[str]:
        """Return nothing: all goes with its device."""
        return frozenset()

    def servers(self, link: Link) -> tuple[bytes, ...]:
        """Return the addresses of the servers that are set for a device, packed."""
        return tuple(
            bytes(octets) for index, _, octets in self._all_servers() if index == link.index
        )

    def _all_servers(self) -> list[Any]:
        said = self._busctl("--json=short", "get-property", *_OBJECT, "DNS")
        rows: list[Any] = json.loads(said)["data"]
        return rows

    def _call(self, method: str, *arguments: str) -> None:
        self._busctl("call", *_OBJECT, method, *arguments)

    def _busctl(self, *arguments: str) -> bytes:
        program = shutil.which("busctl")
        if program is None:
            raise HostError(0, "there is no systemd-resolved: busctl is missing")
        command = (program, "--system", *arguments)
        try:
            done = subprocess.run(  # noqa: S603 - its words are numbers and a checked domain
                command, capture_output=True, timeout=_TIMEOUT, env=self._environment
            )
        except subprocess.TimeoutExpired:
            raise HostError(0, f"systemd-resolved: no answer within {_TIMEOUT:g} s") from None
        if done.returncode:
            raise _RefusedError(
                0, f"systemd-resolved: {done.stderr.decode(errors='replace').strip()}"
            )
        return done.stdout


def _server(ip: IpAddress) -> tuple[str, ...]:
    """Return the words of a server: its family, the count of its octets, these."""
    return _FAMILY[ip.version], str(len(ip.packed)), *map(str, ip.packed)
