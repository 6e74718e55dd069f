"""Arguments to settings to exit status; each command imports what it alone needs."""

import sys
from typing import Final

import click

from ztlink.errors import ConfigError, HostError, ZtError

EXIT_REFUSED: Final = 1
EXIT_CONFIG: Final = 78
"""EX_CONFIG of sysexits.h."""


class Commands(click.Group):
    """A group whose errors are one sentence, and whose exit status tells programs their kind."""

    def invoke(self, ctx: click.Context) -> object:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            click.echo(f"ztlink: {error}", err=True)
            sys.exit(EXIT_CONFIG)
        except HostError as error:
            click.echo(f"ztlink: {error.strerror or error}", err=True)
            sys.exit(EXIT_REFUSED)
        except ZtError as error:
            click.echo(f"ztlink: {error}", err=True)
            sys.exit(EXIT_REFUSED)


@click.group(cls=Commands)
@click.version_option(package_name="ztlink", prog_name="ztlink")
def main() -> None:
    """Run and steer a ZeroTier node."""


def _register() -> None:
    from ztlink import (
        cli_cluster,
        cli_controller,
        cli_identity,
        cli_mesh,
        cli_network,
        cli_node,
        cli_run,
        cli_world,
    )

    of_nodes = (cli_run, cli_node, cli_network, cli_controller, cli_identity, cli_world)
    for module in (*of_nodes, cli_cluster, cli_mesh):
        for command in module.COMMANDS:
            main.add_command(command)


_register()
