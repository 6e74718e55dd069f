"""Fixtures for tests that need the laboratory; import them in the conftest of such tests."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.lab.errors import LabError
from tests.lab.lab import Lab
from tests.lab.mesh import Side, Workshop
from tests.lab.namespace import Namespace

NewLab = Callable[[], AbstractContextManager[Lab]]


@pytest.fixture(scope="session")
def new_lab(tmp_path_factory: pytest.TempPathFactory) -> NewLab:
    """Make labs; skips where this process may not make network namespaces."""
    probe = Namespace(f"ztprobe{os.getpid()}")
    try:
        probe.create()
    except LabError as error:
        pytest.skip(f"no network namespaces: {error}")
    finally:
        probe.delete()

    @contextmanager
    def make() -> Iterator[Lab]:
        with Lab(tmp_path_factory.mktemp("lab")) as lab:
            yield lab

    return make


@pytest.fixture
def lab(new_lab: NewLab) -> Iterator[Lab]:
    """A lab for one test."""
    with new_lab() as lab:
        yield lab


@pytest.fixture(scope="session")
def workshop() -> Workshop:
    """Both kinds of nodes; skips unless ZEROTIER_ONE names the reference.

    ZTLINK_LAB_SIDES=reference lets the reference play our part, to try out the tests themselves.
    """
    named = os.environ.get("ZEROTIER_ONE")
    if not named:
        pytest.skip("ZEROTIER_ONE does not name a built zerotier-one")
    alone = os.environ.get("ZTLINK_LAB_SIDES") == "reference"
    return Workshop(Path(named), {Side.OURS: Side.REFERENCE} if alone else {})
