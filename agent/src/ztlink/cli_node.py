"""Commands for a running node: join, leave, status, peers, networks."""

import os
import sys
import time
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import click

from ztlink.cli_options import home_option, json_option, network_id_argument, say, show, table
from ztlink.client import Client, RefusedError
from ztlink.host.dns.entries import coredns_stub, usable
from ztlink.printable import printable

POLL_INTERVAL: Final = 0.1
SERVICE_HOST: Final = "KUBERNETES_SERVICE_HOST"
"""It is there in every pod."""
Json = dict[str, Any]


@click.command()
@click.argument("network_id", type=network_id_argument)
@home_option
@json_option
@click.option("--wait", is_flag=True, help="Return when the network is OK.")
@click.option("--timeout", default=60.0, show_default=True, help="Seconds to wait at most.")
def join(network_id: str, home: Path, as_json: bool, wait: bool, timeout: float) -> None:
    """Join a network by its 16-digit id."""
    client = Client(home)
    network = client.post(f"/network/{network_id}")
    if wait:
        network = _wait(client, network_id, timeout)
    if as_json:
        show(network)
    else:
        say(f"200 join OK: {network['status']} {_addresses(network)}")


def _wait(client: Client, network_id: str, timeout: float) -> Json:
    """Poll until the network is OK, and tell what it waits for."""
    deadline = time.clock_gettime(time.CLOCK_BOOTTIME) + timeout
    told = ""
    while True:
        network: Json = client.get(f"/network/{network_id}")
        if network["status"] == "OK":
            _progress(told, "")
            return network
        told = _progress(told, f"{network['status']}: {network['statusReason']}")
        if time.clock_gettime(time.CLOCK_BOOTTIME) >= deadline:
            _progress(told, "")
            reason = network["statusReason"]
            raise RefusedError(408, f"not joined after {timeout:g} s: {reason}")
        time.sleep(POLL_INTERVAL)


def _progress(told: str, text: str) -> str:
    """Show one line in place on a terminal, a line per change elsewhere."""
    if text == told:
        return told
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{printable(text)}", err=True, nl=False)
    elif text:
        say(text, err=True)
    return text


@click.command()
@click.argument("network_id", type=network_id_argument)
@home_option
@json_option
def leave(network_id: str, home: Path, as_json: bool) -> None:
    """Leave a network."""
    answer = Client(home).delete(f"/network/{network_id}")
    if not answer:
        raise RefusedError(404, f"{network_id} was not joined: 'ztlink networks' lists what is")
    if as_json:
        show(answer)
    else:
        click.echo("200 leave OK")


@click.command()
@home_option
@json_option
def status(home: Path, as_json: bool) -> None:
    """Show the node itself, and the name servers of its networks.

    In a pod, with the server block by which a cluster's CoreDNS asks these servers.
    """
    client = Client(home)
    node = client.get("/status")
    if as_json:
        show(node)
        return
    online = "ONLINE" if node["online"] else "OFFLINE"
    say(f"200 info {node['address']} {node['version']} {online}")
    for network in client.get("/network"):
        _show_name_servers(network)


def _show_name_servers(network: Json) -> None:
    told = network.get("dns") or {}
    servers = [ip_address(one) for one in told.get("servers", ())]
    if not servers:
        return
    found = usable(told["domain"], servers)
    shown = ",".join(map(str, servers))
    if found is None:
        say(f"200 dns {network['nwid']} - {shown} (of no domain: nobody asks them)")
        return
    say(f"200 dns {network['nwid']} {found.domain} {shown}")
    if SERVICE_HOST in os.environ:
        click.echo(coredns_stub(found), nl=False)


@click.command()
@home_option
@json_option
def peers(home: Path, as_json: bool) -> None:
    """Show who is known, and how they are reached."""
    client = Client(home)
    found = client.get("/peer")
    if as_json:
        show(found)
        return
    clock = client.get("/status")["clock"]
    head = ("<ztaddr>", "<ver>", "<role>", "<lat>", "<link>", "<lastTX>", "<lastRX>", "<path>")
    table(head, [_peer_row(peer, clock) for peer in found])


def _peer_row(peer: Json, clock: int) -> tuple[str, ...]:
    best = next((path for path in peer["paths"] if path["preferred"]), None)
    version = peer["version"] if peer["versionMajor"] >= 0 else "-"
    row = (peer["address"], version, peer["role"], str(peer["latency"]))
    if best is None:
        return (*row, "RELAY", "-", "-", "-")
    sent, received = clock - best["lastSend"], clock - best["lastReceive"]
    return (*row, "DIRECT", str(sent), str(received), best["address"])


@click.command()
@home_option
@json_option
def networks(home: Path, as_json: bool) -> None:
    """Show the networks that were joined."""
    found = Client(home).get("/network")
    if as_json:
        show(found)
        return
    head = ("<nwid>", "<name>", "<mac>", "<status>", "<type>", "<dev>", "<ZT assigned ips>")
    table(head, [_network_row(network) for network in found])
    for network in found:
        if network["status"] != "OK":
            say(f"{network['nwid']}: {network['statusReason']}")


def _network_row(network: Json) -> tuple[str, ...]:
    return (
        network["nwid"],
        network["name"] or "-",
        network["mac"],
        network["status"],
        network["type"],
        network["portDeviceName"] or "-",
        _addresses(network),
    )


def _addresses(network: Json) -> str:
    return ",".join(network["assignedAddresses"]) or "-"


COMMANDS: Final = (join, leave, status, peers, networks)
