"""Commands for a running node: what a network may do, and moons."""

from pathlib import Path
from typing import Any, Final

import click

from ztlink.cli_options import (
    address_argument,
    home_option,
    json_option,
    network_id_argument,
    show,
    table,
)
from ztlink.client import Client, RefusedError

SETTINGS: Final = ("allowManaged", "allowGlobal", "allowDefault", "allowDNS")
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})
Json = dict[str, Any]


def _setting(text: str) -> tuple[str, bool]:
    name, separator, value = text.partition("=")
    known = {setting.lower(): setting for setting in SETTINGS}
    if not separator or name.lower() not in known:
        raise click.BadParameter(f"{text!r} is not SETTING=1 or =0; settings: {_names()}")
    if value.lower() not in _TRUE | _FALSE:
        raise click.BadParameter(f"{text!r}: {value!r} is neither 1 nor 0")
    return known[name.lower()], value.lower() in _TRUE


def _names() -> str:
    return ", ".join(SETTINGS)


@click.command("set")
@click.argument("network_id", type=network_id_argument)
@click.argument("settings", type=_setting, nargs=-1, metavar="[SETTING=1|0]...")
@home_option
@json_option
def set_(
    network_id: str, settings: tuple[tuple[str, bool], ...], home: Path, as_json: bool
) -> None:
    """Show or change what a network may do to this machine.

    allowManaged: addresses and routes of its configuration; 1 unless changed, the others 0.

    allowGlobal: also those of global scope.

    allowDefault: also default routes, so that all traffic goes through the network.

    allowDNS: its name servers, where the configuration says dns.apply.
    """
    client = Client(home)
    network = _joined(client, network_id)
    if settings:
        network = client.post(f"/network/{network_id}", dict(settings))
    if as_json:
        show({name: network[name] for name in SETTINGS})
        return
    for name in SETTINGS:
        click.echo(f"{name}={network[name]:d}")


def _joined(client: Client, network_id: str) -> Json:
    """Return a network; one that was not joined is not joined by asking what it may do."""
    try:
        network: Json = client.get(f"/network/{network_id}")
    except RefusedError as error:
        if error.status != 404:
            raise
        raise RefusedError(404, f"{network_id} is not joined: 'ztlink join' does that") from error
    return network


@click.command()
@click.argument("moon_id", type=address_argument)
@click.argument("seed", type=address_argument, required=False)
@home_option
@json_option
def orbit(moon_id: str, seed: str | None, home: Path, as_json: bool) -> None:
    """Use the roots of a moon, too.

    SEED is a root of it that is asked for it; by default the one whose address is the moon's id.
    """
    moon = Client(home).post(f"/moon/{moon_id}", {"seed": seed or moon_id})
    if as_json:
        show(moon)
    else:
        click.echo("200 orbit OK" + (": waiting for the seed" if moon["waiting"] else ""))


@click.command()
@click.argument("moon_id", type=address_argument)
@home_option
@json_option
def deorbit(moon_id: str, home: Path, as_json: bool) -> None:
    """Use the roots of a moon no more."""
    answer = Client(home).delete(f"/moon/{moon_id}")
    if as_json:
        show(answer)
    else:
        click.echo("200 deorbit OK")


@click.command()
@home_option
@json_option
def moons(home: Path, as_json: bool) -> None:
    """Show the moons that are here."""
    found = Client(home).get("/moon")
    if as_json:
        show(found)
        return
    rows = [
        (moon["id"], root["identity"].partition(":")[0], ",".join(root["stableEndpoints"]) or "-")
        for moon in found
        for root in moon["roots"]
    ]
    table(("<moon>", "<root>", "<endpoints>"), rows)


COMMANDS: Final = (set_, orbit, deorbit, moons)
