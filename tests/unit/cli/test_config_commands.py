"""`ztlink config` and `ztlink agent`: the file, looked at and run."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.cli.rig import run
from ztlink import agent, cli_config
from ztlink.config.follow import Follower
from ztlink.settings import Settings

ID = "112972485d000001"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "config.yaml"
    made.write_text(f'home: {tmp_path}/home\nnetworks: [{{id: "{ID}"}}]\n')
    return made


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Settings, Follower]]:
    """What would have been run."""
    found: list[tuple[Settings, Follower]] = []

    def note(settings: Settings, _: Callable[[str], None], follower: Follower) -> None:
        found.append((settings, follower))

    monkeypatch.setattr(agent, "run", note)
    return found


def test_a_good_file_is_said_to_be_good(file: Path) -> None:
    result = run("config", "check", str(file))
    assert (result.exit_code, result.stdout) == (0, f"200 {file} is as it should be\n")


def test_a_wrong_file_has_an_exit_status_of_its_own(file: Path) -> None:
    file.write_text("port: 0\nprot: 1\n")
    result = run("config", "check", str(file))
    assert (result.exit_code, len(result.stderr.splitlines())) == (78, 3)


def test_what_a_file_says_is_shown_for_people(file: Path) -> None:
    lines = run("config", "show", str(file)).stdout.splitlines()
    assert lines[0].split() == ["key", "value", "from"]
    assert ["networks[0].id", ID, "file"] in [line.split() for line in lines]
    assert ["networks[0].required", "true", "default"] in [line.split() for line in lines]


def test_what_a_file_says_is_shown_for_programs(file: Path) -> None:
    shown = json.loads(run("config", "show", str(file), "--json").stdout)
    assert {"key": "port", "value": 9993, "from": "default"} in shown


def test_one_group_has_all_that_is_done_with_a_file() -> None:
    (group,) = cli_config.COMMANDS
    assert sorted(group.commands) == ["check", "schema", "show"]


def test_the_schema_is_printed() -> None:
    assert json.loads(run("config", "schema").stdout)["additionalProperties"] is False


def test_an_agent_runs_with_its_file_and_follows_it(
    started: list[tuple[Settings, Follower]], file: Path
) -> None:
    assert run("agent", "--config", str(file)).exit_code == 0
    ((settings, follower),) = started
    assert settings.home == file.parent / "home"
    assert follower.settings == settings


def test_an_agent_needs_a_file(started: list[tuple[Settings, Follower]]) -> None:
    assert (run("agent").exit_code, started) == (2, [])


@pytest.mark.parametrize(
    "text", ["port: 0", f'controller: {{networks: [{{id: "{ID}"}}]}}'], ids=["port", "controller"]
)
def test_an_agent_does_not_start_with_a_wrong_file(
    started: list[tuple[Settings, Follower]], file: Path, text: str
) -> None:
    file.write_text(text)
    assert (run("agent", "--config", str(file)).exit_code, started) == (78, [])
