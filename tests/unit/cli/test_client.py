"""When there is no node to talk to, or not the right one: one sentence that says what to do."""

import http.client
from pathlib import Path

import pytest

from tests.unit.cli.rig import Node, another_program, make_home, run
from ztlink.client import Client, NodeUnreachableError


def refuse(_: http.client.HTTPConnection) -> None:
    raise ConnectionRefusedError(111, "Connection refused")


def test_a_home_that_is_none_is_1(tmp_path: Path) -> None:
    result = run("status", "--home", str(tmp_path))
    assert (result.exit_code, result.stderr) == (
        1,
        f"ztlink: {tmp_path} is not the home of a running node (no authtoken.secret): "
        "start one, or name its home with --home\n",
    )


def test_a_node_that_does_not_run_is_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_home(tmp_path)
    monkeypatch.setattr(http.client.HTTPConnection, "connect", refuse)
    result = run("status", "--home", str(tmp_path))
    assert (result.exit_code, f"ztlink node --home {tmp_path}" in result.stderr) == (1, True)


def test_a_port_file_with_nonsense_is_1(tmp_path: Path) -> None:
    make_home(tmp_path)
    (tmp_path / "zerotier-one.port").write_text("nonsense")
    assert run("status", "--home", str(tmp_path)).exit_code == 1


def test_a_token_that_may_not_be_read_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbid(file: Path) -> str:
        raise PermissionError(13, "Permission denied", str(file))

    monkeypatch.setattr(Path, "read_text", forbid)
    with pytest.raises(NodeUnreachableError, match=r"authtoken\.secret may not be read"):
        Client(tmp_path).get("/status")


@pytest.mark.parametrize(
    "raw",
    [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"],
    ids=["silence", "another protocol", "half an answer"],
)
def test_another_program_at_the_port_is_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raw: bytes
) -> None:
    make_home(tmp_path)
    with another_program(raw, monkeypatch):
        result = run("status", "--home", str(tmp_path))
    assert (result.exit_code, "no node answers" in result.stderr) == (1, True)


def test_a_token_of_another_node_is_1_and_is_not_shown(node: Node) -> None:
    make_home(node.home, "0" * 24)
    result = node.run("status")
    assert (result.exit_code, "authtoken.secret" in result.stderr) == (1, True)
    assert "0" * 24 not in result.output


def test_the_home_may_come_from_the_environment(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZTLINK_HOME", str(node.home))
    assert run("status").exit_code == 0


@pytest.mark.parametrize(
    "arguments", [["nosuch"], ["join"], ["status", "--nosuch"], ["member", "authorize"]]
)
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2
