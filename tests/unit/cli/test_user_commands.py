"""What the commands in user space take on their command lines."""

import click
import pytest
from click.testing import CliRunner

from ztlink.cli import main
from ztlink.cli_user import parse_target


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("db", ("db", 5432)),
        ("db:80", ("db", 80)),
        ("10.1.2.3:80", ("10.1.2.3", 80)),
        ("fd00::5", ("fd00::5", 5432)),
        ("[fd00::5]", ("fd00::5", 5432)),
        ("[fd00::5]:80", ("fd00::5", 80)),
    ],
)
def test_a_target_has_the_local_port_where_it_names_none(
    text: str, target: tuple[str, int]
) -> None:
    assert parse_target(text, 5432) == target


@pytest.mark.parametrize("text", ["db:", "db:http", "db:0", "db:65536", ":80"])
def test_what_is_no_target_is_wrong_usage(text: str) -> None:
    with pytest.raises(click.BadParameter, match="HOST:PORT"):
        parse_target(text, 5432)


def test_a_wrong_target_is_told_before_any_network_is_joined() -> None:
    network = ("--network", "8056c2e21c000001")
    done = CliRunner().invoke(main, ["expose", "80", "--to", "db:http", *network])
    assert (done.exit_code, "'db:http' is not HOST" in done.output) == (2, True)
