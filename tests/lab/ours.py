"""Our node: the `ztlink` command, as a user starts it."""

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
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

    def environment(self) -> Mapping[str, str]:
        """Let modules be compiled once, and kernels only where somebody asks for them.

        A home is new here, and would have its kernels compiled beside what is tested.
        """
        return {**compiled_once(), "ZTLINK_ENGINE": os.environ.get("ZTLINK_ENGINE", "portable")}


def compiled_once() -> dict[str, str]:
    """Return the environment of processes whose modules are compiled by the first of them."""
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": bytecode_directory()}


@cache
def bytecode_directory() -> str:
    """Return a directory for compiled modules that lasts as long as this process."""
    directory = tempfile.mkdtemp(prefix="ztlab-bytecode-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory
