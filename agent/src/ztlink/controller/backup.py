"""Copies of a controller's database: made while it runs, and put back in its place.

A copy has networks and members. The controller's identity, by which members know it, is in
identity.secret: who keeps copies keeps that file too.
"""

import os
import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from ztlink.controller.store import ControllerStore, copy_database
from ztlink.errors import ConfigError
from ztlink.ids import Address, controller_of, format_address, format_network_id

DATABASE: Final = "ztlink-controller.db"
FIRST_NAME: Final = "controller.db"
"""What it was called at first: the original does not start where there is such a file."""
PREPARED: Final = f"{DATABASE}.restore"
"""A copy that was found good, beside the database whose place it is to take."""
_BESIDE: Final = ("", "-wal", "-shm")


def rename_first(home: Path) -> None:
    """Give a database of ours that has its first name the one of today."""
    first, database = home / FIRST_NAME, home / DATABASE
    if database.exists() or not first.is_file():
        return
    try:
        with closing(sqlite3.connect(first)) as opened:
            (version,) = opened.execute("PRAGMA user_version").fetchone()
            if not version:  # of a very old ZeroTierOne
                return
            opened.execute("PRAGMA journal_mode = DELETE")  # one file, so that it moves as one
        first.rename(database)
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(f"cannot rename {first} to {database}: {error}") from error


def back_up(home: Path, target: Path) -> None:
    """Write a copy of a home's database, as it is at one moment, whether it is in use or not.

    The target has all of it or is left as it was.
    """
    rename_first(home)
    source = home / DATABASE
    if not source.is_file():
        raise ConfigError(f"{home} is not the home of a controller: there is no {DATABASE} in it")
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        os.close(descriptor)
    except OSError as error:
        raise ConfigError(f"cannot write {target}: {error.strerror}") from error
    try:
        copy_database(source, Path(name))
        _flush(Path(name))
        Path(name).replace(target)
        _flush(target.parent)
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(f"cannot copy {source} to {target}: {error}") from error
    finally:
        with suppress(FileNotFoundError):
            Path(name).unlink()


def prepare(home: Path, file: Path, controller: Address | None) -> Path:
    """Put a copy beside a home's database, and return it; ConfigError where it is not good.

    It must be of this controller, if that is known: the ids of networks begin with its address.
    """
    prepared = home / PREPARED
    discard(home)
    try:
        if not file.is_file():
            raise ConfigError(f"there is no file {file}")
        copy_database(file, prepared)
        _check_version(prepared)
        with closing(ControllerStore(prepared)) as store:  # which migrates it
            store.check()
            _check_controller(store, file, controller)
    except (OSError, sqlite3.Error) as error:
        discard(home)
        raise ConfigError(f"{file} is not a copy of a controller's database: {error}") from error
    except ConfigError:
        discard(home)
        raise
    return prepared


def put_back(home: Path) -> Path | None:
    """Have a prepared copy take the place of a database that nobody uses.

    Return where the old one was moved if it is damaged.
    """
    rename_first(home)
    database, moved = home / DATABASE, None
    try:
        store = ControllerStore(database)
        try:
            store.check()
        except ConfigError:
            store.close()
            raise
    except ConfigError:
        moved = _move_away(database)
        store = ControllerStore(database)
    with closing(store):
        store.restore(home / PREPARED)
    discard(home)
    return moved


def discard(home: Path) -> None:
    """Remove a prepared copy, if there is one."""
    for suffix in _BESIDE:
        with suppress(FileNotFoundError):
            (home / f"{PREPARED}{suffix}").unlink()


def _check_version(prepared: Path) -> None:
    """Refuse what we would take for a new database: an empty file, or one of another program."""
    with closing(sqlite3.connect(prepared)) as database:
        (version,) = database.execute("PRAGMA user_version").fetchone()
    if not version:
        raise sqlite3.DatabaseError("it has no version")


def _check_controller(store: ControllerStore, file: Path, controller: Address | None) -> None:
    for network in store.networks():
        owner = controller_of(network.network_id)
        if controller is not None and owner != controller:
            raise ConfigError(
                f"{file} has network {format_network_id(network.network_id)} of controller "
                f"{format_address(owner)}, and this home is {format_address(controller)}'s: put "
                "back identity.secret of that controller first"
            )


def _move_away(database: Path) -> Path:
    number = 1
    while (moved := database.with_name(f"{database.name}.damaged-{number}")).exists():
        number += 1
    for suffix in _BESIDE:
        with suppress(FileNotFoundError):
            Path(f"{database}{suffix}").rename(f"{moved}{suffix}")
    return moved


def _flush(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
