"""The resolver's own file, where nobody else keeps it: a block of ours, and the way back.

glibc asks the first server of the file for every name, and the next one only where that does not
answer or refuses. So the block stands before the others, there is one of them, and it leaves room
for a server of the machine: of three that are asked at most, two are the network's. It has no
search list, as glibc takes the last one for the only one.

A file that another program keeps is left alone: a link, what is mounted, what says that it was
generated. It is replaced as a whole, so that nobody reads half of it.
"""

import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from ztlink.errors import HostError
from ztlink.host.dns.entries import NameServers
from ztlink.host.dns.way import Link

RESOLV_CONF: Final = Path("/etc/resolv.conf")
MOUNTS: Final = Path("/proc/self/mountinfo")
MAX_SERVERS: Final = 2
"""Of the network's: the third that glibc asks is one of the machine's."""
_BLOCK: Final = re.compile(
    r"^# BEGIN ztlink (?P<owner>[0-9a-f]{10}) (?P<device>\S+):.*\n"
    r"(?:nameserver .*\n)*"
    r"# END ztlink\n",
    re.MULTILINE,
)
_GENERATED: Final = re.compile(
    r"^[#;].*(generated|created by|written by|managed by|maintained by|do not edit|NetworkManager"
    r"|resolvconf|dhclient|dhcpcd|netconfig|connman|systemd|docker|cloud-init).*$",
    re.MULTILINE | re.IGNORECASE,
)
_SERVER: Final = re.compile(r"^nameserver\s+\S", re.MULTILINE)
_MOUNT_POINT: Final = 4
"""The field of a line of mountinfo."""


class ResolvConf:
    """Keeps a block in the file; HostError where it may not."""

    def __init__(self, owner: str, file: Path = RESOLV_CONF, mounts: Path = MOUNTS) -> None:
        """Make it for the block of a node, by its address."""
        self.name = str(file)
        self.caveat = (
            f"{file} knows no domains: the network's servers are asked first for all names, and one"
            " that says that a name does not exist is believed; run systemd-resolved to have them "
            "asked for their domain alone"
        )
        self._owner = owner
        self._file = file
        self._mounts = mounts

    def why_not(self) -> str | None:
        """Return why the file is not ours to change."""
        if self._file.is_symlink():
            return f"{self._file} is a link to {self._file.readlink()}: another program keeps it"
        if self._is_mounted():
            return f"{self._file} is mounted from elsewhere, as in a container"
        try:
            rest = _BLOCK.sub("", self._read())
        except OSError as error:
            return f"{self._file}: {error.strerror}"
        made = _GENERATED.search(rest)
        if made is not None:
            return f"{self._file} is kept by another program: it says {made[0]!r}"
        if not _SERVER.search(rest):
            return f"{self._file} names no server: a resolver of this machine is asked"
        return None

    def holds(self, link: Link, found: NameServers) -> bool:
        """Tell whether the block is there."""
        try:
            return self._block(link.name, found) in self._read()
        except OSError:
            return False

    def apply(self, link: Link, found: NameServers) -> None:
        """Put the block before what there is; one network has room."""

        def change(text: str) -> str:
            rest = self._without(link.name, text)
            other = _BLOCK.search(rest)
            if other is not None:
                raise HostError(
                    0,
                    f"{self._file} has the servers of {other['device']} already, and the first one "
                    "is asked for all names: there is room for one network",
                )
            return self._block(link.name, found) + rest

        self._rewrite(change)

    def revert(self, link: Link) -> None:
        """Take the block of a device away: what was there before is there again."""
        if link.name in self.kept():
            self._rewrite(lambda text: self._without(link.name, text))

    def kept(self) -> frozenset[str]:
        """Return the devices of which there are blocks of ours."""
        try:
            blocks = _BLOCK.finditer(self._read())
        except OSError:
            return frozenset()
        return frozenset(one["device"] for one in blocks if one["owner"] == self._owner)

    def remove_all(self) -> bool:
        """Take the blocks of all nodes away; tell whether there were any."""
        with suppress(OSError):
            self._scratch.unlink()
        try:
            if not _BLOCK.search(self._read()):
                return False
        except OSError:
            return False
        self._rewrite(lambda text: _BLOCK.sub("", text))
        return True

    def _block(self, device: str, found: NameServers) -> str:
        servers = "".join(f"nameserver {ip}\n" for ip in found.servers[:MAX_SERVERS])
        return (
            f"# BEGIN ztlink {self._owner} {device}: goes by itself, or by `ztlink cleanup`\n"
            f"{servers}# END ztlink\n"
        )

    def _without(self, device: str, text: str) -> str:
        def replaced(block: re.Match[str]) -> str:
            return "" if (block["owner"], block["device"]) == (self._owner, device) else block[0]

        return _BLOCK.sub(replaced, text)

    # -- the file --------------------------------------------------------------------------------

    def _is_mounted(self) -> bool:
        try:
            lines = self._mounts.read_text(errors="surrogateescape").splitlines()
        except OSError:
            return False
        return any(line.split()[_MOUNT_POINT] == str(self._file) for line in lines)

    def _read(self) -> str:
        return self._file.read_bytes().decode(errors="surrogateescape")

    @property
    def _scratch(self) -> Path:
        return self._file.with_name(f".{self._file.name}.ztlink")

    def _rewrite(self, change: Callable[[str], str]) -> None:
        """Put another file in its place, with its rights, unless it was changed meanwhile."""
        try:
            before = self._file.stat()
            text = change(self._read())
            self._write_scratch(text, before)
            now = self._file.stat()
            if _version(now) != _version(before) or self._file.is_symlink():
                raise HostError(0, f"{self._file} was changed by another program meanwhile")
            self._scratch.replace(self._file)
        except HostError:
            raise
        except OSError as error:
            raise HostError(error.errno, f"{self._file}: {error.strerror}") from error
        finally:
            with suppress(OSError):
                self._scratch.unlink()

    def _write_scratch(self, text: str, like: os.stat_result) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(self._scratch, flags, 0o600), "wb") as opened:
            opened.write(text.encode(errors="surrogateescape"))
            opened.flush()
            descriptor = opened.fileno()
            os.fchown(descriptor, like.st_uid, like.st_gid)
            os.fchmod(descriptor, like.st_mode & 0o7777)
            for name in os.listxattr(self._file):  # such as SELinux's label
                with suppress(OSError):
                    os.setxattr(descriptor, name, os.getxattr(self._file, name))
            os.fsync(descriptor)


def _version(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_mtime_ns, found.st_size
