"""`ztlink bootstrap`: a command for a cluster with a controller of its own."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from ztlink.kube.bootstrap import Outcome
    from ztlink.settings import BootstrapSettings, ClusterAccess


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

    async with KubeClient(access, lambda: read_clock().mono, random_bytes) as api:
        return await Bootstrap(api, settings, random_bytes, read_clock).run()


COMMANDS: Final = (bootstrap,)
