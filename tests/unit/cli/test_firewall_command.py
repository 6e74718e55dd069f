"""`ztlink firewall show`: the rules without loading them."""

from pathlib import Path

from click.testing import Result

from tests.unit.cli.rig import run
from ztlink.cli_firewall import shown
from ztlink.host.firewall.render import render
from ztlink.host.firewall.wanted import FirewallSettings
from ztlink.settings import Settings

ID = "8056c2e21c000001"


def show(tmp_path: Path, text: str) -> Result:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    return run("firewall", "show", "--config", str(file))


def test_an_empty_file_shows_an_agent_s_default(tmp_path: Path) -> None:
    result = show(tmp_path, "")
    assert (result.exit_code, result.output) == (0, render(FirewallSettings(), []))


def test_settings_without_a_firewall_mean_no_rules() -> None:
    assert shown(Settings()).startswith("#")


def test_networks_are_the_devices_that_they_will_have(tmp_path: Path) -> None:
    result = show(tmp_path, f'networks: [{{id: "{ID}"}}]')
    assert 'elements = { "ztmjfmfyq5" }' in result.output


def test_a_device_with_a_name_of_its_own_is_shown_by_that(tmp_path: Path) -> None:
    result = show(tmp_path, f'networks: [{{id: "{ID}", interfaceName: mesh0}}]')
    assert 'elements = { "mesh0" }' in result.output


def test_what_is_allowed_is_shown(tmp_path: Path) -> None:
    result = show(tmp_path, "firewall: {allow: [{name: web, protocol: tcp, ports: [80]}]}")
    assert 'tcp dport { 80 } accept comment "web"' in result.output


def test_a_firewall_that_is_off_shows_no_rules(tmp_path: Path) -> None:
    result = show(tmp_path, "firewall: {enabled: false}")
    assert result.output == "# firewall.enabled is false: no rules are loaded\n"


def test_a_wrong_file_is_refused(tmp_path: Path) -> None:
    result = show(tmp_path, "firewall: {masquerade: some}")
    assert result.exit_code == 78
    assert "firewall.masquerade" in result.stderr


def test_a_device_name_that_no_rule_can_have_is_refused(tmp_path: Path) -> None:
    result = show(tmp_path, f'networks: [{{id: "{ID}", interfaceName: "zt*"}}]')
    assert result.exit_code == 78
    assert "networks[0].interfaceName: 'zt*': should be a device's name" in result.stderr
