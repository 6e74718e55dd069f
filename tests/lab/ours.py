"""Our node: the `ztlink` command, as a user starts it."""

import sys
from typing import ClassVar

from tests.lab.node import LabNode


class ZtlinkNode(LabNode):
    """`ztlink node|root|controller` on a host."""

    kind: ClassVar[str] = "ztlink"
    options: tuple[str, ...] = ()
    """More of the command line; for the next start."""

    def command(self) -> tuple[str, ...]:
        where = ("--home", str(self.home), "--port", str(self.port))
        return (sys.executable, "-m", "ztlink", self.role, *where, *self.options)
