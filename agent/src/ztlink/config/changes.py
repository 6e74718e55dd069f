"""What of a changed configuration can be in force at once, and what waits for the next start."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from ztlink.settings import Settings

FIXED: Final[Mapping[str, Callable[[Settings], object]]] = {
    "home": lambda settings: settings.home,
    "port": lambda settings: (settings.port, settings.is_port_given),
    "planet": lambda settings: settings.planet,
    "identity": lambda settings: settings.identity,
    "engine": lambda settings: settings.engine,
    "controller": lambda settings: (settings.declared, settings.auto_authorize),
}
"""Keys of the file that are looked at once: a node has them for life."""


def held_back(running: Settings, wanted: Settings) -> tuple[str, ...]:
    """Return the keys that differ and cannot change while a node runs."""
    return tuple(key for key, of in FIXED.items() if of(running) != of(wanted))


def applicable(running: Settings, wanted: Settings) -> Settings:
    """Return what is wanted, with what cannot change as it is."""
    return replace(
        wanted,
        home=running.home,
        port=running.port,
        is_port_given=running.is_port_given,
        planet=running.planet,
        identity=running.identity,
        engine=running.engine,
        declared=running.declared,
        auto_authorize=running.auto_authorize,
    )
