"""The door to the program `resolvconf`: openresolv, or Debian's of that name.

It is handed a fragment for a device, and puts together what resolvers of the machine are told.
Ours are named by the device and by whose they are, so that they are found again.
"""

import shutil
import subprocess
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from ztlink.errors import HostError
from ztlink.host.dns.entries import NameServers
from ztlink.host.dns.file import RESOLV_CONF
from ztlink.host.dns.way import Link
from ztlink.ids import IpAddress

RECORDS: Final = Path("/run/resolvconf")
"""Both keep a file for each fragment in a folder of this one, `interface` or `interfaces`."""
_OF_DEBIAN: Final = "interface"
_IT_DECIDES: Final = (
    "resolvconf decides who is asked first: where the machine runs no resolver that knows "
    "domains, such as dnsmasq or unbound, that may be the network's servers, for all names"
)
_DISABLED: Final = (
    "resolvconf was told to update nothing, so that nobody asks the network's servers yet: "
    "run 'resolvconf --enable-updates'"
)
_NO_LINK: Final = (
    "is no link to what resolvconf writes, so that programs which read it do not ask the network's "
    "servers: run 'ln -sf /run/resolvconf/resolv.conf /etc/resolv.conf'"
)
_PATH: Final = "/usr/local/sbin:/usr/sbin:/sbin"
_MARK: Final = ".ztlink-"
_TIMEOUT: Final = 30.0
"""Seconds: it has name servers of the machine loaded anew."""


class Resolvconf:
    """Hands it fragments; HostError where it refuses."""

    name = "resolvconf"

    def __init__(
        self,
        owner: str,
        program: Sequence[str] | None = None,
        records: Path = RECORDS,
        resolv_conf: Path = RESOLV_CONF,
    ) -> None:
        """Make it for the fragments of a node, by its address."""
        self._owner = owner
        self._program = program
        self._records = records
        self._resolv_conf = resolv_conf

    @property
    def caveat(self) -> str:
        """Tell that it decides; of Debian's, also where it is kept from telling anybody."""
        if not (self._records / _OF_DEBIAN).is_dir():
            return _IT_DECIDES
        if not (self._records / "enable-updates").exists():
            return f"{_DISABLED}; {_IT_DECIDES}"
        if self._resolv_conf.resolve() != (self._records / "resolv.conf").resolve():
            return f"{self._resolv_conf} {_NO_LINK}; {_IT_DECIDES}"
        return _IT_DECIDES

    def why_not(self) -> str | None:
        """Return that it is missing here."""
        return None if self._find() else "there is no resolvconf"

    def holds(self, link: Link, found: NameServers) -> bool:
        """Tell whether it has our fragment."""
        record = self._record(self._name(link.name))
        if record is None:
            return False
        try:
            return _meaning(record.read_text(encoding="ascii")) == _meaning(_fragment(found))
        except (OSError, ValueError):
            return False

    def apply(self, link: Link, found: NameServers) -> None:
        """Hand it the fragment of a device, in place of a former one."""
        self._run("-a", self._name(link.name), given=_fragment(found))

    def revert(self, link: Link) -> None:
        """Take a device's fragment back."""
        name = self._name(link.name)
        if self._record(name) is not None:
            self._run("-d", name)

    def kept(self) -> frozenset[str]:
        """Return the devices of which it has fragments of ours."""
        mark = _MARK + self._owner
        return frozenset(one.name.removesuffix(mark) for one in self._records.glob(f"*/*{mark}"))

    def remove_all(self) -> bool:
        """Take the fragments of all nodes back; tell whether there were any."""
        names = {one.name for one in self._records.glob(f"*/*{_MARK}*")}
        for name in sorted(names):
            self._run("-d", name)
        return bool(names)

    def _name(self, device: str) -> str:
        return f"{device}{_MARK}{self._owner}"

    def _record(self, name: str) -> Path | None:
        return next(self._records.glob(f"*/{name}"), None)

    def _find(self) -> Sequence[str] | None:
        if self._program is not None:
            return self._program
        found = shutil.which("resolvconf") or shutil.which("resolvconf", path=_PATH)
        # Where systemd-resolved is installed, its own program may have that name, too.
        return None if found is None or Path(found).resolve().name == "resolvectl" else (found,)

    def _run(self, *arguments: str, given: str = "") -> None:
        program = self._find()
        if program is None:
            raise HostError(0, "there is no resolvconf")
        try:
            done = subprocess.run(  # noqa: S603 - names of devices, and checked domains
                (*program, *arguments), input=given.encode(), capture_output=True, timeout=_TIMEOUT
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise HostError(0, f"resolvconf: {error}") from error
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()
            raise HostError(0, f"resolvconf: {said or f'exit status {done.returncode}'}")


def _meaning(fragment: str) -> list[str | IpAddress]:
    """Return its words; Debian's writes addresses in another form than they had."""
    lines = (line.split() for line in fragment.splitlines())
    return [
        ip_address(word) if words[0] == "nameserver" and word != "nameserver" else word
        for words in lines
        for word in words
    ]


def _fragment(found: NameServers) -> str:
    lines = (f"search {found.domain}", *(f"nameserver {ip}" for ip in found.servers))
    return "".join(f"{line}\n" for line in lines)
