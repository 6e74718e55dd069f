"""Fixtures for tests that need the laboratory; import them in the conftest of such tests.

What this machine must allow is for the markers to say: `netadmin` for any lab, `interop` where a
reference node takes part.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.lab.lab import Lab
from tests.lab.mesh import Side, Workshop

NewLab = Callable[[], AbstractContextManager[Lab]]


@pytest.fixture(scope="session")
def new_lab(tmp_path_factory: pytest.TempPathFactory) -> NewLab:
    """Make labs, for fixtures that outlive a test."""

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
    """Both kinds of nodes; the reference is what ZEROTIER_ONE names.

    ZTLINK_LAB_SIDES=reference lets the reference play our part, to try out the tests themselves.
    """
    named = os.environ.get("ZEROTIER_ONE")
    alone = os.environ.get("ZTLINK_LAB_SIDES") == Side.REFERENCE.value
    return Workshop(Path(named) if named else None, {Side.OURS: Side.REFERENCE} if alone else {})
