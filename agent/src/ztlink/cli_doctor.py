"""`ztlink doctor`: what a machine lacks for an agent, and what helps."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click

from ztlink.cli_options import json_option, show, table
from ztlink.conditions import Condition, Status
from ztlink.errors import ConfigError
from ztlink.settings import HttpSettings, Settings

_SIGNS: Final = {
    Status.OK: "ok",
    Status.WAITING: "note",
    Status.FAULT: "FAULT",
    Status.UNKNOWN: "unknown",
}


@click.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file of the agent; without one, for an agent with the defaults.",
)
@json_option
@click.pass_context
def doctor(context: click.Context, config: Path | None, as_json: bool) -> None:
    """Look at this machine: what an agent needs, what is amiss, what helps. Nothing is changed.

    Exit status 1 where something that is needed is amiss.
    """
    from ztlink.doctor import examine

    settings, found = _settings(config)
    found += examine(settings)
    if as_json:
        show([asdict(condition) for condition in found])
    else:
        _print(found)
    if any(one.is_required and one.status is Status.FAULT for one in found):
        context.exit(1)


def _settings(config: Path | None) -> tuple[Settings, list[Condition]]:
    """Return what the file says; with mistakes in it, the defaults and the mistakes."""
    if config is None:
        return Settings(http=HttpSettings()), []
    from ztlink.config.file import read_settings

    try:
        return read_settings(config), [Condition("config", Status.OK, cause=str(config))]
    except ConfigError as error:
        remedy = "correct the file; what follows is for the defaults"
        wrong = Condition("config", Status.FAULT, cause=str(error), remedy=remedy)
        return Settings(http=HttpSettings()), [wrong]


def _print(found: Iterable[Condition]) -> None:
    rows = []
    for one in found:
        first, *rest = one.cause.splitlines() or [""]
        rows.append((_SIGNS[one.status], " ".join(one.key).strip(), first))
        rows += [("", "", line) for line in rest]
        if one.remedy and one.status is not Status.OK:
            rows.append(("", "", f"-> {one.remedy}"))
    table(("", "what", "how it is"), rows)


COMMANDS: Final = (doctor,)
