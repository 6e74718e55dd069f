"""Changes TCP's arithmetic here and there, and names what no test notices.

    python ci/mutants.py [--sample 0.1] [module ...]

One change at a time: a comparison, an operator, a number, a condition. Each is tried in a process
of its own, by the tests that are for that module; nothing on disk is changed. What survives is
printed with its line: either a test is missing, or the change makes no difference.
"""

import argparse
import ast
import copy
import os
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final, NamedTuple

TOP: Final = Path(__file__).parents[1]
SOURCE: Final = TOP / "agent" / "src"
UNIT: Final = TOP / "tests" / "unit" / "netstack"
TESTS: Final[Mapping[str, str]] = {
    "ztlink.netstack.seqnum": "test_seqnum.py",
    "ztlink.netstack.tcp.rtt": "tcp/test_rtt.py",
    "ztlink.netstack.tcp.hystart": "tcp/test_hystart.py",
    "ztlink.netstack.tcp.congestion": "tcp/test_congestion.py",
    "ztlink.netstack.tcp.cubic": "tcp/test_cubic.py",
    "ztlink.netstack.tcp.bbr": "tcp/test_bbr*.py",
}
"""The modules to change, and who is to notice: files of tests, as a pattern."""
PATIENCE: Final = 20
"""Seconds for a test; a change that makes it hang is noticed, too."""
SEED: Final = 7
_INSTEAD: Final[Mapping[type[ast.AST], type[ast.AST]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
_OTHER_NAME: Final = {"min": "max", "max": "min"}


class Mutant(NamedTuple):
    """A module with one change."""

    line: int
    change: str
    code: CodeType


class Change(NamedTuple):
    """A field of a node, and what it is to be."""

    node: ast.expr | ast.stmt
    field: str
    value: Any


def changes(tree: ast.Module) -> Iterator[Change]:
    """Yield all changes that there are, always in the same order."""
    for node in ast.walk(tree):
        match node:
            case ast.BinOp(op=op) | ast.AugAssign(op=op) | ast.BoolOp(op=op):
                if type(op) in _INSTEAD:
                    yield Change(node, "op", _INSTEAD[type(op)]())
            case ast.Compare(ops=[op, *rest]) if type(op) in _INSTEAD:
                yield Change(node, "ops", [_INSTEAD[type(op)](), *rest])
            case ast.Constant(value=bool(value)):
                yield Change(node, "value", not value)
            case ast.Constant(value=int(value) | float(value)):
                yield Change(node, "value", value + 1 if abs(value) < 2 else value * 2)
            case ast.Call(func=ast.Name(id=name)) if name in _OTHER_NAME:
                yield Change(node, "func", ast.Name(_OTHER_NAME[name], ast.Load()))
            case ast.If(test=test) | ast.IfExp(test=test):
                yield Change(node, "test", ast.UnaryOp(ast.Not(), test))


def mutants(source: str, file: str) -> Iterator[Mutant]:
    """Yield the module with each change, in the order of its lines."""
    tree = ast.parse(source)
    lines = [change.node.lineno for change in changes(tree)]
    for number, line in sorted(enumerate(lines), key=lambda one: one[1]):
        changed = copy.deepcopy(tree)
        node, field, value = list(changes(changed))[number]
        was = _first_line(node)
        setattr(node, field, value)
        text = f"{_first_line(node)}  # was: {was}"
        ast.fix_missing_locations(changed)
        yield Mutant(line, text, compile(changed, file, "exec"))


def _first_line(node: ast.AST) -> str:
    return ast.unparse(node).partition("\n")[0]


class Substitute(MetaPathFinder, Loader):
    """Has one module be other code than that of its file."""

    def __init__(self, name: str, code: CodeType) -> None:
        self._name = name
        self._code = code

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        """Answer for the one module."""
        return ModuleSpec(name, self) if name == self._name else None

    def exec_module(self, module: ModuleType) -> None:
        """Run the other code."""
        exec(self._code, module.__dict__)  # noqa: S102 - our own, changed a little


def passes(tests: Sequence[Path], substitute: Substitute | None) -> bool:
    """Tell whether tests pass, in a process of their own."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = _run(tests, substitute)
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0


def _run(tests: Sequence[Path], substitute: Substitute | None) -> int:
    import pytest

    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    if substitute is not None:
        sys.meta_path.insert(0, substitute)
    where = ("-c", str(TOP / "agent" / "pyproject.toml"))
    options = ("-p", "no:cacheprovider", "-x", "--timeout", str(PATIENCE))
    return int(pytest.main([*where, *options, *map(str, tests)]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Try the changes and print what survives; 1 where tests do not pass without any."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sample", type=float, default=1.0, help="the share of changes to try")
    parser.add_argument("modules", nargs="*", default=list(TESTS), metavar="module")
    options = parser.parse_args(arguments)
    chance = random.Random(SEED)  # noqa: S311 - which ones to try
    for name in options.modules:
        file = SOURCE / Path(*name.split(".")).with_suffix(".py")
        tests = sorted(UNIT.glob(TESTS[name]))
        if not tests or not passes(tests, None):
            print(f"{TESTS[name]} does not pass", file=sys.stderr)
            return 1
        tried = survived = 0
        for mutant in mutants(file.read_text(), str(file)):
            if chance.random() >= options.sample:
                continue
            tried += 1
            if passes(tests, Substitute(name, mutant.code)):
                survived += 1
                print(f"{file.relative_to(TOP)}:{mutant.line}: {mutant.change}", flush=True)
        print(f"{name}: {survived} of {tried} survive", flush=True)
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(TOP))
    import numpy  # noqa: F401 - here, for all processes
    import pytest  # noqa: F401

    sys.exit(main())
