"""What the YAML says of the firewall, and what is wrong in it."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from ztlink.config.file import read_settings
from ztlink.config.firewall import FirewallEntry, of_agent
from ztlink.errors import ConfigError
from ztlink.host.firewall.wanted import (
    FirewallSettings,
    Forwarding,
    HttpGuard,
    Masquerade,
    PortRange,
    Protocol,
    Service,
)
from ztlink.ids import NetworkId
from ztlink.settings import Settings

ID = "8056c2e21c000001"
PODS = ip_network("10.42.0.0/16")
NODES = ip_network("192.168.0.0/16")
CLUSTER = "cluster: {nodeCidrs: [192.168.0.0/16], podCidrs: [10.42.0.0/16]}"


def read(tmp_path: Path, text: str) -> FirewallSettings | None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    return read_settings(file, {}).firewall


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    return str(caught.value)


def test_a_file_that_says_nothing_of_it_wants_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, "") is None


def test_an_agent_has_one_where_its_file_says_nothing_of_it() -> None:
    assert of_agent(Settings()).firewall == FirewallSettings()


def test_an_agent_s_default_is_what_an_empty_section_means(tmp_path: Path) -> None:
    (file := tmp_path / "config.yaml").write_text(CLUSTER)
    wanted = of_agent(read_settings(file, {})).firewall
    assert wanted == read(tmp_path, f"{CLUSTER}\nfirewall: {{}}")
    assert wanted == FirewallSettings(inside=(PODS,), http=HttpGuard(9994, (NODES, PODS)))


def test_an_agent_has_none_where_its_file_says_so() -> None:
    settings = Settings(firewall=FirewallSettings(is_enabled=False))
    assert of_agent(settings) == settings


def test_an_empty_section_is_the_default(tmp_path: Path) -> None:
    assert read(tmp_path, "firewall: {}") == FirewallSettings()


def test_it_may_be_switched_off(tmp_path: Path) -> None:
    assert read(tmp_path, "firewall: {enabled: false}") == FirewallSettings(is_enabled=False)


def test_all_of_it_can_be_said(tmp_path: Path) -> None:
    text = f"""
        http: {{port: 9999}}
        firewall:
          allow:
            - {{name: web, protocol: tcp, ports: [80, "8000-8100"], from: [10.42.0.0/16]}}
            - {{protocol: icmp, networks: ["{ID}"]}}
          exclusive: [{{port: 5432}}, {{port: 53, protocol: udp, name: dns}}]
          forward: {{fromOverlay: declared, toOverlay: deny, inside: [10.42.0.0/16],
                    outside: [192.168.0.0/16]}}
          masquerade: outsideDeclared
          clampMss: false
          httpFrom: [192.168.0.0/16]
          tableSuffix: two
    """
    assert read(tmp_path, text) == FirewallSettings(
        services=(
            Service(Protocol.TCP, (PortRange(80, 80), PortRange(8000, 8100)), "web", (PODS,)),
            Service(Protocol.ICMP, networks=(NetworkId(int(ID, 16)),)),
        ),
        exclusive=(
            Service(Protocol.TCP, (PortRange(5432, 5432),)),
            Service(Protocol.UDP, (PortRange(53, 53),), "dns"),
        ),
        from_overlay=Forwarding.DECLARED,
        to_overlay=Forwarding.DENY,
        inside=(PODS,),
        masquerade=Masquerade.OUTSIDE_DECLARED,
        outside=(NODES,),
        clamp_mss=False,
        http=HttpGuard(9999, (NODES,)),
        table="ztlink-two",
    )


def test_nobody_guards_a_port_that_is_not_there(tmp_path: Path) -> None:
    settings = read(tmp_path, "{http: {enabled: false}, firewall: {httpFrom: []}}")
    assert settings == FirewallSettings()


def test_the_http_port_may_be_for_loopback_alone(tmp_path: Path) -> None:
    settings = read(tmp_path, "firewall: {httpFrom: []}")
    assert settings == FirewallSettings(http=HttpGuard(9994, ()))


def test_the_cluster_may_reach_the_http_port_where_nothing_else_is_said() -> None:
    settings = FirewallEntry().settings(http_port=9994, near=(NODES,))
    assert settings.http == HttpGuard(9994, (NODES,))


def test_what_is_said_wins_over_the_cluster() -> None:
    settings = FirewallEntry(http_from=[]).settings(http_port=9994, near=(NODES,))
    assert settings.http == HttpGuard(9994, ())


def test_pods_and_declared_routes_are_added_to_what_is_said() -> None:
    settings = FirewallEntry().settings(inside=(PODS,), outside=(NODES,))
    assert (settings.inside, settings.outside) == ((PODS,), (NODES,))


@pytest.mark.parametrize(
    ("section", "complaint"),
    [
        ("allow: [{}]", "firewall.allow[0].protocol: is missing"),
        (
            "allow: [{protocol: tpc}]",
            "firewall.allow[0].protocol: 'tpc': should be 'tcp', 'udp', 'icmp' or 'any'",
        ),
        (
            "allow: [{protocol: tcp, ports: [0]}]",
            'firewall.allow[0].ports[0]: 0: should be a port, or a range such as "8000-8100"',
        ),
        ('allow: [{protocol: tcp, ports: ["80-70"]}]', "firewall.allow[0].ports[0]: '80-70'"),
        ('allow: [{protocol: tcp, ports: ["80-"]}]', "firewall.allow[0].ports[0]: '80-'"),
        ("allow: [{protocol: tcp, ports: [true]}]", "firewall.allow[0].ports[0]: True"),
        ("allow: [{protocol: tcp, ports: [65536]}]", "firewall.allow[0].ports[0]: 65536"),
        ("allow: [{protocol: icmp, ports: [1]}]", "firewall.allow[0]: icmp has no ports"),
        (
            "allow: [{protocol: tcp, from: [10.1.2.3/24]}]",
            "firewall.allow[0].from[0]: '10.1.2.3/24': has bits behind its prefix: "
            "should be 10.1.2.0/24",
        ),
        (
            "allow: [{protocol: tcp, from: [peer]}]",
            "firewall.allow[0].from[0]: 'peer': should be a range of addresses",
        ),
        ("allow: [{protocol: tcp, networks: [12]}]", "firewall.allow[0].networks[0]: 12"),
        (
            "allow: [{protocol: tcp, name: 'a\"b'}]",
            "firewall.allow[0].name: 'a\"b': should be at most 63 letters",
        ),
        ("exclusive: [{port: 0}]", "firewall.exclusive[0].port: 0"),
        ("exclusive: [{port: 5432, protocol: icmp}]", "firewall.exclusive[0].protocol: 'icmp'"),
        (
            "forward: {fromoverlay: deny}",
            "firewall.forward.fromoverlay: is not a key here: did you mean fromOverlay?",
        ),
        (
            "forward: {fromOverlay: some}",
            "firewall.forward.fromOverlay: 'some': should be 'deny', 'declared' or 'allow'",
        ),
        ("masquerade: true", "firewall.masquerade: True: should be 'none', 'outsideDeclared'"),
        ("httpFrom: [7]", "firewall.httpFrom[0]: 7: should be a range of addresses"),
        ("tableSuffix: Two", "firewall.tableSuffix: 'Two': should be at most 32 small letters"),
    ],
)
def test_a_mistake_is_named_with_what_would_be_right(
    tmp_path: Path, section: str, complaint: str
) -> None:
    assert complaint in refusal(tmp_path, f"firewall: {{{section}}}")
