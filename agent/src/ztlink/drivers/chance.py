"""Chance, for those that have no other source of it."""

import os


def random_bytes(size: int) -> bytes:
    """Return bytes from the kernel's generator."""
    return os.urandom(size)
