"""node, root, controller: arguments become settings, and what cannot run is said."""

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.unit.cli.rig import run
from tests.unit.vl1.mesh import identity, planet
from ztlink import agent, opening
from ztlink.errors import HostError
from ztlink.ids import NetworkId
from ztlink.settings import LogSettings, Membership, Role, Settings
from ztlink.wire.default_planet import DEFAULT_PLANET
from ztlink.wire.world import WorldType

ID = "8056c2e21c000001"
IDENTITY = identity(0).to_text()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """What would have been run."""
    found: list[Settings] = []

    def note(settings: Settings, _: Callable[[str], None]) -> None:
        found.append(settings)

    monkeypatch.setattr(agent, "run", note)
    return found


def test_a_node_has_devices_and_no_controller(started: list[Settings], tmp_path: Path) -> None:
    run("node", "--home", str(tmp_path), "--port", "29993")
    assert started == [Settings(home=tmp_path, port=29993, is_port_given=True)]


def test_a_port_that_is_not_named_is_left_to_local_conf(started: list[Settings]) -> None:
    run("node")
    assert not started[0].is_port_given


def test_a_random_port_can_be_asked_for(started: list[Settings]) -> None:
    run("node", "--port", "0")
    assert (started[0].port, started[0].is_port_given) == (0, True)


def test_ports_in_use_can_be_passed_over(started: list[Settings]) -> None:
    run("node", "--next-ports", "5")
    assert started[0].next_ports == 5


def test_settings_that_make_no_sense_stop_the_start_and_are_left_as_they_are(
    tmp_path: Path,
) -> None:
    file = tmp_path / "local.conf"
    file.write_text('{"settings": {"primaryPort": "many"}}')
    result = run("node", "--home", str(tmp_path), "--no-tap")
    assert (result.exit_code, "settings.primaryPort" in result.stderr) == (78, True)
    assert file.read_text() == '{"settings": {"primaryPort": "many"}}'
    assert not (tmp_path / "identity.secret").exists()


def test_a_node_may_do_without_devices(started: list[Settings]) -> None:
    run("node", "--no-tap")
    assert not started[0].has_taps


def test_a_node_may_be_a_controller_too(started: list[Settings]) -> None:
    run("node", "--controller")
    assert (started[0].has_taps, started[0].has_controller) == (True, True)


@pytest.mark.parametrize(("options", "has_controller"), [([], False), (["--controller"], True)])
def test_a_root_has_no_devices_and_may_be_a_controller_too(
    started: list[Settings], options: list[str], has_controller: bool
) -> None:
    run("root", *options)
    settings = started[0]
    assert (settings.role, settings.has_taps, settings.has_controller) == (
        Role.ROOT,
        False,
        has_controller,
    )


def test_a_controller_has_no_devices(started: list[Settings]) -> None:
    run("controller")
    settings = started[0]
    assert (settings.role, settings.has_taps, settings.has_controller) == (
        Role.CONTROLLER,
        False,
        True,
    )


@pytest.mark.parametrize("name", ["backup", "restore", "export"])
def test_a_command_for_a_controllers_records_runs_none(
    started: list[Settings], tmp_path: Path, name: str
) -> None:
    run("controller", name, str(tmp_path / "x"), "--home", str(tmp_path))
    assert started == []


