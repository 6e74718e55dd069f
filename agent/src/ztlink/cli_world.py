"""`ztlink world`: make and show planets and moons."""

from ipaddress import ip_address
from pathlib import Path
from typing import Final

import click

from ztlink.cli_identity import read_identity
from ztlink.drivers.chance import random_bytes
from ztlink.errors import ConfigError, WireError
from ztlink.ids import Endpoint, format_address
from ztlink.wire.buffer import Reader
from ztlink.wire.identity import Identity, SecretIdentity
from ztlink.wire.world import MAX_ENDPOINTS, MAX_ROOTS, Root, World, WorldType


@click.group()
def world() -> None:
    """Make and show planets and moons."""


@world.command()
@click.option(
    "--root",
    "roots",
    multiple=True,
    required=True,
    metavar="IDENTITY@IP/PORT[,IP/PORT]",
    help="A root: its public identity or the file of it, and where it is found.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The world file to write.",
)
@click.option(
    "--key",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The secret identity that signs this world and its next revisions, made if the file is "
    "absent; without it the world has no next revision.",
)
@click.option("--moon", is_flag=True, help="Make a moon; its id is the first root's address.")
@click.option("--id", "world_id", metavar="HEX", help="The world's id; drawn if left out.")
def create(
    roots: tuple[str, ...], out: Path, key: Path | None, moon: bool, world_id: str | None
) -> None:
    """Make a world file, signed."""
    from ztlink.crypto.world import make_world
    from ztlink.drivers.clock import read_clock
    from ztlink.drivers.store import Store

    listed = tuple(_root(text) for text in roots)
    if len(listed) > MAX_ROOTS:
        raise click.UsageError(f"--root: {len(listed)} roots, a world has at most {MAX_ROOTS}")
    for number, root in enumerate(listed):
        if root.identity in [other.identity for other in listed[:number]]:
            raise click.UsageError(
                f"--root: {format_address(root.identity.address)} is given twice: "
                "name all its endpoints at once, IP/PORT,IP/PORT"
            )
    signer = _signer(key)
    made = make_world(
        WorldType.MOON if moon else WorldType.PLANET,
        _world_id(world_id, listed, moon=moon),
        read_clock().unix_ms,
        listed,
        signer,
    )
    Store(out.parent).write(out.name, made.to_bytes(), 0o644)
    click.echo(f"{made.world_type.name.lower()} {made.world_id:016x} written to {out}")


def _root(text: str) -> Root:
    who, _, where = text.rpartition("@")
    if not who:
        raise click.UsageError(
            f"--root: {text.partition(':')[0]!r} is not followed by @IP/PORT, where it is found"
        )
    try:
        identity = Identity.from_text(read_identity(who))
        endpoints = tuple(_endpoint(part) for part in where.split(",") if part)
    except (WireError, ValueError) as error:
        raise click.UsageError(f"--root: {error}") from error
    if len(endpoints) > MAX_ENDPOINTS:
        raise click.UsageError(f"--root: {len(endpoints)} endpoints, at most {MAX_ENDPOINTS}")
    return Root(identity, endpoints)


def _endpoint(text: str) -> Endpoint:
    ip, _, port = text.rpartition("/")
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is not IP/PORT")
    return Endpoint(ip_address(ip), int(port))


def _signer(key: Path | None) -> SecretIdentity:
    from ztlink.crypto.work import generate
    from ztlink.drivers.store import Store

    if key is not None and key.exists():
        try:
            return SecretIdentity.from_text(read_identity(str(key)))
        except WireError as error:
            raise ConfigError(f"--key: {error}") from error
    signer = generate(random_bytes)
    if key is not None:
        Store(key.parent).write(key.name, signer.to_text().encode())
    return signer


def _world_id(text: str | None, roots: tuple[Root, ...], *, moon: bool) -> int:
    from ztlink.crypto.world import RESERVED_IDS

    if text is not None:
        try:
            chosen = int(text, 16)
        except ValueError as error:
            raise click.UsageError(f"--id: {text!r} is not hexadecimal") from error
        if chosen in RESERVED_IDS or not 0 < chosen < 1 << 64:
            raise click.UsageError(f"--id: {text} is reserved or out of range")
        return chosen
    if moon:
        return roots[0].identity.address
    return int.from_bytes(random_bytes(8), "big") | 1


@world.command("show")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def show_world(file: Path) -> None:
    """Print what a world file says."""
    try:
        found = World.decode(Reader(file.read_bytes()))
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from error
    except WireError as error:
        raise ConfigError(f"{file} is not a world file: {error}") from error
    kind = found.world_type.name.lower()
    click.echo(f"{kind} {found.world_id:016x} timestamp {found.timestamp}")
    for listed in found.roots:
        where = " ".join(str(endpoint) for endpoint in listed.endpoints) or "anywhere"
        click.echo(f"root {listed.identity} at {where}")


COMMANDS: Final = (world,)
