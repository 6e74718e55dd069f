"""What is left after a cleanup (`cli_cleanup`): what was there before."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.host.machine import bring_up, devices, ip
from tests.host.routed import MEMBER, NAME, NETWORK, Device, declare, device, made, rules, settings
from ztlink.cli import EXIT_REFUSED, main
from ztlink.drivers.tap import Tap
from ztlink.host.cleanup import Removed, remove_all
from ztlink.host.desired import HostRoute
from ztlink.host.firewall.manager import FirewallManager
from ztlink.host.firewall.wanted import FirewallSettings
from ztlink.host.netlink import Netlink
from ztlink.host.plan import Plan
from ztlink.host.routes.manager import RouteManager
from ztlink.host.routes.others import MARK
from ztlink.ids import format_network_id

pytestmark = [pytest.mark.netadmin, pytest.mark.usefixtures("own_network")]

LISTINGS = (
    ("address",),
    ("-4", "route", "show", "table", "all"),
    ("-6", "route", "show", "table", "all"),
    ("-4", "rule"),
    ("-6", "rule"),
    ("neigh", "show", "nud", "permanent"),
)


def listing() -> str:
    """Return all that is told of addresses, routes, rules, neighbours and the firewall."""
    ruleset = subprocess.run(
        ("nft", "list", "ruleset"), capture_output=True, text=True, check=True
    ).stdout
    return "\n".join((*(ip(*what) for what in LISTINGS), ruleset))


def nft(commands: str) -> None:
    """Load rules."""
    subprocess.run(("nft", commands), check=True)


@pytest.fixture
def before() -> str:
    """A machine with a network card, routes and rules of its own, as it was before."""
    # Else a device's own address is listed as tentative first, and as settled a second later.
    Path("/proc/sys/net/ipv6/conf/default/accept_dad").write_text("0")
    ip("link", "add", "eth0", "type", "bridge")
    ip("link", "set", "eth0", "addrgenmode", "none")  # an address that comes late is none of ours
    ip("link", "set", "eth0", "up")
    ip("address", "add", "172.18.0.2/16", "dev", "eth0")
    ip("route", "add", "10.66.0.0/16", "via", "172.18.0.3", "proto", "static")
    nft("add table inet filter; add chain inet filter input { type filter hook input priority 0; }")
    ip("rule", "add", "priority", "5000", "to", "10.66.0.0/16", "lookup", "main")
    return listing()


@pytest.fixture
def port(before: str) -> Iterator[Device]:
    """A device as an agent makes it that keeps its devices."""
    with device() as made:
        netlink = Netlink()
        netlink.mark(NAME, f"{MARK}{format_network_id(NETWORK)}")
        managed = HostRoute(made.overlay.addresses[0].network.supernet(new_prefix=16))
        netlink.apply(NAME, Plan(add_routes=(managed,)))
        netlink.close()
        made.tap.persist(True)
        yield made


def use_all(port: Device) -> None:
    """Make all that can be declared, and end as if killed."""
    asyncio.run(_use_all(port))


async def _use_all(port: Device) -> None:
    wanted = settings(
        declare(),
        declare("10.21.0.0/16", member=MEMBER),
        declare("fd77::/48", via=None),
        declare("10.22.0.0/16", table=400),
        table=300,
    )
    manager = RouteManager(wanted)
    await manager.follow({NETWORK: port.overlay})
    await manager.close(keep=True)
    firewall = FirewallManager()
    await firewall.use(FirewallSettings())
    await firewall.follow({NETWORK: port.overlay})
    await firewall.close(True)


def run_cleanup() -> Result:
    return CliRunner().invoke(main, ["cleanup"])


def test_a_cleanup_leaves_what_was_there_before(before: str, port: Device) -> None:
    use_all(port)
    assert listing() != before
    port.tap.close()
    result = run_cleanup()
    assert (result.exit_code, listing()) == (0, before)


def test_what_was_removed_is_said(port: Device) -> None:
    use_all(port)
    port.tap.close()
    assert run_cleanup().output == (
        f"removed the device {NAME}, with its addresses\n"
        "removed routes: 5\n"
        "removed rules: 2\n"
        "removed next hops: 1\n"
        "removed the firewall's table ztlink\n"
    )


def test_where_there_is_nothing_that_is_said() -> None:
    assert run_cleanup().output == "there was nothing of ours\n"


def test_while_an_agent_runs_nothing_is_done(port: Device) -> None:
    use_all(port)
    now = listing()
    result = run_cleanup()
    assert (result.exit_code, listing()) == (EXIT_REFUSED, now)
    assert f"an agent is running and holds the device {NAME}: stop it first" in result.output
    port.tap.persist(False)


def test_devices_of_others_stay() -> None:
    other = Tap("zttest7")
    bring_up(other)
    assert remove_all() == Removed()
    assert "zttest7" in devices()
    other.close()


def test_routes_without_a_device_of_ours_are_found_by_their_number(before: str) -> None:
    ip("route", "add", "10.20.0.0/16", "dev", "eth0", "proto", "91")
    ip("rule", "add", "priority", "9000", "lookup", "300", "protocol", "91")
    assert (len(made()), rules()) == (1, [(9000, "300")])
    run_cleanup()
    assert listing() == before
