"""`ztlink agent`, `node`, `root` and `controller`: the commands that run."""

import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, TypedDict, Unpack

import click
from click.core import ParameterSource

from ztlink import cli_records
from ztlink.cli_options import home_option, network_id_argument, say
from ztlink.config.environment import named_networks
from ztlink.errors import ConfigError, ZtError
from ztlink.ids import IpAddress, NetworkId, parse_network_id
from ztlink.settings import (
    DEFAULT_PORT,
    ENGINES,
    LogFormat,
    LogSettings,
    Membership,
    Role,
    Settings,
)

logger = logging.getLogger(__name__)

Command = Callable[..., Any]
LOG_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")
PROTOCOL_OF_SUITE: Final = {"aes": 12, "salsa": 11}
_PACKAGES: Final = ("aiohttp", "prometheus_client", "pyroute2")
"""What a node imports when it runs already."""
_AGENT_PACKAGES: Final = ("pydantic", "structlog", "yaml")
_DEVICE_NAME: Final = re.compile(r"[^\s/:%]{1,15}")
"""What the kernel takes."""


class MissingPackageError(ZtError):
    """The package was installed without what a node needs of others."""


class Options(TypedDict):
    """The options that all of these commands have."""

    config: Path | None
    home: Path
    port: int | None
    next_ports: int
    planet: Path | None
    bind: tuple[str, ...]
    suite: str
    engine: str
    allow_loopback: bool
    log_level: str


def _options(command: Command) -> Command:
    for option in (
        click.option(
            "--log-level",
            type=click.Choice(LOG_LEVELS, case_sensitive=False),
            default="INFO",
            show_default=True,
            help="Least level to log.",
        ),
        click.option(
            "--suite",
            type=click.Choice(list(PROTOCOL_OF_SUITE)),
            default="aes",
            show_default=True,
            help="Cipher that peers are asked to use; salsa for machines without AES instructions.",
        ),
        click.option(
            "--engine",
            type=click.Choice(ENGINES),
            default="auto",
            show_default=True,
            envvar="ZTLINK_ENGINE",
            help="What cuts and seals packets: jit is the fastest, and needs ztlink[fast] once.",
        ),
        click.option(
            "--allow-loopback",
            is_flag=True,
            help="Take loopback addresses for ways to peers; for tests in a world of one's own.",
        ),
        click.option("--bind", multiple=True, metavar="IP", help="Local address; may be repeated."),
        click.option(
            "--planet",
            type=click.Path(path_type=Path, dir_okay=False),
            help="A world file to be used as the planet, and kept in the home.",
        ),
        click.option(
            "--next-ports",
            type=click.IntRange(0, 1000),
            default=0,
            metavar="N",
            help="Where the port is in use, try the next N.",
        ),
        click.option(
            "--port",
            type=click.IntRange(0, 65535),
            show_default=f"local.conf's primaryPort, else {DEFAULT_PORT}",
            help="UDP and API port; 0 for one by lot, the same at each start.",
        ),
        click.option(
            "--config",
            type=click.Path(path_type=Path, dir_okay=False),
            help="A YAML file with settings; options that are given win over it.",
        ),
    ):
        command = option(command)
    return home_option(command)


def _settings(options: Options, **of_command: Any) -> Settings:  # noqa: ANN401 - attributes
    """Return what the file says, with what was given beside it in its place."""
    settings = Settings()
    if options["config"] is not None:
        from ztlink.config.file import read_settings

        settings = read_settings(options["config"], _environment(of_command))
    return replace(settings, **_given(options, settings.log), **of_command)


def _environment(of_command: Mapping[str, object]) -> Mapping[str, str]:
    """Return the environment; a root or a controller joins none of the networks that it names."""
    is_node = of_command.get("role", Role.NODE) is Role.NODE
    return {
        name: value
        for name, value in os.environ.items()
        if is_node or not name.startswith("ZEROTIER_NETWORK_ID")
    }


def _given(options: Options, log: LogSettings) -> dict[str, Any]:
    """Return the settings that were named by the command line or the environment."""
    read: Mapping[str, Callable[[], dict[str, Any]]] = {
        "home": lambda: {"home": options["home"]},
        "port": lambda: {"port": options["port"], "is_port_given": True},
        "next_ports": lambda: {"next_ports": options["next_ports"]},
        "planet": lambda: {"planet": options["planet"]},
        "bind": lambda: {"bind": _bind(options["bind"])},
        "suite": lambda: {"protocol": PROTOCOL_OF_SUITE[options["suite"]]},
        "engine": lambda: {"engine": options["engine"]},
        "allow_loopback": lambda: {"allow_loopback": options["allow_loopback"]},
        "log_level": lambda: {"log": replace(log, level=options["log_level"].upper())},
    }
    context = click.get_current_context()
    silent = (None, ParameterSource.DEFAULT)
    given: dict[str, Any] = {}
    for name, reading in read.items():
        if context.get_parameter_source(name) not in silent:
            given |= reading()
    return given


