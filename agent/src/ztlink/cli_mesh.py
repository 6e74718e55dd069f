"""`ztlink mesh-status`: who sees whom in a cluster, and what is wrong with what remedy."""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from ztlink.cli_options import json_option, say, show, table

if TYPE_CHECKING:
    from ztlink.mesh import Finding, NodeReport


@click.command("mesh-status")
@click.option("--namespace", default="zerotier-k8s-link", show_default=True)
@click.option("--release", default="zerotier-k8s-link", show_default=True, help="Helm's name.")
@click.option("--context", help="The context of the kubeconfig; else its current one.")
@json_option
def mesh_status(namespace: str, release: str, context: str | None, as_json: bool) -> None:
    """Ask every agent of a release, through kubectl; exit status 1 where something is wrong."""
    from ztlink.hosted.access import without_token
    from ztlink.kubectl import Kubectl, ask_agents
    from ztlink.mesh import findings, to_json

    options = ("--context", context) if context else ()
    kubectl = Kubectl(namespace, options, environment=without_token(os.environ))
    nodes = ask_agents(kubectl, release)
    found = findings(nodes, release)
    if as_json:
        show(to_json(nodes, found))
    else:
        _print(nodes, found)
    sys.exit(1 if found else 0)


def _print(nodes: "Sequence[NodeReport]", found: "Sequence[Finding]") -> None:
    from ztlink.mesh import unseen

    if nodes:
        _print_nodes(nodes)
        click.echo()
        _print_sights(nodes)
    if count := unseen(nodes):
        click.echo(f"\n{count} not seen yet: nodes meet at the first packet between them")
    click.echo()
    for one in found:
        say(f"{one.subject}: {one.message}")
        say(f"    {one.remedy}")
    if not found:
        click.echo(f"all {len(nodes)} nodes are well")


def _print_nodes(nodes: "Sequence[NodeReport]") -> None:
    head = ("<machine>", "<pod>", "<ztaddr>", "<online>", "<networks>", "<ips>")
    rows = []
    for node in nodes:
        online = "?" if node.status is None else "yes" if node.status["online"] else "no"
        networks = ",".join(f"{n['id']}={n['status']}" for n in node.networks) or "-"
        ips = ",".join(ip for n in node.networks for ip in n["assignedAddresses"]) or "-"
        rows.append((node.machine, node.pod, node.address or "-", online, networks, ips))
    table(head, rows)


def _print_sights(nodes: "Sequence[NodeReport]") -> None:
    """Print a row per node that looks, a column per node that is looked at."""
    from ztlink.mesh import view

    rows = [(one.machine, *(str(view(one, other)) for other in nodes)) for one in nodes]
    table(("<sees>", *(node.machine for node in nodes)), rows)


COMMANDS: Final = (mesh_status,)
