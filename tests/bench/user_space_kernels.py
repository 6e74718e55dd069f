"""Compiled kernels for the homes of a bench."""

import asyncio
import shutil
import tempfile
from pathlib import Path

from tests.aio.overlay import Overlay
from ztlink.drivers.kernels import compile_image, file_name, obstacle_to_compiling

HOMES = (1, 2, 7)
"""The numbers of the homes that benches use."""


def _image() -> Path:
    return Path(tempfile.gettempdir()) / f"bench-{file_name()}"


def make_image() -> str | None:
    """Compile the kernels once for all runs; return what keeps from it."""
    obstacle = obstacle_to_compiling()
    if obstacle is None and not _image().exists():
        asyncio.run(compile_image(_image()))
    return obstacle


def make_homes(overlay: Overlay, engine: str) -> None:
    """Make the homes, with kernels in them for the engine `jit`."""
    for number in HOMES:
        home = overlay.make_home(number)
        if engine == "jit":
            shutil.copy(_image(), home / file_name())
