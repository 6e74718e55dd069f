"""Options, kinds of arguments and output that commands share."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import click

from ztlink.ids import format_address, format_network_id, parse_address, parse_network_id
from ztlink.printable import printable, printable_lines

DEFAULT_HOME: Final = "/var/lib/zerotier-one"

Command = Callable[..., Any]


def network_id_argument(text: str) -> str:
    """Take 16 hex digits; anything else is wrong usage, before any node is asked."""
    try:
        return format_network_id(parse_network_id(text))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def address_argument(text: str) -> str:
    """Take the 10 hex digits of a node."""
    try:
        return format_address(parse_address(text))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def home_option(command: Command) -> Command:
    """Add --home, which picks a node."""
    return click.option(
        "--home",
        type=click.Path(path_type=Path, file_okay=False),
        default=DEFAULT_HOME,
        envvar="ZTLINK_HOME",
        show_default=True,
        help="The node's directory: identity, worlds, networks, token.",
    )(command)


def json_option(command: Command) -> Command:
    """Add --json, for programs."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def show(value: object) -> None:
    """Print JSON for a program."""
    click.echo(json.dumps(value, indent=1, sort_keys=True))


def say(text: str, *, err: bool = False) -> None:
    """Print a sentence for a person; what others wrote of it can do nothing but be read."""
    click.echo(printable_lines(text), err=err)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table for a person; what others wrote of it can do nothing but be read."""
    shown = [[printable(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
