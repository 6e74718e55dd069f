"""`ztlink firewall`: what the rules would be."""

from pathlib import Path
from typing import Final

import click

from ztlink.derive import interface_names
from ztlink.errors import ConfigError
from ztlink.host.firewall.render import render
from ztlink.host.firewall.wanted import Guarded
from ztlink.ids import NetworkId
from ztlink.settings import Settings


@click.group()
def firewall() -> None:
    """Look at the firewall of the overlay."""


@firewall.command()
@click.option(
    "--config",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The YAML file of the agent.",
)
def show(config: Path) -> None:
    """Print the rules that an agent would load, and load nothing.

    Whoever may read the file may do that: no other rights are needed. What only a running agent
    knows is not in them: networks that no file names, managed routes, devices with other names.
    """
    from ztlink.config.file import read_settings
    from ztlink.config.firewall import of_agent

    click.echo(shown(of_agent(read_settings(config))), nl=False)


def shown(settings: Settings) -> str:
    """Return the rules that settings mean."""
    wanted = settings.firewall
    if wanted is None or not wanted.is_enabled:
        return "# firewall.enabled is false: no rules are loaded\n"
    try:
        return render(wanted, [_device(settings, one.network_id) for one in settings.memberships])
    except ValueError as error:
        raise ConfigError(f"networks: {error}: give it another interfaceName") from error


def _device(settings: Settings, network_id: NetworkId) -> Guarded:
    name = settings.interface_names.get(network_id) or next(interface_names(network_id))
    return Guarded(network_id, name)


COMMANDS: Final = (firewall,)
