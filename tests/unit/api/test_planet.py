"""What the file of the planet holds now."""

import os
from dataclasses import replace
from pathlib import Path

from ztlink.api.planet import GivenPlanet, PlanetFile
from ztlink.wire.default_planet import DEFAULT_PLANET

HELD = GivenPlanet(DEFAULT_PLANET.world_id, DEFAULT_PLANET.timestamp)


def write(file: Path, content: bytes) -> None:
    """Write a file that is known to be another by its time alone."""
    file.write_bytes(content)
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))


def test_where_no_file_was_named_nothing_is_held() -> None:
    assert PlanetFile(None).read() == GivenPlanet()


def test_a_file_tells_its_world_and_the_revision(tmp_path: Path) -> None:
    write(tmp_path / "planet", DEFAULT_PLANET.to_bytes())
    assert PlanetFile(tmp_path / "planet").read() == HELD


def test_a_file_that_is_replaced_is_read_again(tmp_path: Path) -> None:
    write(tmp_path / "planet", DEFAULT_PLANET.to_bytes())
    planet = PlanetFile(tmp_path / "planet")
    planet.read()
    write(tmp_path / "new", replace(DEFAULT_PLANET, timestamp=7).to_bytes())
    (tmp_path / "new").rename(tmp_path / "planet")
    assert planet.read() == replace(HELD, timestamp=7)


def test_a_file_that_is_gone_says_so(tmp_path: Path) -> None:
    assert PlanetFile(tmp_path / "planet").read() == GivenPlanet(
        error=f"cannot read the planet {tmp_path / 'planet'}: No such file or directory"
    )


def test_a_file_that_comes_back_is_read(tmp_path: Path) -> None:
    planet = PlanetFile(tmp_path / "planet")
    planet.read()
    write(tmp_path / "planet", DEFAULT_PLANET.to_bytes())
    assert planet.read() == HELD


def test_what_is_no_world_says_so(tmp_path: Path) -> None:
    write(tmp_path / "planet", b"nonsense")
    error = PlanetFile(tmp_path / "planet").read().error
    assert error.startswith(f"{tmp_path / 'planet'} is not a world file: ")
