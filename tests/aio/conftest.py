"""One root and controller for all tests of user-space nodes, and pairs of nodes on it."""

from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import pytest

from tests.aio.overlay import Overlay, ip_of
from tests.aio.target import Target
from ztlink.aio.network import Network


@pytest.fixture(scope="session")
def overlay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Overlay]:
    """A root and controller."""
    with Overlay(tmp_path_factory.mktemp("overlay")) as made:
        yield made


class Pair(NamedTuple):
    """Two members of one network, each on its own node."""

    one: Network
    other: Network

    @property
    def host(self) -> str:
        """The IPv4 address of the other."""
        return ip_of(self.other)

    @property
    def host6(self) -> str:
        """The IPv6 address of the other."""
        return ip_of(self.other, 6)


@pytest.fixture
async def pair(overlay: Overlay) -> AsyncIterator[Pair]:
    """Two members of a public network."""
    network_id = overlay.make_network()
    async with overlay.node(1) as one, overlay.node(2) as other:
        yield Pair(await one.join(network_id), await other.join(network_id))


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    """Whom a proxy dials."""
    async with Target.listening() as made:
        yield made
