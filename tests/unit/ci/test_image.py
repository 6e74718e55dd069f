"""How the image is built: with what, on what, from where."""

from pathlib import Path

import pytest

from ci import image
from ci.image import NAME, OUT, REGISTRY_BASE, TOP, BuildError, Plan


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder that programs are found in."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("BASE", raising=False)
    return tmp_path


def add(folder: Path, name: str, status: int = 0) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\nexit {status}\n")
    program.chmod(0o755)


@pytest.mark.parametrize("tool", ["docker", "podman"])
def test_a_tool_that_answers_builds(
    tool: str, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image, "answers", lambda name: name == tool)
    assert image.pick_tool() == tool


def test_where_none_answers_buildah_builds(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "answers", lambda _: False)
    add(programs, "buildah")
    assert image.pick_tool() == "buildah"


def test_where_there_is_nothing_it_is_said(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "answers", lambda _: False)
    with pytest.raises(BuildError, match="neither docker nor podman answers"):
        image.pick_tool()


def test_without_a_registry_the_base_is_made(programs: Path) -> None:
    assert image.parse(["--tool", "buildah", "--arch", "amd64"]).base == "debootstrap"


@pytest.mark.parametrize("tool", ["docker", "podman"])
def test_with_a_registry_the_base_is_python_s(tool: str, programs: Path) -> None:
    assert image.parse(["--tool", tool, "--arch", "amd64"]).base == REGISTRY_BASE


def test_the_environment_names_another_base(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BASE", "debootstrap")
    assert image.parse(["--tool", "docker", "--arch", "amd64"]).base == "debootstrap"


def plan(arch: str = "amd64") -> Plan:
    return Plan("buildah", "debootstrap", NAME, OUT, arch, Path("/cache"))


def test_the_build_is_told_its_base_its_architecture_and_its_version() -> None:
    arguments = image.build_arguments(plan("arm64"), "localhost/base:1")
    assert {
        "--build-arg=BASE=localhost/base:1",
        "--build-arg=TARGETARCH=arm64",
        f"--build-arg=VERSION={image.version()}",
    } <= set(arguments)


def test_every_build_argument_is_one_that_the_dockerfile_takes() -> None:
    dockerfile = (TOP / "docker" / "Dockerfile").read_text()
    names = [
        argument.split("=")[1]
        for argument in image.build_arguments(plan(), "base")
        if argument.startswith("--build-arg=")
    ]
    assert all(f"ARG {name}" in dockerfile for name in names)


def test_a_base_is_for_the_architecture_that_is_wanted() -> None:
    assert "--architectures=arm64" in image.base_recipe("arm64", Path("base.tar"))


def test_another_recipe_has_another_name() -> None:
    one, other = (" ".join(image.base_recipe(arch, Path("t"))) for arch in ("amd64", "arm64"))
    assert image.digest(one.encode()) != image.digest(other.encode())


def test_buildah_keeps_to_a_store_of_its_own() -> None:
    words = image.buildah_command(Path("/cache"))
    assert words[:5] == (
        "buildah",
        "--root",
        "/cache/containers",
        "--runroot",
        "/cache/containers/run",
    )


def test_the_cache_is_where_the_user_s_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert image.cache_directory() == Path("/elsewhere/zerotier-k8s-link")


def test_a_program_that_is_missing_is_named(programs: Path) -> None:
    with pytest.raises(BuildError, match="buildah is missing"):
        image.run("buildah", "images")


def test_a_failure_is_one_sentence_and_exit_status_1(
    capsys: pytest.CaptureFixture[str], programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image, "answers", lambda _: False)
    assert image.main([]) == 1
    assert "buildah is missing" in capsys.readouterr().err


def test_wheels_are_kept_by_what_the_lock_files_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second gathering takes what the first has downloaded."""
    downloads = []

    def download(lock: Path, arch: str, target: Path) -> None:
        downloads.append(lock.name)
        target.mkdir(parents=True, exist_ok=True)
        (target / f"{lock.stem}.whl").write_text(arch)

    monkeypatch.setattr(image, "download", download)
    monkeypatch.setattr(image, "WHEELS", tmp_path / "wheels")
    for _ in range(2):
        image.gather_wheels("arm64", tmp_path / "cache")
    assert downloads == ["requirements.lock", "build.lock"]
    found = {file.name for file in (tmp_path / "wheels" / "arm64").iterdir()}
    assert found == {"requirements.whl", "build.whl"}


def test_the_context_has_what_the_dockerfile_copies() -> None:
    allowed = (TOP / ".dockerignore").read_text()
    for line in (TOP / "docker" / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                path = source.rstrip("/").replace("/${TARGETARCH}", "")
                assert f"!{path}\n" in allowed


@pytest.mark.parametrize(
    ("tool", "command"),
    [
        # Podman has no --platform here: what it says to that is "unknown flag".
        ("podman", "podman import -q --os linux --arch arm64"),
        ("docker", "docker import --platform linux/arm64"),
    ],
)
def test_a_base_is_imported_in_the_tools_own_words(
    tool: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[str] = []
    monkeypatch.setattr(image, "run", lambda *argv: commands.append(" ".join(map(str, argv))))
    key = image.digest(" ".join(image.base_recipe("arm64", Path("base.tar"))).encode())
    tar = tmp_path / "base" / f"arm64-{key}.tar"
    tar.parent.mkdir()
    tar.touch()
    name = image.make_base(Plan(tool, "debootstrap", NAME, OUT, "arm64", tmp_path))
    assert commands == [f"{command} {tar} {name}"]
