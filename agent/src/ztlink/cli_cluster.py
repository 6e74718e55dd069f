"""`ztlink bootstrap` and `ztlink retire`: what the chart's Jobs run."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from ztlink.kube.bootstrap import Outcome
    from ztlink.kube.retire import Outcome as Retired
    from ztlink.settings import BootstrapSettings, ClusterAccess, RetireSettings


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

    from ztlink.cluster_files import cluster_access, read_bootstrap

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


@click.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="A YAML file that names the agents, their ConfigMap and where they serve health.",
)
def retire(config: Path) -> None:
    """Have a release's agents take everything away when they end, as it is about to go.

    Agents that do not follow in time are named, with what takes away what they leave; the exit
    status is 0 then, too, lest one node that is away keep the release from being removed.
    """
    import asyncio

    from ztlink.cluster_files import cluster_access, read_retire

    settings = read_retire(config)
    outcome = asyncio.run(_retire(settings, cluster_access()))
    nodes = ", ".join(one.node for one in outcome.following)
    click.echo(f"agents that take everything away when they end: {nodes or 'none'}")
    if not outcome.is_complete:
        click.echo(_complaint(outcome, settings), err=True)


def _complaint(outcome: "Retired", settings: "RetireSettings") -> str:
    lines = [f"WARNING: not all followed within {settings.patience:g} s:"]
    lines += [f"  {one.node} ({one.pod}): {one.complaint}" for one in outcome.others]
    if outcome.missing:
        lines.append(f"  nodes that should have an agent, and have no pod: {outcome.missing}")
    lines.append(
        "The network's device, addresses, routes and the firewall's table may stay on these nodes. "
        "When the release is gone, and a node is back, this takes them away:"
    )
    command = (
        f"kubectl -n {settings.namespace} debug node/NODE --profile=sysadmin"
        f" --image={settings.image or 'IMAGE'} -- ztlink cleanup"
    )
    return "\n".join([*lines, f"  {command}"])


async def _retire(settings: "RetireSettings", access: "ClusterAccess") -> "Retired":
    from ztlink.drivers.chance import random_bytes
    from ztlink.drivers.clock import read_clock
    from ztlink.kube.client import KubeClient
    from ztlink.kube.healths import HealthClient
    from ztlink.kube.retire import Retirement

    def mono() -> float:
        return read_clock().mono

    async with (
        KubeClient(access, mono, random_bytes, patience=settings.patience) as api,
        HealthClient(settings.health_port or 0) as healths,
    ):
        return await Retirement(api, healths, settings, mono).run()


COMMANDS: Final = (bootstrap, retire)
