"""Whose a table is: two agents with one table would take each other's devices out of the rules.

An agent holds a socket with the table's name, in the machine's network namespace, for as long as it
lives: whatever ends it, the name is free then. Anybody may take such a name, so that one who is not
the user that runs agents counts for nothing.
"""

import contextlib
import errno
import os
import socket
import struct
import weakref
from typing import Final

from ztlink.host.nft import NftError

_NAME: Final = "\0ztlink/firewall/"
_BACKLOG: Final = 128
"""Who asked, and was not let go yet."""
_CREDENTIALS: Final = struct.Struct("=iII")
"""Process, user, group."""


class TableClaim:
    """Holds a table's name, or none."""

    def __init__(self) -> None:
        self._table = ""
        self._socket: socket.socket | None = None

    def take(self, table: str) -> None:
        """Hold a table; NftError where another agent does."""
        if table == self._table:
            return
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        weakref.finalize(self, made.close)
        try:
            made.bind(f"{_NAME}{table}")
            made.listen(_BACKLOG)
            made.setblocking(False)
        except OSError as error:
            made.close()
            holder = holder_of(table) if error.errno == errno.EADDRINUSE else None
            if holder is not None:
                raise NftError(
                    errno.EBUSY,
                    f"the table {table} is that of another agent on this machine, process {holder}",
                    "set firewall.tableSuffix for one of them",
                ) from error
            self.give_back()
        else:
            self.give_back()
            self._socket = made
        self._table = table

    def holds(self, table: str) -> bool:
        """Tell whether a table is ours."""
        return table == self._table

    def give_back(self) -> None:
        """Hold nothing any more."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._table = None, ""

    def let_others_ask(self) -> None:
        """Make room for those who are going to ask who holds it."""
        with contextlib.suppress(OSError):
            while self._socket is not None:
                self._socket.accept()[0].close()


def holder_of(table: str) -> int | None:
    """Return the process of the agent that holds a table; None where none does."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        asking.connect(f"{_NAME}{table}")
        told = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        process, user, _ = _CREDENTIALS.unpack(told)
        if user == os.geteuid():
            return int(process)
    return None
