"""`ztlink controller backup`, `restore`, `export`: the records of a controller as files."""

from contextlib import closing
from pathlib import Path
from typing import Final

import click

from ztlink.cli_options import home_option
from ztlink.client import Client
from ztlink.errors import ConfigError

_file_argument = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))


@click.command()
@_file_argument
@home_option
def backup(file: Path, home: Path) -> None:
    """Write all networks and members to FILE, while the controller runs or not.

    Keep identity.secret beside it: members know the controller by its identity.
    """
    from ztlink.controller.backup import back_up

    back_up(home, file)
    click.echo(f"200 backup {file}")


@click.command()
@_file_argument
@home_option
def restore(file: Path, home: Path) -> None:
    """Put FILE in place of all networks and members, while the controller runs or not.

    Of a controller that runs, members are told at once what that changes for them.
    """
    from ztlink.controller.backup import discard, prepare
    from ztlink.drivers.store import Store

    store = Store(home)
    try:
        store.open()
        is_ours = True
    except ConfigError:
        if not home.is_dir():
            raise
        is_ours = False  # a node runs there, and does it itself
    with closing(store):
        identity = store.load_identity()
        prepare(home, file, identity.address if identity else None)
        try:
            _put_back(home) if is_ours else Client(home).post("/unstable/controller/restore")
        finally:
            discard(home)
    click.echo(f"200 restore {file}")


def _put_back(home: Path) -> None:
    from ztlink.controller.backup import put_back

    moved = put_back(home)
    if moved is not None:
        click.echo(f"the database was damaged, and is kept as {moved}", err=True)


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@home_option
def export(directory: Path, home: Path) -> None:
    """Write all networks and members to DIRECTORY as files of ZeroTierOne: its controller.d.

    DIRECTORY must not be there yet.
    """
    import tempfile

    from ztlink.controller.adopt import write_original
    from ztlink.controller.backup import back_up
    from ztlink.controller.store import ControllerStore

    with tempfile.TemporaryDirectory(prefix="ztlink-") as place:
        copy = Path(place) / "copy"
        back_up(home, copy)
        with closing(ControllerStore(copy)) as store:
            write_original(store, directory)
    click.echo(f"200 export {directory}")


COMMANDS: Final = (backup, restore, export)
