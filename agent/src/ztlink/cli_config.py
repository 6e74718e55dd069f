"""`ztlink config check`, `show`, `schema`: the file of an agent, without running one."""

from pathlib import Path
from typing import Final

import click

from ztlink.cli_options import json_option, show, table

_file_argument = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))


@click.group()
def config() -> None:
    """Check, show and describe the file that `ztlink agent` is configured by."""


@config.command()
@_file_argument
def check(file: Path) -> None:
    """Tell all that is wrong in FILE; exit status 78 where something is."""
    from ztlink.config.file import read_file

    read_file(file)
    click.echo(f"200 {file} is as it should be")


@config.command("show")
@_file_argument
@json_option
def show_(file: Path, as_json: bool) -> None:
    """Print what FILE says in effect, with the environment over it, and where each value is from.

    What is secret is in files of its own: their names are printed, never what they hold.
    """
    from ztlink.config.file import read_file
    from ztlink.config.show import effective

    rows = effective(read_file(file))
    if as_json:
        show([{"key": key, "value": _plain(value), "from": origin} for key, value, origin in rows])
    else:
        table(
            ("key", "value", "from"),
            [(key, _text(value), origin) for key, value, origin in rows],
        )


@config.command()
def schema() -> None:
    """Print the JSON Schema of the file, for editors and other programs."""
    from ztlink.config import show as shown

    show(shown.schema())


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return '""' if value == "" else str(value)


COMMANDS: Final = (config,)
