"""`ztlink authorize`: let nodes into a network, at the controller here or at one elsewhere."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ztlink.cli_options import (
    address_argument,
    home_option,
    json_option,
    network_id_argument,
    say,
    show,
    table,
)
from ztlink.client import Client, RefusedError

if TYPE_CHECKING:
    from ztlink.hosted.access import HostedAccess

Json = dict[str, Any]

ALREADY: Final = "was authorized already"
DONE: Final = "authorized"
WOULD: Final = "would be authorized"
NOT_TRIED: Final = "not tried"


@dataclass(slots=True)
class Work:
    """Whom to let in, and what came of it."""

    network_id: str
    is_dry: bool
    machines: dict[str, str]
    """By address: the cluster's node that it is, or nothing."""
    results: dict[str, str] = field(default_factory=dict)

    def is_due(self, address: str, is_authorized: bool | None) -> bool:
        """Say whether a member is to be let in now; note why, where it is not."""
        if is_authorized:
            self.results[address] = ALREADY
        elif self.is_dry:
            self.results[address] = WOULD + _unasked(is_authorized)
        return not is_authorized and not self.is_dry

    def note_done(self, address: str, is_authorized: bool | None) -> None:
        """Note that a member was let in; `is_authorized` is what it was before."""
        self.results[address] = DONE + _unasked(is_authorized)

    def rows(self) -> Iterator[tuple[str, str, str]]:
        for address, machine in self.machines.items():
            yield address, machine, self.results.get(address, NOT_TRIED)


def _unasked(is_authorized: bool | None) -> str:
    return ", has not asked yet" if is_authorized is None else ""


@click.command()
@click.argument("network_id", type=network_id_argument)
@click.argument("addresses", nargs=-1, type=address_argument)
@click.option("--all-waiting", is_flag=True, help="All that have asked and were never shut out.")
@click.option("--agents", is_flag=True, help="All agents of a release, asked through kubectl.")
@click.option("--namespace", default="zerotier-k8s-link", show_default=True)
@click.option("--release", default="zerotier-k8s-link", show_default=True, help="Helm's name.")
@click.option("--context", help="The context of the kubeconfig; else its current one.")
@click.option(
    "--api",
    envvar="ZEROTIER_API_URL",
    help="`central`, or the URL of a controller elsewhere; else the controller of --home.",
)
@click.option("--dry-run", is_flag=True, help="Look, and change nothing.")
@json_option
@home_option
def authorize(
    network_id: str,
    addresses: tuple[str, ...],
    all_waiting: bool,
    agents: bool,
    namespace: str,
    release: str,
    context: str | None,
    api: str | None,
    dry_run: bool,
    as_json: bool,
    home: Path,
) -> None:
    """Let nodes into a network, also ones that have not asked yet.

    With --api the token comes by ZEROTIER_API_TOKEN, or in the file that ZEROTIER_API_TOKEN_FILE
    names: one of ZeroTier Central's, or what is in a controller's authtoken.secret.
    """
    if not (addresses or all_waiting or agents):
        raise click.UsageError("name nodes by their addresses, or say --all-waiting or --agents")
    if all_waiting and api:
        raise click.UsageError("--all-waiting is for the controller of --home: name the nodes")
    machines = dict.fromkeys(addresses, "")
    silent: Sequence[str] = ()
    if agents:
        found, silent = _ask_agents(namespace, release, context)
        machines |= found
    if all_waiting:
        machines = dict.fromkeys(_waiting(Client(home), network_id), "") | machines
    work = Work(network_id, dry_run, machines)
    with _told(work, as_json):
        if api:
            _at_api(work, api)
        else:
            _here(work, Client(home))
    for line in silent:
        say(line, err=True)
    sys.exit(1 if silent else 0)


@contextmanager
def _told(work: Work, as_json: bool) -> Iterator[None]:
    """Tell what was done, also where an error has ended it half way."""
    try:
        yield
    finally:
        _print(list(work.rows()), as_json)


def _print(rows: list[tuple[str, str, str]], as_json: bool) -> None:
    if as_json:
        names = ("address", "machine", "result")
        show([dict(zip(names, row, strict=True)) for row in rows])
    elif not rows:
        click.echo("nobody waits")
    elif any(machine for _, machine, _ in rows):
        table(("<ztaddr>", "<machine>", "<result>"), rows)
    else:
        table(("<ztaddr>", "<result>"), [(address, result) for address, _, result in rows])


def _ask_agents(
    namespace: str, release: str, context: str | None
) -> tuple[dict[str, str], list[str]]:
    """Return the agents' machines by address, and a sentence for each that does not answer."""
    from ztlink.hosted.access import without_token
    from ztlink.kubectl import Kubectl, KubectlError, ask_agents

    options = ("--context", context) if context else ()
    kubectl = Kubectl(namespace, options, environment=without_token(os.environ))
    reports = ask_agents(kubectl, release)
    if not reports:
        raise KubectlError(f"no agent of release {release} is in namespace {namespace}")
    machines = {report.address: report.machine for report in reports if report.address}
    silent = [
        f"{report.machine}: the pod {report.pod} is {report.phase} and does not answer, so its"
        f" address is not known: {report.trouble}"
        for report in reports
        if not report.address
    ]
    return machines, silent


# -- the controller here


def _here(work: Work, client: Client) -> None:
    network = f"/controller/network/{work.network_id}"
    client.get(network)  # complains where there is none
    for address in work.machines:
        member = f"{network}/member/{address}"
        before = _is_authorized(client, member)
        if work.is_due(address, before):
            client.post(member, {"authorized": True})
            work.note_done(address, before)


def _is_authorized(client: Client, path: str) -> bool | None:
    try:
        return bool(client.get(path)["authorized"])
    except RefusedError as error:
        if error.status != 404:
            raise
        return None


def _waiting(client: Client, network_id: str) -> tuple[str, ...]:
    answer = client.get(f"/unstable/controller/network/{network_id}/member")
    return tuple(member["address"] for member in answer["data"] if _waits(member))


def _waits(member: Json) -> bool:
    return not member["authorized"] and not member["lastDeauthorizedTime"]


# -- a controller elsewhere


def _at_api(work: Work, api: str) -> None:
    import asyncio

    from ztlink.hosted.access import read_access

    access = read_access(api, os.environ)
    if access.is_exposed:
        click.echo(f"ztlink: {access.url} is not https: the token goes there in clear", err=True)
    asyncio.run(_authorize_at(work, access))


async def _authorize_at(work: Work, access: "HostedAccess") -> None:
    from ztlink.drivers.chance import random_bytes
    from ztlink.drivers.clock import read_clock
    from ztlink.hosted.client import HostedClient

    def read_time() -> float:
        return read_clock().mono

    async with HostedClient(access, work.network_id, read_time, random_bytes) as api:
        await api.check_network()
        for address in work.machines:
            before = await api.is_authorized(address)
            if work.is_due(address, before):
                await api.authorize(address)
                work.note_done(address, before)


COMMANDS: Final = (authorize,)
