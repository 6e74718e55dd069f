"""The test of a live network, run as an operator runs it: a network and a page are named.

The original is root, controller and the machine that serves the page, where ZEROTIER_ONE is set.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.judge.field import user_home
from tests.lab.mesh import Mesh
from tests.lab.process import Process
from tests.lab.wait import wait_until

pytestmark = pytest.mark.netadmin

TOP: Final = Path(__file__).parents[2]
PORT: Final = 8099
PATIENCE: Final = 120.0


@pytest.fixture(scope="module")
def url(mesh: Mesh, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A page of the kernel's machine, on the network."""
    member = mesh.members[0]
    directory = tmp_path_factory.mktemp("page")
    (directory / "index.html").write_text("hello")
    entry = (*member.host.namespace.entry, sys.executable, "-u", "-m", "http.server", str(PORT))
    server = Process((*entry, "--directory", str(directory)), directory / "log")
    try:
        wait_until(lambda: "Serving" in server.output, timeout=PATIENCE, what="a page")
        yield f"http://{mesh.ip(member)}:{PORT}/"
    finally:
        server.kill()


def run_live(mesh: Mesh, named: dict[str, str]) -> tuple[int, str]:
    """Run the test on a machine of its own; return its exit status and what it says."""
    home = user_home(mesh, "live")
    (home / "planet").write_bytes(mesh.planet())
    where = (f"PYTHONPATH={TOP}", f"ZTLINK_E2E_HOME={home}")
    names = [f"{name}={value}" for name, value in named.items()]
    pytest_here = (sys.executable, "-m", "pytest", "-c", str(TOP / "agent" / "pyproject.toml"))
    done = subprocess.run(  # noqa: S603 - ourselves
        [
            *(*mesh.lab.hosts["live"].namespace.entry, "env", *where, *names),
            *(*pytest_here, "-q", "-rs", "-k", "is_fetched", str(TOP / "tests/aio/test_live.py")),
        ],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.returncode, done.stdout


def test_the_page_is_fetched(mesh: Mesh, url: str) -> None:
    named = {"ZTLINK_E2E_NETWORK": mesh.network_id, "ZTLINK_E2E_URL": url}
    status, said = run_live(mesh, named)
    assert (status, "1 passed" in said) == (0, True), said


def test_the_page_is_fetched_by_the_names_of_libzts_own_test(mesh: Mesh, url: str) -> None:
    named = {"LIBZT_ZEROTIER_NWID": mesh.network_id, "LIBZT_ZEROTIER_URL": url}
    status, said = run_live(mesh, {"LIBZT_RUN_ZEROTIER_E2E": "1", **named})
    assert (status, "1 passed" in said) == (0, True), said


def test_a_page_that_is_not_there_fails(mesh: Mesh, url: str) -> None:
    named = {"ZTLINK_E2E_NETWORK": mesh.network_id, "ZTLINK_E2E_URL": f"{url}none"}
    status, said = run_live(mesh, named)
    assert (status, "1 failed" in said) == (1, True), said


def test_without_a_network_the_reason_is_told(mesh: Mesh) -> None:
    status, said = run_live(mesh, {"ZTLINK_E2E_NETWORK": mesh.network_id})
    assert (status, "needs ZTLINK_E2E_NETWORK and ZTLINK_E2E_URL" in said) == (0, True), said
