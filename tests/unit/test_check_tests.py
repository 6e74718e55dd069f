from pathlib import Path

import pytest

from ci.check_tests import imported, modules


@pytest.fixture(name="tree")
def small_tree(tmp_path: Path) -> Path:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").touch()
    (tmp_path / "pkg" / "a.py").write_text(
        "import os.path\nfrom pkg import b\nfrom pkg.c import d\n"
    )
    return tmp_path


def test_modules_are_named_by_their_place(tree: Path) -> None:
    assert list(modules(tree)) == ["pkg.a"]


@pytest.mark.parametrize("name", ["os.path", "pkg.b", "pkg.c"])
def test_imports_are_seen_in_every_form(tree: Path, name: str) -> None:
    assert name in imported(tree)
