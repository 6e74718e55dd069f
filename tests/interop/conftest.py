"""Fixtures of the interoperability tests."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.lab.fixtures import NewLab, lab, new_lab, workshop
from tests.lab.mesh import Layout, Mesh, Side, Workshop, build_mesh
from tests.lab.ours import ZtlinkNode

__all__ = ["lab", "new_lab", "workshop"]

OURS, REFERENCE = Side.OURS, Side.REFERENCE


PAIRS = [
    pytest.param(Layout(REFERENCE, REFERENCE, (OURS, REFERENCE)), id="ours-under-theirs"),
    pytest.param(Layout(OURS, OURS, (REFERENCE, OURS)), id="theirs-under-ours"),
]


@contextmanager
def joined(new_lab: NewLab, workshop: Workshop, layout: Layout, *options: str) -> Iterator[Mesh]:
    """Yield members that have joined; `options` are for those of ours."""
    with new_lab() as lab:
        mesh = build_mesh(lab, layout, workshop)
        for member in mesh.members:
            if isinstance(member, ZtlinkNode):
                member.options = options
        mesh.begin()
        yield mesh


@pytest.fixture(scope="session", params=PAIRS)
def pair(request: pytest.FixtureRequest, new_lab: NewLab, workshop: Workshop) -> Iterator[Mesh]:
    """Two members of different kinds, under a root and controller of one kind, joined."""
    with joined(new_lab, workshop, request.param) as mesh:
        yield mesh


@pytest.fixture(scope="module", params=PAIRS)
def salsa_pair(
    request: pytest.FixtureRequest, new_lab: NewLab, workshop: Workshop
) -> Iterator[Mesh]:
    """The same, where our member asks for the older suite."""
    with joined(new_lab, workshop, request.param, "--suite", "salsa") as mesh:
        yield mesh


@pytest.fixture(
    scope="session",
    params=[
        pytest.param(
            Layout(REFERENCE, REFERENCE, (OURS, REFERENCE, REFERENCE, OURS)),
            id="their-controller",
        ),
        pytest.param(
            Layout(OURS, OURS, (OURS, REFERENCE, REFERENCE, OURS)),
            id="our-controller",
        ),
    ],
)
def four(request: pytest.FixtureRequest, new_lab: NewLab, workshop: Workshop) -> Iterator[Mesh]:
    """Four members, joined: the first and the last are ours."""
    with joined(new_lab, workshop, request.param) as mesh:
        yield mesh
