"""Where a controller elsewhere is asked, and where its token comes from."""

from pathlib import Path

import pytest

import ztlink
from ztlink.errors import ConfigError
from ztlink.hosted.access import (
    CENTRAL,
    TOKEN,
    TOKEN_FILE,
    HostedAccess,
    read_access,
    without_token,
)

WITH_TOKEN = {TOKEN: "abc"}


def test_central_has_a_short_name() -> None:
    assert read_access("central", WITH_TOKEN) == HostedAccess(CENTRAL, "abc", is_central=True)


@pytest.mark.parametrize(
    "url",
    ["https://my.example.org/api/v1", "https://my.example.org/api/v1/", "http://[::1]/api/v1"],
)
def test_a_url_of_that_kind_speaks_as_central(url: str) -> None:
    assert read_access(url, WITH_TOKEN) == HostedAccess(url.rstrip("/"), "abc", is_central=True)


@pytest.mark.parametrize("url", ["http://192.0.2.1:9993", "https://controller.example.org"])
def test_any_other_url_is_a_controller(url: str) -> None:
    assert read_access(url, WITH_TOKEN) == HostedAccess(url, "abc")


@pytest.mark.parametrize(
    "url",
    [
        "controller",
        "192.0.2.1:9993",
        "ftp://192.0.2.1",
        "http://",
        "http://[::1",
        "http://192.0.2.1:x",
        "http://me:secret@192.0.2.1",
        "http://192.0.2.1/?auth=x",
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="is no API's URL"):
        read_access(url, WITH_TOKEN)


def test_a_token_of_central_does_not_cross_a_network_in_clear() -> None:
    with pytest.raises(ConfigError, match="use https"):
        read_access("http://api.example.org/api/v1", WITH_TOKEN)


@pytest.mark.parametrize(
    ("url", "is_exposed"),
    [
        ("http://192.0.2.1:9993", True),
        ("http://controller.example.org:9993", True),
        ("https://192.0.2.1:9993", False),
        ("http://127.0.0.1:9993", False),
        ("http://localhost:9993", False),
    ],
)
def test_a_token_in_clear_is_known_as_such(url: str, is_exposed: bool) -> None:
    assert read_access(url, WITH_TOKEN).is_exposed is is_exposed


def test_a_token_comes_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("abc\n")
    assert read_access("central", {TOKEN_FILE: str(file)}).token == "abc"  # noqa: S105


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match="cannot read /nowhere, the ZEROTIER_API_TOKEN_FILE"):
        read_access("central", {TOKEN_FILE: "/nowhere"})


def test_two_tokens_are_one_too_many() -> None:
    with pytest.raises(ConfigError, match="both ZEROTIER_API_TOKEN and"):
        read_access("central", {TOKEN: "abc", TOKEN_FILE: "/nowhere"})


@pytest.mark.parametrize("environment", [{}, {TOKEN: ""}])
def test_without_a_token_it_is_said_how_to_give_one(environment: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="set ZEROTIER_API_TOKEN, or"):
        read_access("central", environment)


@pytest.mark.parametrize("token", [" ", "two words", "line\nbreak", "schlüssel"])
def test_what_is_no_token_is_refused_and_not_repeated(token: str) -> None:
    with pytest.raises(ConfigError, match="ZEROTIER_API_TOKEN holds no token") as caught:
        read_access("central", {TOKEN: token})
    assert token.strip() == "" or token not in str(caught.value)


def test_bytes_that_are_no_text_are_no_token(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="holds no token"):
        read_access("central", {TOKEN_FILE: str(file)})


def test_a_token_is_not_shown_by_its_holder() -> None:
    assert "abc" not in repr(read_access("central", WITH_TOKEN))


def test_nothing_else_reads_the_token() -> None:
    package = Path(str(ztlink.__file__)).parent
    files = package.rglob("*.py")
    readers = [file.name for file in files if f'"{TOKEN}' in file.read_text()]
    assert readers == ["access.py"]


def test_programs_that_are_started_do_not_see_the_token() -> None:
    environment = {"HOME": "/root", TOKEN: "abc", TOKEN_FILE: "x", "MAKEFLAGS": f"{TOKEN}=abc"}
    assert without_token(environment) == {"HOME": "/root"}
