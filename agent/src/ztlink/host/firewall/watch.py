"""News of nftables: whether others have laid hands on our table."""

import errno
import socket
import struct
from typing import Final

_NETLINK_NETFILTER: Final = 12
_SOL_NETLINK: Final = 270
_NETLINK_ADD_MEMBERSHIP: Final = 1
_NFNLGRP_NFTABLES: Final = 7
_TABLE_OF: Final = 1
"""The attribute that comes first in all news but those of generations: the name of the table."""
_ATTRIBUTE: Final = struct.Struct("=HH")
"""Length, type."""
_MAX_BLOCK: Final = 1 << 16
_MAX_READ: Final = 256
"""Messages at one go: others may load ten thousand rules, and the loop has more to do."""


class TableWatch:
    """A netlink socket that becomes readable when tables, chains, rules or sets change.

    What we load ourselves is told as well: whoever watches compares, and finds nothing changed.
    """

    def __init__(self) -> None:
        """Listen; OSError where the kernel has no nftables, or does not let us."""
        self._socket = socket.socket(
            socket.AF_NETLINK,
            socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC,
            _NETLINK_NETFILTER,
        )
        try:
            self._socket.bind((0, 0))
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, _NFNLGRP_NFTABLES)
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def read(self, table: str) -> bool:
        """Read what is there; tell whether a table of that name may have been changed."""
        name = table.encode() + b"\0"
        mark = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(name), _TABLE_OF) + name
        is_concerned = False
        for _ in range(_MAX_READ):
            try:
                is_concerned |= mark in self._socket.recv(_MAX_BLOCK)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                is_concerned = True  # more was told than the buffer holds
        return is_concerned
