"""What a node is made of before it runs: its planet, its identity, its core, from a home."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from ztlink.clock import Now
from ztlink.drivers.chance import random_bytes
from ztlink.drivers.clock import read_clock
from ztlink.drivers.loop import Pump
from ztlink.drivers.store import IDENTITY_PUBLIC, IDENTITY_SECRET, PLANET, Store, misfit
from ztlink.drivers.validator import Validator
from ztlink.errors import ConfigError, WireError
from ztlink.ids import NetworkId, format_address
from ztlink.lane.engine import Engine
from ztlink.node.core import Core, CoreSettings
from ztlink.settings import Role, Settings
from ztlink.underlay import Underlay
from ztlink.wire.buffer import Reader
from ztlink.wire.default_planet import DEFAULT_PLANET
from ztlink.wire.identity import SecretIdentity
from ztlink.wire.netconf import NetworkConfig
from ztlink.wire.world import World, WorldType


def open_planet(settings: Settings, store: Store) -> World:
    """Return the planet: the one that was named, else the home's, else ZeroTier's own."""
    if settings.planet is not None:
        planet = _read_planet(settings.planet)
        store.write(PLANET, planet.to_bytes(), 0o644)
    else:
        planet = store.load_planet() or DEFAULT_PLANET
    if settings.allow_loopback and planet.world_id == DEFAULT_PLANET.world_id:
        raise ConfigError(
            "loopback addresses are for a world of one's own: name its planet, or do without them"
        )
    return planet


def open_identity(settings: Settings, store: Store, say: Callable[[str], None]) -> SecretIdentity:
    """Return the identity: the one that was named, else the home's, else a new one.

    Its proof of work is not looked at: that is done when all runs (`prove`).
    """
    if settings.identity is not None:
        return store.adopt_identity(settings.identity, with_work=False)
    identity = store.load_identity(with_work=False)
    if identity is None:
        # Here: a node makes one once in its life.
        from ztlink.crypto.work import generate

        say("making an identity, which takes a second or two ...")
        identity = generate(random_bytes)
        store.save_identity(identity)
    return identity


async def prove(identity: SecretIdentity, settings: Settings, validator: Validator) -> None:
    """Have our own address checked beside the work; ConfigError where it is not of our keys."""
    loop = asyncio.get_running_loop()
    verdict: asyncio.Future[bool] = loop.create_future()
    validator.submit(identity.public, lambda _, is_good: _call(loop, verdict, is_good))
    if not await verdict:
        raise misfit(str(settings.identity or settings.home / IDENTITY_SECRET))


def _call(loop: asyncio.AbstractEventLoop, verdict: "asyncio.Future[bool]", is_good: bool) -> None:
    def resolve() -> None:
        if not verdict.done():
            verdict.set_result(is_good)

    with contextlib.suppress(RuntimeError):  # the loop has ended before the check
        loop.call_soon_threadsafe(resolve)


async def choose_engine(settings: Settings, pump: Pump) -> None:
    """Have the core use a faster engine than the one it starts with, once there is one."""
    from ztlink.drivers.kernels import chosen_engine

    engine = await chosen_engine(settings.engine, settings.home)
    pump.submit(partial(_use_engine, engine))


async def failure_of(pump: Pump) -> None:
    """Wait for the pump to end; raise what ended it."""
    await asyncio.shield(asyncio.wrap_future(pump.finished))  # whose outcome is the pump's own


def join(network_id: NetworkId, cached: NetworkConfig | None, core: Core, now: Now) -> None:
    """Join a network: a command for the pump, with what was kept of the network last time."""
    core.join(network_id, now, cached)


def leave(network_id: NetworkId, core: Core, now: Now) -> None:
    """Leave a network: a command for the pump."""
    core.leave(network_id, now)


def _use_engine(engine: Engine, core: Core, now: Now) -> None:
    core.engine = engine


def make_core(
    settings: Settings, store: Store, identity: SecretIdentity, planet: World, underlay: Underlay
) -> Core:
    """Make the node itself, with what the home remembers."""
    moons = store.load_moons()
    if settings.role is Role.ROOT:
        check_root(identity, settings.home, [planet, *moons])
    return Core(
        identity,
        planet,
        random_bytes=random_bytes,
        now=read_clock(),
        moons=moons,
        known_peers=store.load_peers(read_clock().unix_ms / 1000),
        settings=CoreSettings(
            controller_enabled=settings.has_controller,
            protocol=settings.protocol,
            physical=underlay.conf.physical,
            hints=dict(underlay.conf.hints),
            allow_loopback=settings.allow_loopback,
        ),
    )


def _read_planet(file: Path) -> World:
    try:
        world = World.decode(Reader(file.read_bytes()))
    except OSError as error:
        raise ConfigError(f"cannot read the planet {file}: {error.strerror}") from error
    except WireError as error:
        raise ConfigError(f"{file} is not a world file: {error}") from error
    if world.world_type is not WorldType.PLANET:
        raise ConfigError(f"{file} is a moon, not a planet")
    return world


def check_root(identity: SecretIdentity, home: Path, worlds: Iterable[World]) -> None:
    """Raise ConfigError where no world names us: nobody would look for us, nor take our word."""
    if not any(root.identity == identity.public for world in worlds for root in world.roots):
        raise ConfigError(
            f"no world names {format_address(identity.address)} as a root: make one with 'ztlink "
            f"world create --root {home / IDENTITY_PUBLIC}@IP/PORT --out FILE', then start with "
            "--planet FILE, here and on the nodes"
        )