def _bind(texts: tuple[str, ...]) -> tuple[IpAddress, ...]:
    try:
        return tuple(ip_address(text) for text in texts)
    except ValueError as error:
        raise click.UsageError(f"--bind: {error}") from error


def _names(texts: tuple[str, ...]) -> dict[NetworkId, str]:
    names = {}
    for text in texts:
        network_id, _, name = text.partition("=")
        if not _DEVICE_NAME.fullmatch(name) or name in (".", ".."):
            raise click.UsageError(f"--interface: {text!r} is not NWID=NAME with a device's name")
        try:
            names[parse_network_id(network_id)] = name
        except ValueError as error:
            raise click.UsageError(f"--interface: {error}") from error
    return names


def _run(settings: Settings) -> None:
    _check_controller(settings)
    with _ended_by_sigterm():
        run = _load()
        run(settings, _say)


def _check_controller(settings: Settings) -> None:
    if (settings.declared or settings.auto_authorize) and not settings.has_controller:
        raise ConfigError(
            "controller: this is no controller: run 'ztlink controller', or add --controller"
        )


def _say(text: str) -> None:
    say(text, err=True)


def _log(text: str) -> None:
    """Say it where every line is for programs."""
    logger.info("%s", text)


def _load(*further: str) -> Callable[..., None]:
    """Load a node; what it needs later on is looked for first, before anything was made."""
    for name in (*_PACKAGES, *further):
        if find_spec(name) is None:
            raise MissingPackageError(
                f"a running node needs the package {name}, which is not installed: "
                "pip install 'ztlink[agent]'"
            )
    from ztlink.agent import run

    return run


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the start, too: until a running node listens to it itself."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _joined(settings: Settings, network_ids: tuple[str, ...]) -> tuple[Membership, ...]:
    """Return the memberships of a node: the file's, and those that were named beside it."""
    known = {membership.network_id for membership in settings.memberships}
    named = dict.fromkeys(parse_network_id(text) for text in network_ids)
    return settings.memberships + tuple(Membership(one) for one in named if one not in known)


@click.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The YAML file; it is followed while the agent runs.",
)
def agent(config: Path) -> None:
    """Run the agent of a machine: a node that a file configures, also while it runs."""
    with _ended_by_sigterm():
        run = _load(*_AGENT_PACKAGES)
        from ztlink.config.follow import Follower
        from ztlink.drivers.clock import read_clock

        follower = Follower(config, lambda: read_clock().unix_ms / 1000)
        _check_controller(follower.settings)
        is_json = follower.settings.log.format is LogFormat.JSON
        run(follower.settings, _log if is_json else _say, follower)


@click.command()
@_options
@click.option("--no-tap", is_flag=True, help="Make no devices: carry no frames of the host.")
@click.option("--controller", is_flag=True, help="Be a controller too.")
@click.option("--interface", multiple=True, metavar="NWID=NAME", help="Name a network's device.")
@click.option(
    "--network",
    multiple=True,
    type=network_id_argument,
    metavar="NWID",
    envvar="ZEROTIER_NETWORK_ID",
    help="Join this network at the start; may be repeated.",
)
def node(
    no_tap: bool,
    controller: bool,
    interface: tuple[str, ...],
    network: tuple[str, ...],
    **options: Unpack[Options],
) -> None:
    """Run a node that joins networks."""
    settings = _settings(options, has_taps=not no_tap, has_controller=controller)
    named = network or tuple(named_networks(os.environ).ids)
    _run(
        replace(
            settings,
            memberships=_joined(settings, named),
            interface_names={**settings.interface_names, **_names(interface)},
        )
    )


@click.command()
@_options
@click.option("--controller", is_flag=True, help="Be a controller too.")
def root(controller: bool, **options: Unpack[Options]) -> None:
    """Run a root: the planet must name this home's identity."""
    _run(_settings(options, role=Role.ROOT, has_taps=False, has_controller=controller))


@click.group(invoke_without_command=True)
@_options
@click.pass_context
def controller(context: click.Context, **options: Unpack[Options]) -> None:
    """Run a controller; it is a root too where the planet names it.

    With a command, do that to the records of a controller instead, whether it runs or not.
    """
    if context.invoked_subcommand is None:
        _run(_settings(options, role=Role.CONTROLLER, has_taps=False, has_controller=True))
        return
    if context.get_parameter_source("home") is not ParameterSource.DEFAULT:
        # Before the command or behind it: --home means the same.
        home = {"home": options["home"]}
        context.default_map = dict.fromkeys(controller.commands, home)


for _command in cli_records.COMMANDS:
    controller.add_command(_command)

COMMANDS: Final = (agent, node, root, controller)
