"""`ztlink cleanup`: what agents have kept on this machine, taken away."""

from typing import Final

import click


@click.command()
def cleanup() -> None:
    """Take away all that agents left on this machine.

    Devices, routes, rules, the firewall, networks' name servers: for a machine that is to be
    without. Agents that are to keep things for the next process (onStop: keep), or that were
    killed, leave them. The home directory stays.
    """
    from ztlink.host.cleanup import Removed, remove_all

    removed = remove_all()
    for device in removed.devices:
        click.echo(f"removed the device {device}, with its addresses")
    for count, what in (
        (removed.routes, "routes"),
        (removed.rules, "rules"),
        (removed.next_hops, "next hops"),
    ):
        if count:
            click.echo(f"removed {what}: {count}")
    for name in removed.tables:
        click.echo(f"removed the firewall's table {name}")
    for name in removed.name_servers:
        click.echo(f"removed the networks' name servers from {name}")
    if removed == Removed():
        click.echo("there was nothing of ours")


COMMANDS: Final = (cleanup,)
