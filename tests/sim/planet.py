"""Planets for simulated worlds."""

from collections.abc import Iterable
from typing import Final

from ztlink.crypto.identity import sign
from ztlink.ids import Endpoint
from ztlink.wire.identity import Identity, SecretIdentity
from ztlink.wire.world import Root, World, WorldType

PLANET_ID: Final = 0x51D0_0001
PLANET_TIMESTAMP: Final = 1_700_000_000_000


def make_planet(
    signer: SecretIdentity,
    roots: Iterable[tuple[Identity, tuple[Endpoint, ...]]],
    *,
    timestamp: int = PLANET_TIMESTAMP,
) -> World:
    """Make a signed planet; the same signer makes its next revisions."""
    listed = tuple(Root(identity, endpoints) for identity, endpoints in roots)
    key = signer.public.public_key
    unsigned = World(WorldType.PLANET, PLANET_ID, timestamp, key, bytes(96), listed)
    signature = sign(signer, unsigned.signing_input())
    return World(WorldType.PLANET, PLANET_ID, timestamp, key, signature, listed)
