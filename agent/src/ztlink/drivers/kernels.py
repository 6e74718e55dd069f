"""Which engine a node runs, and how it comes by compiled kernels.

Kernels are compiled once for each release of ztlink, by a process that takes only what nobody else
wants of the processor, and kept as a file; a container's image may bring that file along. Whatever
goes wrong with them is said, and the node stays on the portable engine.
"""

import asyncio
import contextlib
import hashlib
import importlib.util
import logging
import os
import platform
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ztlink.crypto import evp
from ztlink.drivers.trial import agrees
from ztlink.lane import native
from ztlink.lane.engine import Engine
from ztlink.lane.jit import JitEngine
from ztlink.lane.native import KernelError
from ztlink.lane.plain import PlainEngine
from ztlink.lane.portable import PortableEngine

logger = logging.getLogger(__name__)

COMPILER: Final = (sys.executable, "-m", "ztlink.lane.kernel.build")
CPU_INFO: Final = Path("/proc/cpuinfo")
MAX_SECONDS: Final = 600.0
"""For compiling, which takes seven where nobody else is at work."""
_LANE: Final = Path(native.__file__).parent
SHIPPED: Final = _LANE / "kernel"
"""Where whoever installs ztlink may put an image."""
_NEEDED: Final = frozenset({"avx2", "bmi1", "bmi2", "fma", "f16c", "movbe", "abm"})
"""Of the flags of a processor: what kernels are compiled for."""
_LAST_WORDS: Final = 200


async def chosen_engine(wanted: str, home: Path) -> Engine:
    """Return the engine that a node is to run; kernels for it are compiled where there are none."""
    engine = first_engine(wanted, home)
    if engine.name != "portable":
        return engine
    return await better_engine(wanted, home) or engine


def first_engine(wanted: str, home: Path) -> Engine:
    """Return the best engine that is here at once."""
    if wanted == "plain":
        return PlainEngine()
    if wanted != "portable":
        for directory in (SHIPPED, home):
            engine = load_engine(directory / file_name())
            if engine is not None:
                return engine
    return PortableEngine()


async def better_engine(
    wanted: str, home: Path, compiler: Sequence[str] = COMPILER
) -> Engine | None:
    """Compile kernels where that is wanted and possible; None where all stays as it is."""
    path = home / file_name()
    if wanted not in ("auto", "jit") or path in _kept(home):  # then the log says why it is no use
        return None
    obstacle = obstacle_to_compiling()
    if obstacle is not None:
        level = logging.WARNING if wanted == "jit" else logging.INFO
        logger.log(level, "engine=portable reason=%s", obstacle)
        return None
    try:
        await compile_image(path, compiler)
    except (KernelError, OSError) as error:
        logger.warning("engine=portable reason=%s", error)
        return None
    for old in _kept(home):
        if old != path:
            old.unlink(missing_ok=True)
    return load_engine(path)


def _kept(home: Path) -> list[Path]:
    return list(home.glob("kernels-*.img"))


def file_name() -> str:
    """Return what an image of these very kernels is called."""
    digest = hashlib.sha256(platform.machine().encode())
    sources = (*sorted((_LANE / "kernel").glob("*.py")), _LANE / "native.py", _LANE / "jit.py")
    for source in (*sources, Path(evp.__file__)):
        digest.update(source.read_bytes())
    return f"kernels-{digest.hexdigest()[:16]}.img"


def obstacle_to_compiling() -> str | None:
    """Return what is missing for kernels here, in words; None for nothing."""
    if platform.machine() != "x86_64" or not has_baseline():
        return "kernels are for x86-64 processors with AVX2 (x86-64-v3)"
    if not evp.is_available():
        return "kernels need libcrypto of OpenSSL 3 or later: install libssl3"
    if importlib.util.find_spec("numba") is None:
        return "kernels are compiled by numba, which is not installed: pip install 'ztlink[fast]'"
    return None


def has_baseline() -> bool:
    """Tell whether the processor runs what kernels are compiled to."""
    with contextlib.suppress(OSError):
        for line in CPU_INFO.read_text().splitlines():
            if line.startswith("flags"):
                return _NEEDED.issubset(line.split())
    return False


def load_engine(path: Path) -> Engine | None:
    """Return the engine of an image, None where there is none or it is no good."""
    try:
        image = _read(path)
        if not has_baseline():
            raise KernelError("the image of kernels is for processors with AVX2 (x86-64-v3)")
        engine = JitEngine(native.load(image))
        if not agrees(engine):
            raise KernelError("the kernels do not do as the portable engine does")
    except FileNotFoundError:
        return None
    except native.DamagedImageError as error:
        logger.warning("engine=portable reason=%s: %s", path, error)
        with contextlib.suppress(OSError):
            path.unlink()  # the next start makes another
        return None
    except (KernelError, OSError) as error:
        logger.warning("engine=portable reason=%s: %s", path, error)
        return None
    logger.info("engine=jit kernels=%s", path)
    return engine


def _read(path: Path) -> bytes:
    """Read code that is to be run: nobody else may have written it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if status.st_uid not in (0, os.geteuid()) or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise KernelError("others may write to the image of the kernels: it is not used")
        return file.read()


async def compile_image(path: Path, compiler: Sequence[str] = COMPILER) -> None:
    """Have an image made; KernelError says why there is none."""
    process = _start([*compiler, str(path)])
    try:
        ending = asyncio.to_thread(process.communicate)
        _, words = await asyncio.wait_for(ending, MAX_SECONDS)
    except TimeoutError as error:
        raise KernelError(f"compiling the kernels took more than {MAX_SECONDS:g} s") from error
    finally:
        process.kill()  # it has ended, or is not waited for any more
    if process.returncode != 0:
        last = words.decode(errors="replace").strip().rpartition("\n")[2][-_LAST_WORDS:]
        raise KernelError(f"compiling the kernels failed with {process.returncode}: {last}")


def _start(command: Sequence[str]) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(  # noqa: S603 - our own module
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    with contextlib.suppress(OSError):  # it has ended already, or may not be held back
        os.sched_setscheduler(process.pid, os.SCHED_IDLE, os.sched_param(0))
    return process
