"""Checks that every module of the package is imported by some test; names those that are not."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

TOP: Final = Path(__file__).parents[1]
SOURCE: Final = TOP / "agent" / "src"
TESTS: Final = TOP / "tests"


def modules(source: Path) -> Iterator[str]:
    """Yield the dotted names of all modules that hold code."""
    for file in sorted(source.rglob("*.py")):
        if not file.name.startswith("__"):
            yield ".".join(file.relative_to(source).with_suffix("").parts)


def imported(tests: Path) -> set[str]:
    """Return all that the tests import: modules, and names in them."""
    names: set[str] = set()
    for file in tests.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(), str(file))):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module)
                names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def main() -> int:
    """Print the modules that no test imports; exit status 1 where there are some."""
    seen = imported(TESTS)
    missing = [module for module in modules(SOURCE) if module not in seen]
    for module in missing:
        sys.stderr.write(f"{module}: no test imports it\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
