"""`ztlink identity`: make, check and show identities."""

import re
from pathlib import Path
from typing import Final

import click

from ztlink.errors import ConfigError, WireError, ZtError

_BEGINS_AN_IDENTITY: Final = re.compile(r"\s*[0-9a-fA-F]{10}:[0-9]+:")


class IdentityError(ZtError):
    """An identity does not hold what it claims, or one is in the way."""


@click.group()
def identity() -> None:
    """Make, check and show identities."""


@identity.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
def generate(file: Path | None) -> None:
    """Make an identity; print it, or keep it in FILE and its public half in FILE's sibling."""
    from ztlink.crypto.work import generate as make
    from ztlink.drivers.chance import random_bytes
    from ztlink.drivers.store import Store

    if file is not None and file.exists():
        raise IdentityError(f"{file} exists: remove it first, if it may be lost")
    secret = make(random_bytes)
    if file is None:
        click.echo(secret.to_text())
        return
    store = Store(file.parent)
    store.write(file.name, secret.to_text().encode())
    if file.suffix == ".secret":
        store.write(file.with_suffix(".public").name, str(secret.public).encode(), 0o644)
    click.echo(str(secret.public))


@identity.command()
@click.argument("text_or_file")
def validate(text_or_file: str) -> None:
    """Check the proof of work of an identity, and its private keys if they are there."""
    from ztlink.crypto.identity import has_matching_keys
    from ztlink.crypto.work import validate as check
    from ztlink.wire.identity import Identity, SecretIdentity

    text = read_identity(text_or_file)
    try:
        public = Identity.from_text(text)
        good = check(public)
        if text.count(":") == 3:
            good = good and has_matching_keys(SecretIdentity.from_text(text))
    except WireError as error:
        raise IdentityError(f"not an identity ({error}): give its text, or its file") from error
    if not good:
        raise IdentityError(
            f"{text.partition(':')[0]} is NOT a valid identity: make one with "
            "'ztlink identity generate'"
        )
    click.echo(f"{text.partition(':')[0]} is a valid identity")


@identity.command("show")
@click.argument("text_or_file")
def show_identity(text_or_file: str) -> None:
    """Print the public half of an identity."""
    from ztlink.wire.identity import Identity

    try:
        click.echo(str(Identity.from_text(read_identity(text_or_file))))
    except WireError as error:
        raise IdentityError(f"not an identity ({error}): give its text, or its file") from error


def read_identity(text_or_file: str) -> str:
    """Return the text of an identity that is given as such or as a file."""
    if _BEGINS_AN_IDENTITY.match(text_or_file):
        return text_or_file.strip()
    try:
        return Path(text_or_file).read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        # Neither the argument nor the error as they are: private keys may be in them.
        name = text_or_file.partition(":")[0]
        why = error.strerror if isinstance(error, OSError) else "not text"
        raise ConfigError(f"cannot read an identity from {name}: {why}") from None


COMMANDS: Final = (identity,)
