"""`ztlink bootstrap` and `authorize`: commands for a cluster with a controller of its own."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ztlink.cli_options import address_argument, home_option, network_id_argument
from ztlink.client import Client

if TYPE_CHECKING:
    from ztlink.kube.bootstrap import Outcome
    from ztlink.settings import BootstrapSettings, ClusterAccess

Json = dict[str, Any]


@click.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="A YAML file that names the objects and the root's endpoints.",
)
def bootstrap(config: Path) -> None:
    """Make identity, world and network of this cluster's own root, where they are missing."""
    import asyncio

    from ztlink.bootstrap_file import cluster_access, read_bootstrap

    outcome = asyncio.run(_bootstrap(read_bootstrap(config), cluster_access()))
    for change in outcome.changes:
        click.echo(f"made {change}")
    if not outcome.changes:
        click.echo("all was there: nothing was changed")
    click.echo(f"root and controller {outcome.address}")
    click.echo(f"world {outcome.world.world_id:016x} timestamp {outcome.world.timestamp}")
    click.echo(f"network {outcome.network_id:016x}")


async def _bootstrap(settings: "BootstrapSettings", access: "ClusterAccess") -> "Outcome":
    from ztlink.drivers.chance import random_bytes
    from ztlink.drivers.clock import read_clock
    from ztlink.kube.bootstrap import Bootstrap
    from ztlink.kube.client import KubeClient

    async with KubeClient(access, lambda: read_clock().mono) as api:
        return await Bootstrap(api, settings, random_bytes, read_clock).run()


@click.command()
@click.argument("network_id", type=network_id_argument)
@click.argument("addresses", nargs=-1, type=address_argument)
@click.option("--all-waiting", is_flag=True, help="All that have asked and were never shut out.")
@home_option
def authorize(network_id: str, addresses: tuple[str, ...], all_waiting: bool, home: Path) -> None:
    """Let nodes into a network of this node's controller."""
    if not addresses and not all_waiting:
        raise click.UsageError("name nodes by their addresses, or say --all-waiting")
    client = Client(home)
    waiting = _waiting(client, network_id) if all_waiting else ()
    named = tuple(dict.fromkeys((*addresses, *waiting)))
    for address in named:
        path = f"/controller/network/{network_id}/member/{address}"
        client.post(path, {"authorized": True})
        click.echo(f"200 {address} authorized")
    if not named:
        click.echo("nobody waits")


def _waiting(client: Client, network_id: str) -> tuple[str, ...]:
    answer = client.get(f"/unstable/controller/network/{network_id}/member")
    return tuple(member["address"] for member in answer["data"] if _waits(member))


def _waits(member: Json) -> bool:
    return not member["authorized"] and not member["lastDeauthorizedTime"]


COMMANDS: Final = (bootstrap, authorize)
