"""Commands for a running controller: networks and members."""

import json
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
from ztlink.client import Client

Json = dict[str, Any]


@click.group()
def network() -> None:
    """Steer the networks of this node's controller."""


@network.command("create")
@home_option
@json_option
@click.option("--name", default="", help="A name that members see.")
@click.option("--public", is_flag=True, help="Let in everybody who knows the id.")
@click.option("--range", "ranges", multiple=True, metavar="CIDR", help="Give out IPv4 addresses.")
@click.option("--rfc4193/--no-rfc4193", default=False, help="Give every member an RFC 4193 IPv6.")
@click.option("--sixplane/--no-sixplane", default=False, help="Give every member a /80 of IPv6.")
@click.option("--config", metavar="JSON", help="Further fields of the network, or @FILE.")
def create(
    home: Path,
    as_json: bool,
    name: str,
    public: bool,
    ranges: tuple[str, ...],
    rfc4193: bool,
    sixplane: bool,
    config: str | None,
) -> None:
    """Make a network and print its id."""
    body: Json = {
        "name": name,
        "private": not public,
        "v6AssignMode": {"zt": False, "rfc4193": rfc4193, "6plane": sixplane},
    }
    if ranges:
        body["routes"] = [{"target": cidr, "via": None} for cidr in ranges]
        body["ipAssignmentPools"] = [_pool(cidr) for cidr in ranges]
        body["v4AssignMode"] = {"zt": True}
    body |= _parse(config) if config else {}
    client = Client(home)
    address = client.get("/status")["address"]
    made = client.post(f"/controller/network/{address}______", body)
    if as_json:
        show(made)
    else:
        click.echo(made["nwid"])


def _pool(cidr: str) -> Json:
    from ipaddress import ip_network

    try:
        whole = ip_network(cidr)
    except ValueError as error:
        raise click.UsageError(f"--range: {error}") from error
    if whole.version != 4 or whole.prefixlen > 29:
        raise click.UsageError(f"--range: {cidr} is not an IPv4 range of at least 8 addresses")
    return {"ipRangeStart": str(whole[1]), "ipRangeEnd": str(whole[-2])}


def _parse(text: str) -> Json:
    try:
        body = json.loads(Path(text[1:]).read_text() if text.startswith("@") else text)
    except OSError as error:
        raise click.UsageError(f"cannot read {text[1:]}: {error.strerror}") from error
    except ValueError as error:
        raise click.UsageError(f"the fields are not JSON: {error}") from error
    if not isinstance(body, dict):
        raise click.UsageError("the fields are not a JSON object, such as '{\"mtu\": 2800}'")
    return body


@network.command("list")
@home_option
@json_option
def list_networks(home: Path, as_json: bool) -> None:
    """List the networks."""
    answer = Client(home).get("/unstable/controller/network")
    if as_json:
        show(answer["data"])
        return
    head = ("<nwid>", "<name>", "<type>", "<members>", "<authorized>")
    rows = [
        (
            n["nwid"],
            n["name"] or "-",
            "PRIVATE" if n["private"] else "PUBLIC",
            str(n["meta"]["totalMemberCount"]),
            str(n["meta"]["authorizedMemberCount"]),
        )
        for n in answer["data"]
    ]
    table(head, rows)


@network.command("show")
@click.argument("network_id", type=network_id_argument)
@home_option
def show_network(network_id: str, home: Path) -> None:
    """Show a network as JSON."""
    show(Client(home).get(f"/controller/network/{network_id}"))


@network.command("set")
@click.argument("network_id", type=network_id_argument)
@click.argument("config")
@home_option
def set_network(network_id: str, config: str, home: Path) -> None:
    """Change fields of a network: CONFIG is JSON, or @FILE."""
    show(Client(home).post(f"/controller/network/{network_id}", _parse(config)))


@network.command("delete")
@click.argument("network_id", type=network_id_argument)
@home_option
def delete_network(network_id: str, home: Path) -> None:
    """Delete a network; its members are cut off."""
    Client(home).delete(f"/controller/network/{network_id}")
    click.echo("200 delete OK")


@click.group()
def member() -> None:
    """Steer the members of a network."""


@member.command("list")
@click.argument("network_id", type=network_id_argument)
@home_option
@json_option
def list_members(network_id: str, home: Path, as_json: bool) -> None:
    """List the members of a network."""
    answer = Client(home).get(f"/unstable/controller/network/{network_id}/member")
    if as_json:
        show(answer["data"])
        return
    head = ("<ztaddr>", "<name>", "<authorized>", "<version>", "<ips>")
    rows = [
        (
            m["address"],
            m.get("name", "-"),
            "yes" if m["authorized"] else "no",
            f"{m['vMajor']}.{m['vMinor']}.{m['vRev']}" if m["vMajor"] >= 0 else "-",
            ",".join(m["ipAssignments"]) or "-",
        )
        for m in answer["data"]
    ]
    table(head, rows)


@member.command("show")
@click.argument("network_id", type=network_id_argument)
@click.argument("address", type=address_argument)
@home_option
def show_member(network_id: str, address: str, home: Path) -> None:
    """Show a member as JSON."""
    show(Client(home).get(f"/controller/network/{network_id}/member/{address}"))


def _change(home: Path, network_id: str, addresses: tuple[str, ...], body: Json) -> None:
    client = Client(home)
    for address in addresses:
        changed = client.post(f"/controller/network/{network_id}/member/{address}", body)
        state = "authorized" if changed["authorized"] else "not authorized"
        click.echo(f"200 {changed['address']} {state}")


@member.command()
@click.argument("network_id", type=network_id_argument)
@click.argument("addresses", nargs=-1, required=True, type=address_argument)
@home_option
def authorize(network_id: str, addresses: tuple[str, ...], home: Path) -> None:
    """Let nodes into a network, also ones that have not asked yet."""
    _change(home, network_id, addresses, {"authorized": True})


@member.command()
@click.argument("network_id", type=network_id_argument)
@click.argument("addresses", nargs=-1, required=True, type=address_argument)
@home_option
def deauthorize(network_id: str, addresses: tuple[str, ...], home: Path) -> None:
    """Cut nodes off a network."""
    _change(home, network_id, addresses, {"authorized": False})


@member.command("set")
@click.argument("network_id", type=network_id_argument)
@click.argument("address", type=address_argument)
@click.argument("config")
@home_option
def set_member(network_id: str, address: str, config: str, home: Path) -> None:
    """Change fields of a member: CONFIG is JSON, or @FILE."""
    show(Client(home).post(f"/controller/network/{network_id}/member/{address}", _parse(config)))


@member.command("delete")
@click.argument("network_id", type=network_id_argument)
@click.argument("address", type=address_argument)
@home_option
def delete_member(network_id: str, address: str, home: Path) -> None:
    """Forget a member; it is back, unauthorised, when it asks again."""
    Client(home).delete(f"/controller/network/{network_id}/member/{address}")
    click.echo("200 delete OK")


COMMANDS: Final = (network, member)
