"""Worlds: signed lists of roots, made and made anew (wire.adoc#world)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ztlink.crypto.identity import sign
from ztlink.wire.identity import SecretIdentity
from ztlink.wire.world import Root, World, WorldType

RESERVED_IDS: Final = frozenset({149604618, 227883110})
"""Those of the public planet and of its test twin."""
_UNSIGNED: Final = bytes(96)


def make_world(
    kind: WorldType, world_id: int, unix_ms: int, roots: Sequence[Root], signer: SecretIdentity
) -> World:
    """Return a world; who has it takes a newer one with the same id from the same signer."""
    bare = World(kind, world_id, unix_ms, signer.public.public_key, _UNSIGNED, tuple(roots))
    return replace(bare, signature=sign(signer, bare.signing_input()))
