"""The rules as text; tests/host/test_firewall.py shows what they do."""

from ipaddress import ip_network

import pytest

from ztlink.host.firewall.render import COUNTERS, render
from ztlink.host.firewall.rows import MEANINGS
from ztlink.host.firewall.wanted import (
    FirewallSettings,
    Forwarding,
    Guarded,
    HttpGuard,
    Masquerade,
    PortRange,
    Protocol,
    Service,
)
from ztlink.ids import NetworkId

ONE = Guarded(NetworkId(1), "zt0", (ip_network("10.42.0.0/16"),))
TWO = Guarded(NetworkId(2), "zt1")
WEB = Service(Protocol.TCP, (PortRange(80, 80),), "web")
DATABASE = Service(Protocol.TCP, (PortRange(5432, 5432),), "db")

DEFAULT = """\
add table inet ztlink
delete table inet ztlink
table inet ztlink {
	counter before_dnat { }
	counter input { }
	counter forward { }
	counter exclusive { }
	counter http { }
	set overlay {
		type ifname
		elements = { "zt0" }
	}
	set inside4 { type ipv4_addr; flags interval; }
	set inside6 { type ipv6_addr; flags interval; }
	set outside4 { type ipv4_addr; flags interval; }
	set outside6 { type ipv6_addr; flags interval; }

	# before others translate destinations
	chain prerouting {
		type filter hook prerouting priority -110; policy accept;
		iifname @overlay goto arriving
	}

	# what is for this machine
	chain input {
		type filter hook input priority 0; policy accept;
		iifname @overlay goto to_host
	}

	# what passes through it
	chain forward {
		type filter hook forward priority 0; policy accept;
		iifname @overlay tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
		oifname @overlay tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
		iifname @overlay ct state established,related accept
		oifname @overlay ct state established,related accept
		iifname @overlay jump vital
		iifname @overlay jump inward
		oifname @overlay jump vital
		oifname @overlay jump outward
	}

	# from the overlay, as the peer named it
	chain arriving {
		ct state established,related accept
		jump vital
		fib daddr type local jump services
		fib daddr type local counter name before_dnat drop
		fib daddr type { broadcast, multicast } accept
		jump inward
	}

	# from the overlay, once more
	chain to_host {
		ct state established,related accept
		jump vital
		ct status dnat accept
		jump services
		counter name input drop
	}

	# without these nothing works
	chain vital {
		icmp type { destination-unreachable, time-exceeded, parameter-problem } accept
		icmpv6 type { destination-unreachable, time-exceeded, parameter-problem } accept
		icmpv6 type packet-too-big accept
		icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit 255 accept
	}

	# what the overlay may reach here
	chain services {
	}

	# to what is behind
	chain inward {
		iifname @overlay ct status dnat return
		counter name forward drop
	}

	# into the overlay
	chain outward {
	}

	# refused on all other devices
	chain elsewhere {
	}
}
"""


def chain(name: str, settings: FirewallSettings, *devices: Guarded) -> list[str]:
    """Return the rules of one chain."""
    text = render(settings, devices or (ONE, TWO))
    body = text.partition(f"chain {name} {{\n")[2].partition("\t}\n")[0]
    return [line.strip() for line in body.splitlines()]


def elements(name: str, settings: FirewallSettings, *devices: Guarded) -> str:
    text = render(settings, devices)
    return text.partition(f"set {name} {{")[2].partition("elements = { ")[2].partition(" }")[0]


def test_without_wishes_everything_from_the_overlay_is_refused() -> None:
    assert render(FirewallSettings(), [ONE]) == DEFAULT


def test_the_table_may_have_another_name() -> None:
    text = render(FirewallSettings(table="ztlink-two"), [])
    assert text.startswith("add table inet ztlink-two\ndelete table inet ztlink-two\ntable inet")


def test_devices_have_an_order_of_their_own() -> None:
    assert render(FirewallSettings(), [ONE, TWO]) == render(FirewallSettings(), [TWO, ONE])


