"""Which engine a node runs: where kernels come from, and what is said where they do not."""

import asyncio
import logging
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.unit.lane.engines import kernel_image
from ztlink.drivers import kernels
from ztlink.drivers.kernels import (
    better_engine,
    compile_image,
    file_name,
    first_engine,
    obstacle_to_compiling,
)
from ztlink.lane.native import KernelError

needs_kernels = pytest.mark.skipif(
    obstacle_to_compiling() is not None, reason=str(obstacle_to_compiling())
)
COPYING = "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2])"


@pytest.fixture(autouse=True)
def _log_everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def keep_image(home: Path) -> Path:
    return Path(shutil.copy(kernel_image(), home / file_name()))


def copying() -> tuple[str, ...]:
    """Return a command that makes an image in no time."""
    return (sys.executable, "-c", COPYING, str(kernel_image()))


@pytest.mark.parametrize("wanted", ["auto", "jit"])
def test_without_kernels_a_node_starts_with_the_portable_engine(
    wanted: str, tmp_path: Path
) -> None:
    assert first_engine(wanted, tmp_path).name == "portable"


@needs_kernels
@pytest.mark.parametrize("wanted", ["auto", "jit"])
def test_kernels_in_the_home_are_used_at_once(wanted: str, tmp_path: Path) -> None:
    keep_image(tmp_path)
    assert first_engine(wanted, tmp_path).name == "jit"


@needs_kernels
def test_kernels_that_were_shipped_are_used_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    monkeypatch.setattr(kernels, "SHIPPED", shipped)
    keep_image(shipped)
    assert first_engine("auto", tmp_path).name == "jit"


@needs_kernels
@pytest.mark.parametrize("wanted", ["portable", "plain"])
def test_an_engine_that_is_named_is_used(wanted: str, tmp_path: Path) -> None:
    keep_image(tmp_path)
    assert first_engine(wanted, tmp_path).name == wanted
    assert asyncio.run(better_engine(wanted, tmp_path, copying())) is None


@needs_kernels
@pytest.mark.parametrize("damage", [b"", b"x" * 5000], ids=["empty", "other bytes"])
def test_a_damaged_image_is_removed(
    damage: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keep_image(tmp_path).write_bytes(damage)
    assert first_engine("auto", tmp_path).name == "portable"
    assert list(tmp_path.iterdir()) == []
    assert "no image of kernels" in caplog.text


@needs_kernels
def test_an_image_with_one_changed_bit_is_not_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    image = keep_image(tmp_path)
    changed = bytearray(image.read_bytes())
    changed[-1] ^= 1
    image.write_bytes(changed)
    assert first_engine("auto", tmp_path).name == "portable"
    assert "damaged" in caplog.text


@needs_kernels
@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_an_image_that_others_may_write_is_not_run(
    mode: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keep_image(tmp_path).chmod(mode)
    assert first_engine("auto", tmp_path).name == "portable"
    assert "others may write" in caplog.text


@needs_kernels
def test_a_processor_without_the_baseline_runs_no_kernels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keep_image(tmp_path)
    old = tmp_path / "cpuinfo"
    old.write_text("processor : 0\nflags : fpu sse2 avx\n")
    monkeypatch.setattr(kernels, "CPU_INFO", old)
    assert first_engine("auto", tmp_path).name == "portable"
    assert "x86-64-v3" in caplog.text
    assert obstacle_to_compiling() == "kernels are for x86-64 processors with AVX2 (x86-64-v3)"


@needs_kernels
def test_kernels_that_do_otherwise_than_python_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keep_image(tmp_path)
    monkeypatch.setattr(kernels, "agrees", lambda engine: False)
    assert first_engine("auto", tmp_path).name == "portable"
    assert "do not do as the portable engine does" in caplog.text


@needs_kernels
def test_kernels_that_were_compiled_are_used_and_older_ones_removed(tmp_path: Path) -> None:
    older = tmp_path / "kernels-0123456789abcdef.img"
    older.write_bytes(b"of an older release")
    engine = asyncio.run(better_engine("auto", tmp_path, copying()))
    assert engine is not None
    assert engine.name == "jit"
    assert [path.name for path in tmp_path.iterdir()] == [file_name()]


@needs_kernels
def test_kernels_that_are_no_use_here_are_not_compiled_again(tmp_path: Path) -> None:
    keep_image(tmp_path).chmod(0o666)
    failing = (sys.executable, "-c", "raise SystemExit(7)")
    assert asyncio.run(better_engine("auto", tmp_path, failing)) is None


@needs_kernels
def test_a_compiler_that_fails_is_quoted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    failing = (sys.executable, "-c", "raise SystemExit('no space left')")
    assert asyncio.run(better_engine("auto", tmp_path, failing)) is None
    assert "compiling the kernels failed with 1: no space left" in caplog.text


@pytest.mark.parametrize(("wanted", "level"), [("auto", "INFO"), ("jit", "WARNING")])
def test_what_is_missing_is_said_louder_where_kernels_were_asked_for(
    wanted: str,
    level: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(kernels, "obstacle_to_compiling", lambda: "numba is not installed")
    assert asyncio.run(better_engine(wanted, tmp_path)) is None
    (record,) = caplog.records
    assert (record.levelname, record.getMessage()) == (
        level,
        "engine=portable reason=numba is not installed",
    )


async def _stop_while_compiling(pipe: Path) -> str:
    """Return the process that compiled."""
    sleeping = (
        "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(60)"
    )
    compiling = asyncio.ensure_future(compile_image(pipe, (sys.executable, "-c", sleeping)))
    await asyncio.sleep(0)
    pid = await asyncio.to_thread(pipe.read_text)
    compiling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await compiling
    return pid


def test_a_node_that_ends_ends_its_compiler(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    pid = asyncio.run(_stop_while_compiling(pipe))
    assert not Path("/proc", pid).exists()


def test_a_compiler_without_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "MAX_SECONDS", 0.1)
    sleeping = (sys.executable, "-c", "import time; time.sleep(60)")
    with pytest.raises(KernelError, match=r"more than 0\.1 s"):
        asyncio.run(compile_image(tmp_path / "image", sleeping))


@needs_kernels
def test_the_compiler_leaves_the_processor_to_others(tmp_path: Path) -> None:
    path = tmp_path / "policy"
    asking = (
        "import os, sys, time; time.sleep(0.3); "
        "open(sys.argv[1], 'w').write(str(os.sched_getscheduler(0)))"
    )
    asyncio.run(compile_image(path, (sys.executable, "-c", asking)))
    assert int(path.read_text()) == os.SCHED_IDLE
