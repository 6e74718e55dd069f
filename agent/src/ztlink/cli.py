"""Arguments to settings to exit status; each command imports what it alone needs."""

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Final

import click

from ztlink.errors import ConfigError, ZtError
from ztlink.printable import printable_lines

EXIT_REFUSED: Final = 1
EXIT_CONFIG: Final = 78
"""EX_CONFIG of sysexits.h."""


_MODULES: Final[Mapping[str, tuple[str, ...]]] = {
    "cli_run": ("agent", "node", "root", "controller"),
    "cli_config": ("config",),
    "cli_doctor": ("doctor",),
    "cli_node": ("join", "leave", "status", "peers", "networks"),
    "cli_network": ("set", "orbit", "deorbit", "moons"),
    "cli_controller": ("network", "member"),
    "cli_identity": ("identity",),
    "cli_world": ("world",),
    "cli_authorize": ("authorize",),
    "cli_cleanup": ("cleanup",),
    "cli_cluster": ("bootstrap", "retire"),
    "cli_firewall": ("firewall",),
    "cli_mesh": ("mesh-status",),
    "cli_user": ("call", "connect", "expose", "listen", "ping"),
}
"""Where commands are: the module of one is imported when that is given, or listed with its text."""
_HOMES: Final = {name: module for module, names in _MODULES.items() for name in names}


class Commands(click.Group):
    """A group whose errors are one sentence, and whose exit status tells programs their kind."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted(_HOMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name, None where there is none."""
        if cmd_name not in _HOMES:
            return None
        commands: tuple[click.Command, ...] = import_module(f"ztlink.{_HOMES[cmd_name]}").COMMANDS
        return next(command for command in commands if command.name == cmd_name)

    def invoke(self, ctx: click.Context) -> object:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            click.echo(f"ztlink: {printable_lines(str(error))}", err=True)
            sys.exit(EXIT_CONFIG)
        except ZtError as error:
            sentence = error.strerror if isinstance(error, OSError) else None
            click.echo(f"ztlink: {printable_lines(sentence or str(error))}", err=True)
            sys.exit(EXIT_REFUSED)


@click.group(cls=Commands)
@click.version_option(package_name="ztlink", prog_name="ztlink")
def main() -> None:
    """Run and steer a ZeroTier node."""