def test_a_service_is_accepted_under_its_name() -> None:
    rules = chain("services", FirewallSettings(services=(WEB,)))
    assert rules == ['tcp dport { 80 } accept comment "web"']


def test_an_exclusive_port_is_a_service_of_the_overlay() -> None:
    rules = chain("services", FirewallSettings(exclusive=(DATABASE,)))
    assert rules == ['tcp dport { 5432 } accept comment "db"']


def test_an_exclusive_port_is_refused_elsewhere() -> None:
    rules = chain("elsewhere", FirewallSettings(exclusive=(DATABASE,)))
    assert rules == ['tcp dport { 5432 } counter name exclusive drop comment "db"']


def test_what_is_elsewhere_is_judged_before_and_after_translation() -> None:
    settings = FirewallSettings(exclusive=(DATABASE,))
    for hook in ("prerouting", "input"):
        assert chain(hook, settings)[-1].endswith("jump elsewhere")


def test_the_http_port_is_guarded_for_both_families() -> None:
    sources = (ip_network("192.168.0.0/16"), ip_network("fd00::/8"))
    assert chain("elsewhere", FirewallSettings(http=HttpGuard(9994, sources))) == [
        "tcp dport 9994 ip saddr { 192.168.0.0/16 } return",
        "tcp dport 9994 ip6 saddr { fd00::/8 } return",
        "tcp dport 9994 counter name http drop",
    ]


def test_the_http_port_may_be_for_loopback_alone() -> None:
    rules = chain("elsewhere", FirewallSettings(http=HttpGuard(9994, ())))
    assert rules == ["tcp dport 9994 counter name http drop"]


def test_all_that_comes_in_may_pass() -> None:
    assert chain("inward", FirewallSettings(from_overlay=Forwarding.ALLOW)) == []


def test_what_is_declared_is_judged_by_its_destination_inward() -> None:
    rules = chain("inward", FirewallSettings(from_overlay=Forwarding.DECLARED))
    assert rules[1:3] == ["ip daddr @inside4 return", "ip6 daddr @inside6 return"]


def test_what_is_declared_is_judged_by_its_source_outward() -> None:
    rules = chain("outward", FirewallSettings(to_overlay=Forwarding.DECLARED))
    assert rules[1:3] == ["ip saddr @inside4 return", "ip6 saddr @inside6 return"]


def test_networks_inside_others_are_named_once() -> None:
    inside = (ip_network("10.42.3.0/24"), ip_network("10.42.0.0/16"), ip_network("10.43.0.0/16"))
    assert elements("inside4", FirewallSettings(inside=inside)) == "10.42.0.0/15"


def test_without_masquerade_there_is_no_chain_that_translates() -> None:
    assert "type nat" not in render(FirewallSettings(), [ONE])


def test_all_is_masqueraded_without_exception() -> None:
    assert chain("masquerading", FirewallSettings(masquerade=Masquerade.ALL)) == ["masquerade"]


def test_who_knows_the_way_back_is_an_exception() -> None:
    settings = FirewallSettings(masquerade=Masquerade.OUTSIDE_DECLARED)
    assert chain("masquerading", settings) == [
        "ip daddr @outside4 return",
        "ip6 daddr @outside6 return",
        'oifname "zt0" ip saddr { 10.42.0.0/16 } return',
        "masquerade",
    ]


def test_segments_are_not_clamped_where_that_is_not_wanted() -> None:
    assert "maxseg" not in render(FirewallSettings(clamp_mss=False), [ONE])


@pytest.mark.parametrize("name", ["zt*", 'a"b', "a\\b", "sixteen-letters-"])
def test_a_device_name_that_would_mean_something_else_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be written in a rule"):
        render(FirewallSettings(), [Guarded(NetworkId(1), name)])


def test_what_is_counted_has_a_meaning() -> None:
    assert tuple(MEANINGS) == COUNTERS
