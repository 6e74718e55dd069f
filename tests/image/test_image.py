"""What the image is made of, and what it says of itself."""

import json
import os
import platform
import subprocess
import tarfile
from pathlib import Path

import pytest

from ci.image import NAME, OUT, version
from tests.image.containers import Image
from ztlink.drivers.kernels import file_name

pytestmark = pytest.mark.image

MAX_ARCHIVE = 130_000_000
MAX_UNPACKED = 330_000_000


def test_its_entry_point_is_the_program_in_exec_form(image: Image) -> None:
    assert image.entry_point == ("/opt/ztlink/bin/ztlink",)


def test_it_tells_its_version_and_licence(image: Image) -> None:
    labels = image.config["Labels"]
    prefix = "org.opencontainers.image"
    assert labels[f"{prefix}.version"] == version()
    assert labels[f"{prefix}.licenses"] == "AGPL-3.0-or-later"
    assert labels[f"{prefix}.revision"]


def test_sigterm_ends_it(image: Image) -> None:
    assert image.config["StopSignal"] == "SIGTERM"


def test_it_brings_bytecode_that_nobody_checks_again(image: Image) -> None:
    cached = next(image.root.glob("opt/ztlink/lib/*/site-packages/ztlink/__pycache__/agent.*.pyc"))
    assert cached.read_bytes()[4:8] == (0b01).to_bytes(4, "little")  # PEP 552: hash, unchecked


def test_every_module_of_the_package_has_bytecode(image: Image) -> None:
    package = next(image.root.glob("opt/ztlink/lib/*/site-packages/ztlink"))
    modules = {file.stem for file in package.rglob("*.py")}
    assert modules == {file.name.partition(".")[0] for file in package.rglob("*.pyc")}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="kernels are for x86-64")
def test_it_brings_the_kernels_of_the_fast_engine_and_no_compiler_for_them(image: Image) -> None:
    packages = next(image.root.glob("opt/ztlink/lib/*/site-packages"))
    assert (packages / "ztlink/lane/kernel" / file_name()).stat().st_size < 100_000
    assert not [*packages.glob("numba*"), *packages.glob("llvmlite*")]
    assert [*image.root.glob("usr/lib/*/libcrypto.so.3")]


def test_it_brings_the_program_that_loads_the_firewall(image: Image) -> None:
    assert (image.root / "usr/sbin/nft").is_file()


def test_it_has_neither_pip_nor_a_compiler(image: Image) -> None:
    unwanted = {"pip", "pip3", "gcc", "cc", "apt-get"}
    places = ("opt/ztlink/bin", "usr/bin", "usr/local/bin")
    found = {file.name for place in places for file in (image.root / place).glob("*")}
    assert not unwanted & found


def test_it_is_small(image: Image) -> None:
    size = sum(
        (Path(folder) / file).lstat().st_size
        for folder, _, files in os.walk(image.root)
        for file in files
    )
    assert size < MAX_UNPACKED
    assert OUT.stat().st_size < MAX_ARCHIVE


def test_its_archive_has_the_name_that_a_chart_asks_for(image: Image) -> None:
    with tarfile.open(OUT) as archive:
        member = archive.extractfile("index.json")
        assert member is not None
        index = json.load(member)
    assert index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"] == NAME


def test_it_says_its_version_without_a_network_or_a_home(image: Image) -> None:
    argv = ["unshare", "--net", "chroot", str(image.root), *image.entry_point, "--version"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert version() in done.stdout


def test_other_scripts_find_a_python(image: Image) -> None:
    code = "import json, ssl, urllib.request, ztlink"
    argv = ["env", "-i", *image.config["Env"], "chroot", str(image.root), "python3", "-c", code]
    assert subprocess.run(argv, check=False).returncode == 0
