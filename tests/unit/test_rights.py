from pathlib import Path

import pytest

from tests.rights import (
    missing_for_browser,
    missing_for_image,
    missing_for_interop,
    missing_for_netadmin,
    missing_for_prometheus,
    unpacked,
)

ALL_CAPABILITIES = "Name:\tpython\nCapEff:\t000001ffffffffff\n"


@pytest.fixture(name="tun")
def writable_tun(tmp_path: Path) -> Path:
    tun = tmp_path / "tun"
    tun.touch()
    return tun


@pytest.fixture(name="status")
def status_file(tmp_path: Path) -> Path:
    return tmp_path / "status"


def test_root_with_a_tun_device_lacks_nothing(status: Path, tun: Path) -> None:
    status.write_text(ALL_CAPABILITIES)
    assert missing_for_netadmin(status, tun) is None


@pytest.mark.parametrize(
    ("effective", "missing"),
    [
        ("0000000000000000", "CAP_NET_ADMIN and CAP_SYS_ADMIN"),
        ("0000000000001000", "needs CAP_SYS_ADMIN"),
        ("0000000000200000", "needs CAP_NET_ADMIN:"),
    ],
)
def test_a_missing_capability_is_named(
    status: Path, tun: Path, effective: str, missing: str
) -> None:
    status.write_text(f"CapEff:\t{effective}\n")
    assert missing in str(missing_for_netadmin(status, tun))


def test_a_missing_tun_device_is_named(status: Path, tmp_path: Path) -> None:
    status.write_text(ALL_CAPABILITIES)
    assert "needs" in str(missing_for_netadmin(status, tmp_path / "none"))


def test_interop_needs_the_name_of_the_program() -> None:
    assert "needs ZEROTIER_ONE" in str(missing_for_interop({}))


def test_interop_needs_a_program_that_can_be_run(tun: Path) -> None:
    assert "cannot be run" in str(missing_for_interop({"ZEROTIER_ONE": str(tun)}))


def test_interop_lacks_nothing_where_the_program_can_be_run(tun: Path) -> None:
    tun.chmod(0o755)
    assert missing_for_interop({"ZEROTIER_ONE": str(tun)}) is None


@pytest.mark.parametrize("program", ["chromium", "chromedriver"])
def test_a_browser_needs_its_driver(program: str) -> None:
    def find(name: str) -> str | None:
        return None if name == program else f"/usr/bin/{name}"

    assert missing_for_browser(find) == f"needs {program}: ci/packages test"


@pytest.mark.parametrize("program", ["prometheus", "promtool"])
def test_being_scraped_needs_prometheus_and_its_tool(program: str) -> None:
    def find(name: str) -> str | None:
        return None if name == program else f"/usr/bin/{name}"

    assert missing_for_prometheus(find) == f"needs {program}: ci/unpacked prometheus"


def test_what_was_unpacked_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "zerotier-k8s-link" / "debian" / "some" / "usr" / "bin"
    folder.mkdir(parents=True)
    (folder / "a-program-of-nobody").touch(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert unpacked("a-program-of-nobody") == str(folder / "a-program-of-nobody")


@pytest.mark.parametrize("program", ["buildah", "mmdebstrap", "runc"])
def test_the_image_needs_what_builds_and_runs_it(program: str) -> None:
    def find(name: str) -> str | None:
        return None if name == program else f"/usr/bin/{name}"

    assert missing_for_image(find) == f"needs {program}: ci/packages test-image"
