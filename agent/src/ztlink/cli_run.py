"""`ztlink node`, `root` and `controller`: the commands that run."""

from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import click

from ztlink.cli_options import home_option
from ztlink.errors import ConfigError
from ztlink.ids import IpAddress, parse_network_id
from ztlink.settings import DEFAULT_PORT, Role, Settings

Command = Callable[..., Any]


def _options(command: Command) -> Command:
    for option in (
        click.option("--log-level", default="INFO", show_default=True, help="Least level to log."),
        click.option("--bind", multiple=True, metavar="IP", help="Local address; may be repeated."),
        click.option(
            "--planet",
            type=click.Path(path_type=Path, dir_okay=False),
            help="A world file to be used as the planet, and kept in the home.",
        ),
        click.option("--port", default=DEFAULT_PORT, show_default=True, help="UDP and API port."),
    ):
        command = option(command)
    return home_option(command)


def _bind(texts: tuple[str, ...]) -> tuple[IpAddress, ...]:
    try:
        return tuple(ip_address(text) for text in texts)
    except ValueError as error:
        raise ConfigError(f"--bind: {error}") from error


def _run(settings: Settings) -> None:
    from ztlink.agent import run

    run(settings, lambda text: click.echo(text, err=True))


@click.command()
@_options
@click.option("--no-tap", is_flag=True, help="Make no devices: carry no frames of the host.")
@click.option("--controller", is_flag=True, help="Be a controller too.")
@click.option("--interface", multiple=True, metavar="NWID=NAME", help="Name a network's device.")
def node(
    home: Path,
    port: int,
    planet: Path | None,
    bind: tuple[str, ...],
    log_level: str,
    no_tap: bool,
    controller: bool,
    interface: tuple[str, ...],
) -> None:
    """Run a node that joins networks."""
    names = {}
    for text in interface:
        network_id, _, name = text.partition("=")
        try:
            names[parse_network_id(network_id)] = name
        except ValueError as error:
            raise ConfigError(f"--interface: {error}") from error
    _run(
        Settings(
            home=home,
            port=port,
            planet=planet,
            bind=_bind(bind),
            log_level=log_level,
            has_taps=not no_tap,
            has_controller=controller,
            interface_names=names,
        )
    )


@click.command()
@_options
@click.option("--controller", is_flag=True, help="Be a controller too.")
def root(
    home: Path,
    port: int,
    planet: Path | None,
    bind: tuple[str, ...],
    log_level: str,
    controller: bool,
) -> None:
    """Run a root: the planet must name this home's identity."""
    _run(
        Settings(
            home=home,
            port=port,
            planet=planet,
            bind=_bind(bind),
            log_level=log_level,
            role=Role.ROOT,
            has_taps=False,
            has_controller=controller,
        )
    )


@click.command()
@_options
def controller(
    home: Path, port: int, planet: Path | None, bind: tuple[str, ...], log_level: str
) -> None:
    """Run a controller; it is a root too where the planet names it."""
    _run(
        Settings(
            home=home,
            port=port,
            planet=planet,
            bind=_bind(bind),
            log_level=log_level,
            role=Role.CONTROLLER,
            has_taps=False,
            has_controller=True,
        )
    )


COMMANDS: Final = (node, root, controller)
