"""A network namespace for every test of a real machine."""

from collections.abc import Iterator

import pytest

from tests.host.machine import own_namespace


@pytest.fixture
def own_network() -> Iterator[None]:
    """Run the test in an empty network namespace; what it makes there ends with it."""
    with own_namespace():
        yield
