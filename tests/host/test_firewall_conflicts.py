"""What others on the machine may do to the rules is found and told."""

import shutil
import subprocess
from dataclasses import replace
from ipaddress import ip_interface

import pytest

from tests.host.firewalled import OVERLAY, load, nft, sysctl
from tests.host.machine import ip
from ztlink.conditions import Condition, Status
from ztlink.host.firewall.wanted import FirewallSettings, Forwarding, Masquerade
from ztlink.host.overlay import Overlay

pytestmark = [pytest.mark.netadmin, pytest.mark.usefixtures("own_network")]

DENY = FirewallSettings()
THROUGH = FirewallSettings(from_overlay=Forwarding.ALLOW)
BOTH = replace(OVERLAY, addresses=(*OVERLAY.addresses, ip_interface("fd17::1/64")))
MASQUERADE = FirewallSettings(masquerade=Masquerade.ALL)


async def conflicts(
    settings: FirewallSettings = DENY, overlay: Overlay = OVERLAY
) -> dict[str, Condition]:
    """Return what is told beside the state of the rules themselves."""
    manager = await load(settings, overlay)
    await manager.check()
    own, *others = manager.conditions()
    assert own.status is Status.OK
    return {one.subject: one for one in others}


def have_chain(hook: str, *rules: str, policy: str = "accept", family: str = "inet") -> None:
    head = f"type filter hook {hook} priority 5; policy {policy};"
    body = "\n".join((head, *rules))
    nft("-f", "-", given=f"table {family} other {{\nchain they {{\n{body}\n}}\n}}\n")


# -- other tables --------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["inet", "ip", "ip6"])
@pytest.mark.parametrize("hook", ["prerouting", "input", "forward"])
async def test_another_chain_that_drops_by_default_is_told(hook: str, family: str) -> None:
    have_chain(hook, policy="drop", family=family)
    condition = (await conflicts())[f"{family} other they"]
    assert hook in condition.cause


async def test_a_conflict_does_not_keep_the_node_from_being_ready() -> None:
    have_chain("forward", policy="drop")
    (condition,) = (await conflicts()).values()
    assert (condition.status, condition.is_required) == (Status.UNKNOWN, False)


@pytest.mark.parametrize(
    "rule",
    [
        'iifname "zttest0" drop',
        'oifname "zt*" reject',
        'iifname { "lo", "zttest0" } counter drop',
        'iifname "zttest0" jump elsewhere',
    ],
)
async def test_a_rule_that_may_refuse_what_our_device_carries_is_told(rule: str) -> None:
    nft("-f", "-", given="table inet other { chain elsewhere { }; }\n")
    have_chain("forward", rule)
    assert "nft list chain inet other they" in (await conflicts())["inet other they"].remedy


@pytest.mark.parametrize(
    "rule",
    [
        'iifname "eth0" drop',
        'iifname "zttest0" accept',
        'iifname != "zttest0" drop',
        "tcp dport 1 drop",
    ],
)
async def test_rules_on_other_packets_are_not_told(rule: str) -> None:
    have_chain("forward", rule)
    assert await conflicts() == {}


async def test_a_chain_that_drops_what_the_machine_sends_is_not_told() -> None:
    have_chain("output", policy="drop")
    assert await conflicts() == {}


async def test_a_conflict_that_is_over_is_told_no_more_after_new_wishes() -> None:
    have_chain("forward", policy="drop")
    manager = await load(DENY)
    await manager.check()
    nft("delete table inet other")
    await manager.use(replace(DENY, clamp_mss=False))
    await manager.check()
    assert len(manager.conditions()) == 1


@pytest.fixture
def iptables() -> str:
    program = shutil.which("iptables-legacy")
    if program is None:
        pytest.skip("there is no iptables-legacy")
    done = subprocess.run((program, "-P", "FORWARD", "DROP"), capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("the kernel has no iptables")
    return program


async def test_rules_that_nft_does_not_show_are_told(iptables: str) -> None:
    condition = (await conflicts())["ip"]
    assert "iptables-legacy has the tables filter" in condition.cause


# -- Cilium --------------------------------------------------------------------------------------


async def test_cilium_is_found_by_its_device() -> None:
    ip("link", "add", "cilium_host", "type", "veth", "peer", "name", "cilium_net")
    condition = (await conflicts())["cilium"]
    assert condition.status is Status.UNKNOWN
    assert "bpf.hostLegacyRouting=true" in condition.remedy


# -- the kernel ----------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [THROUGH, MASQUERADE])
async def test_a_machine_that_does_not_forward_is_told(settings: FirewallSettings) -> None:
    sysctl("net.ipv4.ip_forward", 0)
    condition = (await conflicts(settings))["net.ipv4.ip_forward"]
    assert condition.status is Status.FAULT
    assert "sysctl -w net.ipv4.ip_forward=1" in condition.remedy


async def test_a_machine_that_does_not_forward_ipv6_is_told() -> None:
    sysctl("net.ipv4.ip_forward", 1)
    assert [*await conflicts(THROUGH, BOTH)] == ["net.ipv6.conf.all.forwarding"]


async def test_ipv6_does_not_matter_where_the_overlay_has_none() -> None:
    sysctl("net.ipv4.ip_forward", 1)
    assert await conflicts(THROUGH) == {}


async def test_a_machine_that_need_not_forward_may_leave_it() -> None:
    sysctl("net.ipv4.ip_forward", 0)
    assert await conflicts(DENY) == {}


async def test_a_machine_that_forwards_is_fine() -> None:
    sysctl("net.ipv4.ip_forward", 1)
    sysctl("net.ipv6.conf.all.forwarding", 1)
    assert await conflicts(THROUGH, BOTH) == {}


async def test_strict_filters_of_the_machine_are_told() -> None:
    sysctl("net.ipv4.ip_forward", 1)
    sysctl("net.ipv4.conf.all.rp_filter", 1)
    assert [*await conflicts(THROUGH)] == ["net.ipv4.conf.all.rp_filter"]
