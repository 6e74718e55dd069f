"""A planet of the laboratory's own, so that no node ever looks for the public roots."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from tests.lab.lab import Host
from tests.vectors.loading import load
from ztlink.crypto.identity import sign
from ztlink.ids import Endpoint
from ztlink.wire.buffer import Writer
from ztlink.wire.identity import SecretIdentity
from ztlink.wire.world import Root, World, WorldType

WORLD_ID: Final = 0x6C61626F7261746F  # "laborato": neither of the two ids that are taken
_UNSIGNED: Final = bytes(96)


def known_identity(number: int) -> SecretIdentity:
    """Return one of a thousand ready identities, so that nothing waits for the proof of work."""
    return SecretIdentity.from_text(load("identities-many.json")["identities"][number])


def make_planet(roots: Sequence[tuple[SecretIdentity, Host, int]]) -> bytes:
    """Return a planet file that names these roots at their hosts' addresses and ports."""
    signer = known_identity(-1)
    world = World(
        WorldType.PLANET,
        WORLD_ID,
        int(time.time() * 1000),
        signer.public.public_key,
        _UNSIGNED,
        tuple(
            Root(identity.public, tuple(Endpoint(ip, port) for ip in host.ips))
            for identity, host, port in roots
        ),
    )
    writer = Writer()
    replace(world, signature=sign(signer, world.signing_input())).encode(writer)
    return writer.getvalue()
