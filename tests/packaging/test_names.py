"""One name, one meaning: no public name of the engine is defined twice, and modules say what they hold."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

ENGINE = Path(__file__).resolve().parents[2] / "conformance"
# Names that may stand in several modules, and why.
ALLOWED: Mapping[str, str] = {
    "enclose": "of a ball, as three numbers of float64, and the public function for inputs of a caller",
    "pytest_generate_tests": "pytest calls it by this name in every module of tests",
    "run": "the loop over targets that are there, and the public function that starts them",
}
# Words that tell nothing of what a module holds.
OPAQUE = frozenset(
    {
        *("base", "common", "data", "expect", "helpers", "kinds", "levels", "misc", "model", "models", "objects"),
        *("parts", "rows", "sheet", "sides", "stuff", "tape", "things", "tools", "types", "utils", "values", "wide"),
    }
)


def is_command(node: ast.FunctionDef) -> bool:
    """Whether a function is a command of the command line: its name is the user's word, not one of the code."""
    called = [d.func if isinstance(d, ast.Call) else d for d in node.decorator_list]
    return any(isinstance(d, ast.Attribute) and d.attr in ("command", "group") for d in called)


def public(text: str) -> Iterator[str]:
    """The classes and the public functions, constants and types that a module defines."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef):
            names = [] if is_command(node) else [node.name]
        elif isinstance(node, ast.ClassDef):
            # A class is read about by its name, an underscore or not.
            names = [node.name.lstrip("_")]
        elif isinstance(node, ast.Assign):
            names = [n.id for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names = [node.target.id]
        else:
            continue
        yield from (name for name in names if not name.startswith("_"))


def shared(texts: Mapping[str, str]) -> dict[str, set[str]]:
    """Each name that several modules define, with the modules."""
    where: dict[str, set[str]] = defaultdict(set)
    for module, text in texts.items():
        for name in public(text):
            where[name].add(module)
    return {name: modules for name, modules in where.items() if len(modules) > 1}


def engine() -> dict[str, str]:
    paths = [*ENGINE.rglob("*.py"), ENGINE.parent / "adapters" / "protocol.py"]
    return {str(p.relative_to(ENGINE.parent)): p.read_text(encoding="utf-8") for p in paths}


def test_no_name_stands_for_two_things() -> None:
    found = shared(engine())
    assert {name: where for name, where in found.items() if name not in ALLOWED} == {}
    assert found.keys() >= ALLOWED.keys(), "an exception that is none any more"


def test_no_two_modules_bear_one_name() -> None:
    """But commands, which are named as the user calls them."""
    where: dict[str, set[str]] = defaultdict(set)
    for path in ENGINE.rglob("*.py"):
        if path.stem not in ("__init__", "__main__") and path.parent.name != "commands":
            where[path.stem].add(str(path.relative_to(ENGINE)))
    assert {name: several for name, several in where.items() if len(several) > 1} == {}
    assert where.keys() & OPAQUE == set()


def test_the_search_sees_what_it_forbids() -> None:
    one = "def f(): ...\nclass A: ...\nB, C = D = 1, 2\nE: int = 3\n_g = 4\n@cli.command()\ndef run(): ...\n"
    assert set(public(one)) == {*"fABCDE"}
    assert shared({"a": one, "b": "class _A: ...", "c": "_g = 1\ndef run(): ..."}) == {"A": {"a", "b"}}
