"""A kernel behind a TAP, of ours or of the original, and a node in user space beside it."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.judge.field import Field, field
from tests.lab.fixtures import NewLab, new_lab, workshop
from tests.lab.mesh import NETWORK, Layout, Mesh, Side, Workshop, build_mesh

__all__ = ["new_lab", "workshop"]


@pytest.fixture(
    scope="session",
    params=[Side.OURS, pytest.param(Side.REFERENCE, marks=pytest.mark.interop)],
    ids=lambda side: side.value,
)
def mesh(request: pytest.FixtureRequest, new_lab: NewLab, workshop: Workshop) -> Iterator[Mesh]:
    """A root, a controller and a member with a TAP, all of one kind."""
    with new_lab() as lab:
        made = build_mesh(lab, Layout(request.param, request.param, (request.param,)), workshop)
        made.begin(NETWORK)
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module", name="field")
async def joined_field(mesh: Mesh) -> AsyncIterator[Field]:
    """The two sides, for the tests of a module."""
    async with field(mesh) as made:
        yield made
