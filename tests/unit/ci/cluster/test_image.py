"""The archive that a container runtime imports (ci/cluster/image)."""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from ci.cluster.image import write_image

NAME = "localhost/pause:1"


@pytest.fixture
def archive(tmp_path: Path) -> dict[str, bytes]:
    """Return the files of an image with one program."""
    program = tmp_path / "pause"
    program.write_bytes(b"\x7fELF")
    write_image(tmp_path / "pause.tar", NAME, program, "arm64")
    with tarfile.open(tmp_path / "pause.tar") as tar:
        return {member.name: _content(tar, member) for member in tar.getmembers()}


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    content = tar.extractfile(member)
    assert content is not None
    return content.read()


def blob(archive: dict[str, bytes], descriptor: dict[str, Any]) -> bytes:
    return archive["blobs/sha256/" + descriptor["digest"].removeprefix("sha256:")]


def manifest(archive: dict[str, bytes]) -> dict[str, Any]:
    [entry] = json.loads(archive["index.json"])["manifests"]
    found: dict[str, Any] = json.loads(blob(archive, entry))
    return found


def test_the_index_gives_the_image_its_name(archive: dict[str, bytes]) -> None:
    [entry] = json.loads(archive["index.json"])["manifests"]
    assert entry["annotations"]["io.containerd.image.name"] == NAME


def test_blobs_are_called_by_their_digests(archive: dict[str, bytes]) -> None:
    blobs = {n.rpartition("/")[2]: data for n, data in archive.items() if n.startswith("blobs/")}
    assert [hashlib.sha256(data).hexdigest() for data in blobs.values()] == list(blobs)


def test_the_image_runs_the_program(archive: dict[str, bytes]) -> None:
    config = json.loads(blob(archive, manifest(archive)["config"]))
    assert config["config"]["Entrypoint"] == ["/pause"]
    assert config["architecture"] == "arm64"


def test_the_layer_holds_the_program_and_may_be_run(archive: dict[str, bytes]) -> None:
    [layer] = manifest(archive)["layers"]
    with tarfile.open(fileobj=io.BytesIO(blob(archive, layer))) as tar:
        [member] = tar.getmembers()
        assert (member.name, member.mode) == ("pause", 0o755)
        assert _content(tar, member) == b"\x7fELF"
