"""What is built from which pins, where it is kept, and what is said where it cannot be built."""

import os
import sys
from pathlib import Path

import pytest

from ci import toolchain
from ci.toolchain import (
    KUBERNETES,
    PROGRAMS,
    TOOLS,
    Cache,
    Pin,
    ToolError,
    build_program,
    check_go,
    default_cache,
    read_pin,
)

MODULE = """module zerotier-k8s-link/ci/tools/x

go 1.26.0

tool example.org/x/v2/cmd/prog

require example.org/x/v2 v2.1.0

require (
\texample.org/x v1.0.0 // indirect
\texample.org/other v0.3.0 // indirect
)
"""
PIN = Pin("x", "example.org/x/v2/cmd/prog", "v2.1.0", "1.26.0", "-s -w -X a=b", "0123456789ab")


def write_module(directory: Path, text: str = MODULE) -> Path:
    directory.mkdir(exist_ok=True)
    (directory / "go.mod").write_text(text)
    (directory / "go.sum").write_text("")
    return directory


def test_a_pin_is_read_from_its_module(tmp_path: Path) -> None:
    pin = read_pin(write_module(tmp_path / "x"))
    assert (pin.name, pin.package, pin.version, pin.go) == (
        "x",
        "example.org/x/v2/cmd/prog",
        "v2.1.0",
        "1.26.0",
    )
    assert pin.program == "prog"


@pytest.mark.parametrize("missing", ["go 1.26.0", "tool example.org/x/v2/cmd/prog"])
def test_a_module_that_says_too_little_is_named(tmp_path: Path, missing: str) -> None:
    directory = write_module(tmp_path / "x", MODULE.replace(missing, ""))
    with pytest.raises(ToolError, match=r"x/go\.mod: no `go` or no `tool` line"):
        read_pin(directory)


def test_a_module_that_does_not_require_its_tool_is_named(tmp_path: Path) -> None:
    directory = write_module(tmp_path / "x", MODULE.replace("example.org/x", "example.org/y", 1))
    text = (directory / "go.mod").read_text().replace("example.org/x", "example.org/y")
    (directory / "go.mod").write_text(text.replace("tool example.org/y", "tool example.org/z"))
    with pytest.raises(ToolError, match=r"nothing required has example\.org/z"):
        read_pin(directory)


def test_a_program_may_be_told_its_version_by_the_linker(tmp_path: Path) -> None:
    directory = write_module(tmp_path / "x")
    assert read_pin(directory).flags == "-s -w"
    (directory / "ldflags").write_text("-X a.version=v2\n-X a.major=2\n")
    assert read_pin(directory).flags == "-s -w -X a.version=v2 -X a.major=2"


@pytest.mark.parametrize("file", ["go.mod", "go.sum", "ldflags"])
def test_another_pin_has_another_place(tmp_path: Path, file: str) -> None:
    directory = write_module(tmp_path / "x")
    before = Cache(tmp_path).program(read_pin(directory))
    with (directory / file).open("a") as pins:
        pins.write("// changed\n")
    assert Cache(tmp_path).program(read_pin(directory)) != before


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_tools_of_the_project_are_pinned(name: str) -> None:
    pin = read_pin(TOOLS / name)
    assert pin.version.startswith("v")
    sums = (TOOLS / name / "go.sum").read_text()
    assert f" {pin.version} h1:" in sums


def test_the_cache_is_where_the_user_keeps_caches() -> None:
    assert default_cache({"XDG_CACHE_HOME": "/c"}).top == Path("/c/zerotier-k8s-link/tools")
    home = Path.home() / ".cache" / "zerotier-k8s-link" / "tools"
    assert default_cache({}).top == home


def test_the_oldest_schemas_are_those_of_the_charts_oldest_cluster() -> None:
    chart = (TOOLS.parents[1] / "charts/zerotier-k8s-link/Chart.yaml").read_text()
    assert f'kubeVersion: ">={KUBERNETES[0]}-0"' in chart


@pytest.mark.parametrize("version", ["go1.26.0\n", "go1.26.8", "go1.27rc1", "go2.0"])
def test_a_go_that_is_new_enough_is_taken(version: str) -> None:
    check_go(version, PIN)


def test_a_go_that_is_too_old_is_refused_with_both_versions() -> None:
    with pytest.raises(ToolError, match=r"x v2\.1\.0 needs Go 1\.26\.0 or later; this is 1\.19\.8"):
        check_go("go1.19.8\n", PIN)


def test_a_go_without_a_release_is_refused() -> None:
    with pytest.raises(ToolError, match="no release of Go"):
        check_go("devel +1234\n", PIN)


def test_without_go_the_message_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match=r"go is not in PATH: Go 1\.26\.0 or later builds x v2\.1"):
        build_program(PIN, Cache(tmp_path))


def test_what_is_built_already_needs_no_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    program = Cache(tmp_path).program(PIN)
    program.parent.mkdir()
    program.touch()
    build_program(PIN, Cache(tmp_path))
    assert program.read_bytes() == b""


@pytest.fixture(name="fake_go")
def go_that_says_what_it_was_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_module(tmp_path / "x")
    monkeypatch.setattr(toolchain, "TOOLS", tmp_path)
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text(
        f"""#!{sys.executable}
import os, pathlib, sys
if sys.argv[1] == "env":
    print("go1.26.8")
    sys.exit()
print("example.org/x", file=sys.stderr)
if os.environ.get("FAIL"):
    print("main.go:3: undefined: y", file=sys.stderr)
    sys.exit(1)
pathlib.Path(sys.argv[sys.argv.index("-o") + 1]).write_text(" ".join(sys.argv[1:]))
"""
    )
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{go.parent}{os.pathsep}{os.environ['PATH']}")
    return go


@pytest.mark.usefixtures("fake_go")
def test_a_program_is_built_from_its_pins_alone(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    build_program(PIN, cache)
    arguments = cache.program(PIN).read_text()
    assert "-mod=readonly" in arguments
    assert f"-ldflags {PIN.flags} " in arguments
    assert arguments.endswith(PIN.package)


@pytest.mark.usefixtures("fake_go")
def test_a_build_that_fails_leaves_nothing_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIL", "1")
    with pytest.raises(ToolError, match=r"main\.go:3: undefined: y"):
        build_program(PIN, Cache(tmp_path))
    assert not Cache(tmp_path).program(PIN).parent.exists()
    assert not list(tmp_path.glob(".build-*"))
