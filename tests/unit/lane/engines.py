"""The engines that this machine has: all run the same tests."""

import fcntl
import subprocess
from pathlib import Path
from typing import Final

from ztlink.drivers.kernels import COMPILER, file_name, load_engine, obstacle_to_compiling
from ztlink.lane.engine import Engine
from ztlink.lane.plain import PlainEngine
from ztlink.lane.portable import PortableEngine

KEPT: Final = Path(__file__).parents[3] / ".cache" / "kernels"


def kernel_image() -> Path:
    """Return the image of kernels, compiled once for all who run these tests."""
    KEPT.mkdir(parents=True, exist_ok=True)
    image = KEPT / file_name()
    with (KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not image.exists():
            subprocess.run([*COMPILER, str(image)], check=True)  # noqa: S603 - our own module
    return image


def _engines() -> list[Engine]:
    engines: list[Engine] = [PlainEngine(), PortableEngine()]
    if obstacle_to_compiling() is None:
        compiled = load_engine(kernel_image())
        assert compiled is not None, "the kernels are no good"
        engines.append(compiled)
    return engines


ENGINES: Final = _engines()
NAMES: Final = [engine.name for engine in ENGINES]
