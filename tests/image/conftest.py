"""The image, built and mounted, and a mesh of its containers."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from ci.image import TOP
from tests.image.containers import Image, mounted_image
from tests.lab.fixtures import lab, new_lab

__all__ = ["lab", "new_lab"]


@pytest.fixture(scope="session")
def image() -> Iterator[Image]:
    """Build it as `make image` does; what is built already is taken from the cache."""
    subprocess.run([sys.executable, "ci/image.py", "--tool", "buildah"], cwd=TOP, check=True)
    with mounted_image() as mounted:
        yield mounted
