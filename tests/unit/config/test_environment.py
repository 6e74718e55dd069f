"""What the environment says goes over the file."""

from pathlib import Path

import pytest

from ztlink.config.file import Reading, read_file
from ztlink.errors import ConfigError
from ztlink.settings import LogFormat, LogSettings

ID, OTHER = "112972485d000001", "8056c2e21c000001"


def read(tmp_path: Path, text: str, **environment: str) -> Reading:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    return read_file(file, environment)


def networks(reading: Reading) -> dict[str, bool]:
    """Return the networks, and whether each is required."""
    return {f"{one.network_id:016x}": one.is_required for one in reading.settings.memberships}


def test_a_network_is_added_to_those_of_the_file(tmp_path: Path) -> None:
    reading = read(tmp_path, f'networks: [{{id: "{ID}"}}]', ZEROTIER_NETWORK_ID=OTHER)
    assert list(networks(reading)) == [ID, OTHER]


@pytest.mark.parametrize("between", [" ", ",", ", ", "\n"])
def test_several_networks_may_be_named(tmp_path: Path, between: str) -> None:
    assert list(networks(read(tmp_path, "", ZEROTIER_NETWORK_ID=f"{ID}{between}{OTHER}"))) == [
        ID,
        OTHER,
    ]


def test_an_entry_without_an_id_says_how_that_network_is_joined(tmp_path: Path) -> None:
    reading = read(tmp_path, "networks: [{required: false}]", ZEROTIER_NETWORK_ID=ID)
    assert networks(reading) == {ID: False}


def test_a_network_that_the_file_names_too_keeps_its_entry(tmp_path: Path) -> None:
    text = f'networks: [{{id: "{ID}", required: false}}]'
    assert networks(read(tmp_path, text, ZEROTIER_NETWORK_ID=ID)) == {ID: False}


def test_a_network_that_the_file_names_by_a_file_keeps_its_entry(tmp_path: Path) -> None:
    (tmp_path / "id").write_text(ID)
    text = f"networks: [{{idFile: {tmp_path}/id, required: false}}]"
    assert networks(read(tmp_path, text, ZEROTIER_NETWORK_ID=ID)) == {ID: False}


def test_the_id_may_be_in_a_file_that_a_variable_names(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{ID}\n")
    reading = read(tmp_path, "", ZEROTIER_NETWORK_ID_FILE=str(tmp_path / "secret"))
    assert list(networks(reading)) == [ID]
    assert tmp_path / "secret" in reading.files


def test_the_variable_wins_over_the_file_that_another_names(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(ID)
    reading = read(
        tmp_path,
        "",
        ZEROTIER_NETWORK_ID=OTHER,
        ZEROTIER_NETWORK_ID_FILE=str(tmp_path / "secret"),
    )
    assert list(networks(reading)) == [OTHER]


@pytest.mark.parametrize("content", [None, ""])
def test_a_file_without_an_id_is_told(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=r"_ID_FILE: .*should hold a network's id"):
        read(tmp_path, "", ZEROTIER_NETWORK_ID_FILE=str(file))


def test_a_variable_wins_over_a_key(tmp_path: Path) -> None:
    reading = read(
        tmp_path,
        "home: /a\nengine: plain\nlog: {level: INFO, format: console}\nidentity: /b\nplanet: /c",
        ZTLINK_HOME="/h",
        ZTLINK_ENGINE="portable",
        ZTLINK_LOG_LEVEL="ERROR",
        ZTLINK_LOG_FORMAT="json",
        ZEROTIER_IDENTITY_FILE="/i",
        ZEROTIER_PLANET_FILE="/p",
    )
    settings = reading.settings
    assert (settings.home, settings.identity, settings.planet) == (
        Path("/h"),
        Path("/i"),
        Path("/p"),
    )
    assert (settings.engine, settings.log) == ("portable", LogSettings("ERROR", LogFormat.JSON))


def test_the_machine_s_name_is_the_file_s_the_cluster_s_or_its_own(tmp_path: Path) -> None:
    assert read(tmp_path, "nodeName: a", NODE_NAME="b").settings.node_name == "a"
    assert read(tmp_path, "", NODE_NAME="b").settings.node_name == "b"
    assert read(tmp_path, "").settings.node_name
