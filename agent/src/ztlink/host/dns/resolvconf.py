"""The door to the program `resolvconf`: openresolv, or Debian's of that name.

It is handed a fragment for a device, and puts together what resolvers of the machine are told.
Ours are named by the device and by whose they are, so that they are found again.
"""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ztlink.errors import HostError
from ztlink.host.dns.entries import NameServers
from ztlink.host.dns.way import Link

RECORDS: Final = Path("/run/resolvconf")
"""Both keep a file for each fragment in a folder of this one, `interface` or `interfaces`."""
_PATH: Final = "/usr/local/sbin:/usr/sbin:/sbin"
_MARK: Final = ".ztlink-"
_TIMEOUT: Final = 30.0
"""Seconds: it has name servers of the machine loaded anew."""


class Resolvconf:
    """Hands it fragments; HostError where it refuses."""

    name = "resolvconf"
    caveat = (
        "resolvconf decides who is asked first: where the machine runs no resolver that knows "
        "domains, such as dnsmasq or unbound, that may be the network's servers, for all names"
    )

    def __init__(
        self, owner: str, program: Sequence[str] | None = None, records: Path = RECORDS
    ) -> None:
        """Make it for the fragments of a node, by its address."""
        self._owner = owner
        self._program = program
        self._records = records

    def why_not(self) -> str | None:
        """Return that it is missing here."""
        return None if self._find() else "there is no resolvconf"

    def holds(self, link: Link, found: NameServers) -> bool:
        """Tell whether it has our fragment."""
        record = self._record(self._name(link.name))
        if record is None:
            return False
        try:
            return record.read_text(encoding="ascii").split() == _fragment(found).split()
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


def _fragment(found: NameServers) -> str:
    lines = (f"search {found.domain}", *(f"nameserver {ip}" for ip in found.servers))
    return "".join(f"{line}\n" for line in lines)
