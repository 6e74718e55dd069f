"""What is told of a wrong file: where, what stands there, and what would be right."""

from pathlib import Path

import pytest

from tests.unit.config.mistakes import MISTAKES, Mistake
from ztlink.config.file import read_file
from ztlink.errors import ConfigError


def refusal(tmp_path: Path, text: str, **environment: str) -> str:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_file(file, environment)
    return str(caught.value)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_is_told_by_key_value_and_remedy(mistake: Mistake, tmp_path: Path) -> None:
    said = refusal(tmp_path, mistake.text)
    assert str(tmp_path / "config.yaml") in said
    wanted = (mistake.key, mistake.value, mistake.remedy)
    assert [part for part in wanted if part not in said] == []


def test_there_are_forty() -> None:
    assert len({mistake.text for mistake in MISTAKES}) >= 40


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    said = refusal(tmp_path, "port: 0\nhome: x\nlog: {level: y}\nnetworks: [{}]\n")
    assert [line.split(":")[0].strip() for line in said.splitlines()[1:]] == [
        "home",
        "port",
        "log.level",
        "networks[0]",
    ]


def test_all_files_that_are_amiss_are_told_at_once(tmp_path: Path) -> None:
    said = refusal(tmp_path, "networks: [{idFile: /nowhere/a}, {idFile: /nowhere/b}]", HOST_IP="x")
    assert all(part in said for part in ("/nowhere/a", "/nowhere/b", "HOST_IP"))


def test_a_value_of_the_environment_is_told_with_its_variable(tmp_path: Path) -> None:
    said = refusal(tmp_path, "log: {level: INFO}", ZTLINK_LOG_LEVEL="loud")
    assert "log.level (ZTLINK_LOG_LEVEL): 'loud'" in said


@pytest.mark.parametrize("name", ["ZEROTIER_NETWORK_ID", "ZEROTIER_NETWORK_ID_FILE"])
def test_what_may_be_a_secret_is_not_repeated(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("hunter2-hunter2")
    value = "hunter2-hunter2" if name.endswith("ID") else str(tmp_path / "secret")
    said = refusal(tmp_path, "", **{name: value})
    assert "hunter2" not in said
    assert f"{name}" in said
    assert "16 hex digits" in said
