"""On which cluster `make e2e` runs: docker is asked, as a process."""

from pathlib import Path

import pytest

from ci import e2e


@pytest.mark.parametrize(
    ("asked", "docker", "kind"),
    [
        (None, "exit 0", "kind"),
        (None, "exit 1", "namespaces"),
        (None, None, "namespaces"),
        ("own", "exit 0", "namespaces"),
        ("kind", None, "kind"),
    ],
)
def test_kind_is_chosen_where_docker_answers(
    asked: str | None,
    docker: str | None,
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if docker:
        (tmp_path / "docker").write_text(f"#!/bin/sh\n{docker}\n")
        (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert e2e.choose(asked) == kind