def test_the_engine_is_named_by_an_option_or_the_environment(
    started: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("node")
    run("node", "--engine", "plain")
    monkeypatch.setenv("ZTLINK_ENGINE", "portable")
    run("node")
    run("node", "--engine", "jit")
    assert [settings.engine for settings in started] == ["auto", "plain", "portable", "jit"]


def test_further_options_are_settings(started: list[Settings], tmp_path: Path) -> None:
    planet = tmp_path / "planet"
    options = ["--planet", str(planet), "--bind", "10.0.0.1", "--bind", "fd00::1"]
    run("node", *options, "--interface", f"{ID}=zt0", "--suite", "salsa", "--log-level", "debug")
    settings = started[0]
    assert (settings.planet, settings.bind) == (
        planet,
        (ip_address("10.0.0.1"), ip_address("fd00::1")),
    )
    assert (settings.interface_names, settings.protocol, settings.log.level) == (
        {NetworkId(int(ID, 16)): "zt0"},
        11,
        "DEBUG",
    )


@pytest.mark.parametrize(
    "options",
    [
        ["--port", "-1"],
        ["--port", "65536"],
        ["--port", "x"],
        ["--bind", "x"],
        ["--bind", "10.0.0.1/24"],
        ["--interface", "zt0"],
        ["--interface", f"{ID}="],
        ["--interface", f"{ID}=much-too-long-a-name"],
        ["--interface", f"{ID}=a/b"],
        ["--interface", "123=zt0"],
        ["--log-level", "loud"],
        ["--suite", "none"],
    ],
    ids=" ".join,
)
def test_an_option_that_makes_no_sense_is_wrong_usage(
    started: list[Settings], options: list[str]
) -> None:
    assert (run("node", *options).exit_code, started) == (2, [])


def test_an_identity_that_is_none_stops_the_start_and_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "identity.secret"
    file.write_text("half an identi")
    result = run("node", "--home", str(tmp_path), "--no-tap")
    assert (result.exit_code, str(file) in result.stderr) == (78, True)
    assert file.read_text() == "half an identi"


def test_a_planet_that_is_none_stops_the_start(tmp_path: Path) -> None:
    planet = tmp_path / "planet.bin"
    planet.write_text("no world")
    result = run("node", "--home", str(tmp_path / "home"), "--planet", str(planet), "--no-tap")
    assert (result.exit_code, f"{planet} is not a world file" in result.stderr) == (78, True)
    assert not (tmp_path / "home" / "identity.secret").exists()


def test_a_home_that_cannot_be_made_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("node", "--home", str(tmp_path / "file" / "home"), "--no-tap")
    assert (result.exit_code, "cannot use the home" in result.stderr) == (78, True)


def test_what_the_kernel_refuses_is_1(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(settings: Settings, _: Callable[[str], None]) -> None:
        raise HostError(98, "cannot bind UDP 10.0.0.1/9993")

    monkeypatch.setattr(agent, "run", refuse)
    result = run("node")
    assert (result.exit_code, result.stderr) == (1, "ztlink: cannot bind UDP 10.0.0.1/9993\n")


@pytest.mark.parametrize("command", ["node", "root", "controller"])
@pytest.mark.parametrize("package", ["aiohttp", "prometheus_client", "pyroute2"])
def test_without_the_packages_of_a_running_node_it_is_said_what_to_install(
    command: str, package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    result = run(command, "--home", str(tmp_path / "home"))
    assert (result.exit_code, result.stderr) == (
        1,
        f"ztlink: a running node needs the package {package}, which is not installed: "
        "pip install 'ztlink[agent]'\n",
    )
    assert not (tmp_path / "home").exists()


def test_a_root_that_no_world_names_is_told_how_to_make_one(tmp_path: Path) -> None:
    (tmp_path / "identity.secret").write_text(IDENTITY)
    result = run("root", "--home", str(tmp_path))
    assert (result.exit_code, result.stderr) == (
        78,
        f"ztlink: no world names {IDENTITY[:10]} as a root: make one with 'ztlink world create "
        f"--root {tmp_path}/identity.public@IP/PORT --out FILE', then start with --planet FILE, "
        "here and on the nodes\n",
    )


def test_a_root_may_be_named_by_a_moon(tmp_path: Path) -> None:
    secret = identity(0)
    moon = replace(planet(0), world_type=WorldType.MOON)
    opening.check_root(secret, tmp_path, [DEFAULT_PLANET, moon])


# -- a file with settings --------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration as the chart makes it."""
    made = tmp_path / "config.yaml"
    made.write_text(
        f"home: {tmp_path}/home\nport: 19993\nlogLevel: DEBUG\nhttp: {{enabled: false}}\n"
        f'networks: [{{id: "{ID}", interfaceName: mesh0}}]\n'
    )
    return made


def test_a_file_says_how_a_node_runs(started: list[Settings], file: Path) -> None:
    run("node", "--config", str(file))
    network_id = NetworkId(int(ID, 16))
    assert started == [
        Settings(
            home=file.parent / "home",
            port=19993,
            is_port_given=True,
            log=LogSettings("DEBUG"),
            node_name=os.uname().nodename,
            memberships=(Membership(network_id),),
            interface_names={network_id: "mesh0"},
        )
    ]


def test_options_that_are_given_win_over_the_file(started: list[Settings], file: Path) -> None:
    run("node", "--config", str(file), "--port", "9993", "--interface", f"{ID}=other0")
    assert (started[0].port, started[0].log.level) == (9993, "DEBUG")
    assert started[0].interface_names == {NetworkId(int(ID, 16)): "other0"}


def test_the_home_of_the_environment_wins_over_the_file(
    started: list[Settings], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZTLINK_HOME", "/from/the/environment")
    run("node", "--config", str(file))
    assert started[0].home == Path("/from/the/environment")


def test_a_network_may_be_named_by_the_environment(
    started: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZEROTIER_NETWORK_ID", ID)
    run("node")
    assert started[0].memberships == (Membership(NetworkId(int(ID, 16))),)


def test_a_network_may_be_named_by_a_file_of_the_environment(
    started: list[Settings], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "networkId").write_text(f"{ID}\n")
    monkeypatch.setenv("ZEROTIER_NETWORK_ID_FILE", str(tmp_path / "networkId"))
    run("node")
    run("node", "--network", "112972485d000001")
    names = [[one.network_id for one in settings.memberships] for settings in started]
    assert names == [[int(ID, 16)], [0x112972485D000001]]


@pytest.mark.parametrize("command", ["root", "controller"])
def test_a_root_or_a_controller_joins_no_network_of_the_environment(
    started: list[Settings], monkeypatch: pytest.MonkeyPatch, file: Path, command: str
) -> None:
    file.write_text("port: 19993\n")
    monkeypatch.setenv("ZEROTIER_NETWORK_ID", ID)
    run(command, "--config", str(file))
    assert [settings.memberships for settings in started] == [()]


def test_a_network_that_the_file_names_is_not_named_twice(
    started: list[Settings], file: Path
) -> None:
    run("node", "--config", str(file), "--network", ID, "--network", "112972485d000001")
    names = [membership.network_id for membership in started[0].memberships]
    assert names == [int(ID, 16), 0x112972485D000001]


def test_a_file_with_mistakes_starts_nothing(started: list[Settings], file: Path) -> None:
    file.write_text("prot: 1\nhome: x\n")
    said = run("node", "--config", str(file))
    assert (said.exit_code, started) == (78, [])
    assert "did you mean port?" in said.output


def test_a_controller_s_networks_need_a_controller(started: list[Settings], file: Path) -> None:
    file.write_text(f'controller: {{networks: [{{id: "{ID}"}}]}}\n')
    assert run("node", "--config", str(file)).exit_code == 78
    assert run("controller", "--config", str(file)).exit_code == 0
    assert started[0].declared[0].network_id == int(ID, 16)


def test_sigterm_is_handled_as_before_once_a_node_has_ended(started: list[Settings]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    run("node")
    assert signal.getsignal(signal.SIGTERM) == before
