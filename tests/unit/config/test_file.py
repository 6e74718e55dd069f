"""What the file of a node means, and what is wrong in one."""

from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path

import pytest

from ztlink.config.file import read_settings
from ztlink.errors import ConfigError
from ztlink.host.desired import Policy
from ztlink.ids import NetworkId
from ztlink.settings import DeclaredNetwork, HttpSettings, LogSettings, Membership, Settings

ID = "112972485d000001"
NUMBER = NetworkId(0x112972485D000001)


def read(tmp_path: Path, text: str, environment: Mapping[str, str] | None = None) -> Settings:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    return read_settings(file, {"NODE_NAME": "worker-1", **(environment or {})})


def refusal(tmp_path: Path, text: str, environment: Mapping[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text, environment)
    return str(caught.value)


def test_an_empty_file_means_the_defaults_with_health(tmp_path: Path) -> None:
    assert read(tmp_path, "") == Settings(http=HttpSettings(), node_name="worker-1")


def test_all_of_a_node_can_be_said(tmp_path: Path) -> None:
    text = f"""
        home: /var/lib/zerotier-k8s-link
        port: 19993
        planet: /etc/world/planet
        identity: /etc/identity/identity.secret
        networks:
          - id: "{ID}"
            required: false
            interfaceName: mesh0
            allowManaged: false
            allowGlobal: true
            allowDefault: true
            allowDNS: true
        http: {{enabled: true, port: 19994, address: 192.0.2.1}}
        logLevel: DEBUG
        engine: portable
    """
    assert read(tmp_path, text) == Settings(
        home=Path("/var/lib/zerotier-k8s-link"),
        port=19993,
        is_port_given=True,
        planet=Path("/etc/world/planet"),
        identity=Path("/etc/identity/identity.secret"),
        memberships=(Membership(NUMBER, False, Policy(False, True, True, True)),),
        interface_names={NUMBER: "mesh0"},
        http=HttpSettings(ip_address("192.0.2.1"), 19994),
        log=LogSettings("DEBUG"),
        engine="portable",
        node_name="worker-1",
    )


def test_a_port_that_is_not_said_is_local_conf_s(tmp_path: Path) -> None:
    assert not read(tmp_path, "home: /var/lib/mesh").is_port_given


def test_a_network_is_required_unless_said_otherwise(tmp_path: Path) -> None:
    settings = read(tmp_path, f'networks: [{{id: "{ID}"}}]')
    assert settings.memberships == (Membership(NUMBER, True, Policy()),)


def test_an_id_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "networkId").write_text(f"{ID}\n")
    settings = read(tmp_path, f"networks: [{{idFile: {tmp_path}/networkId}}]")
    assert settings.memberships[0].network_id == NUMBER


def test_an_id_in_a_file_is_checked(tmp_path: Path) -> None:
    (tmp_path / "networkId").write_text("12\n")
    said = refusal(tmp_path, f"networks: [{{idFile: {tmp_path}/networkId}}]")
    assert "networks[0].idFile: " in said
    assert "networkId: 2 characters that are no network's id, which is 16 hex digits" in said


@pytest.mark.parametrize("entry", ["{}", f'{{id: "{ID}", idFile: /etc/networkId}}'])
def test_an_id_is_said_once(tmp_path: Path, entry: str) -> None:
    said = refusal(tmp_path, f"networks: [{entry}]")
    assert "networks[0]: should have either id or idFile" in said


def test_an_id_that_yaml_takes_for_a_number_is_to_be_quoted(tmp_path: Path) -> None:
    said = refusal(tmp_path, "networks: [{id: 1234567890123456}]")
    assert "networks[0].id: 1234567890123456: is a number to YAML" in said


@pytest.mark.parametrize("name", ["a/b", "a b", "..", "sixteen-letters-"])
def test_a_device_has_a_name_that_the_kernel_takes(tmp_path: Path, name: str) -> None:
    said = refusal(tmp_path, f'networks: [{{id: "{ID}", interfaceName: "{name}"}}]')
    assert "networks[0].interfaceName" in said


def test_health_is_served_on_the_machine_s_address(tmp_path: Path) -> None:
    settings = read(tmp_path, "", {"HOST_IP": "2001:db8::5"})
    assert settings.http == HttpSettings(ip_address("2001:db8::5"))


def test_an_address_in_the_file_wins_over_the_machine_s(tmp_path: Path) -> None:
    settings = read(tmp_path, "http: {address: 192.0.2.1}", {"HOST_IP": "192.0.2.9"})
    assert settings.http == HttpSettings(ip_address("192.0.2.1"))


def test_health_may_be_switched_off(tmp_path: Path) -> None:
    assert read(tmp_path, "http: {enabled: false}").http is None


def test_a_machine_s_address_that_is_none_is_said(tmp_path: Path) -> None:
    assert "HOST_IP in the environment: 'node1'" in refusal(tmp_path, "", {"HOST_IP": "node1"})


def test_a_controller_s_networks_keep_their_fields(tmp_path: Path) -> None:
    text = f"""
        controller:
          autoAuthorize: true
          networks:
            - id: "{ID}"
              settings: {{name: mesh, private: true, v4AssignMode: {{zt: true}}}}
    """
    settings = read(tmp_path, text)
    fields = {"name": "mesh", "private": True, "v4AssignMode": {"zt": True}}
    assert settings.declared == (DeclaredNetwork(NUMBER, fields),)
    assert settings.auto_authorize


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("{nmae: mesh}", "nmae: not a field of a controller's network"),
        ("{mtu: 10}", "mtu: 10 is not an integer from 1280"),
        ("{routes: [{target: x}]}", "routes.target: 'x' is not an IP range"),
    ],
)
def test_a_controller_s_network_is_checked_before_anything_starts(
    tmp_path: Path, fields: str, message: str
) -> None:
    text = f'controller: {{networks: [{{id: "{ID}", settings: {fields}}}]}}'
    said = refusal(tmp_path, text)
    assert "controller.networks[0].settings" in said
    assert message in said


def test_nothing_in_a_file_is_expanded(tmp_path: Path) -> None:
    assert read(tmp_path, "home: /var/${HOME}", {"HOME": "x"}).home == Path("/var/${HOME}")
