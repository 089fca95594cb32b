"""The rooms of ``conformance/`` (docs/architecture.md has their charters), and who may import whom.

Every import counts, those inside functions and those for types included: a lazy import makes a module start faster, it
does not make it independent.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ENGINE = Path(__file__).resolve().parents[2] / "conformance"
# Each room, and those whose modules it may import; what stands above a room in this table is upward.
ROOMS: Mapping[str, frozenset[str]] = {
    "core": frozenset(),
    "truth": frozenset({"core"}),
    "targets": frozenset({"core"}),
    "judging": frozenset({"core", "truth", "targets"}),
    "cases": frozenset({"core", "judging"}),
    "records": frozenset({"core"}),
    "running": frozenset({"core", "truth", "targets", "judging", "cases", "records"}),
    "repro": frozenset({"core", "truth", "targets", "judging", "cases", "records", "running"}),
    "functions": frozenset({"core", "truth", "targets", "judging", "cases", "records", "running", "repro"}),
    "views": frozenset({"core", "targets", "cases", "records", "running", "repro"}),
    "suite": frozenset({"plugin", "core", "truth", "targets", "judging", "cases", "records", "running"}),
    "cli": frozenset(
        {"core", "truth", "targets", "judging", "cases", "records", "running", "repro", "functions", "views"}
    ),
}
LINES = 350
MODULES = 30


def modules(root: Path) -> dict[str, Path]:
    """Every module of a tree by its dotted name without the package's."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(path: Path, names: Mapping[str, Path]) -> Iterator[str]:
    """The modules among ``names`` that a file imports, at any depth."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            candidates = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            candidates = [f"{node.module}.{a.name}" for a in node.names]
        else:
            continue
        for full in candidates:
            if full == "lossproof" or full.startswith("lossproof."):
                inner = full.removeprefix("lossproof").removeprefix(".")
                while inner and inner not in names:
                    inner = inner.rpartition(".")[0]
                if inner:
                    yield inner


@cache
def graph(root: Path) -> dict[str, set[str]]:
    names = modules(root)
    return {name: set(imported(path, names)) - {name} for name, path in names.items()}


def upward(edges: Mapping[str, set[str]]) -> list[str]:
    """The imports that leave a room for one that it may not import."""
    found = []
    for name, targets in sorted(edges.items()):
        room = name.partition(".")[0]
        if room not in ROOMS:
            continue
        found += [
            f"{name} imports {target}"
            for target in sorted(targets)
            if target.partition(".")[0] not in {room, *ROOMS[room]}
        ]
    return found


def test_no_room_imports_one_that_it_may_not() -> None:
    edges = graph(ENGINE)
    # sanity check: the walk sees imports inside functions, and every room has some
    assert "cli.commands.run" in edges["cli.main"]
    assert {name.partition(".")[0] for name in edges} >= set(ROOMS)
    assert upward(edges) == []


def test_no_circle_of_modules() -> None:
    # A package that re-exports its own modules is no circle of them.
    edges = graph(ENGINE)
    try:
        tuple(TopologicalSorter(edges).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_the_rule_sees_what_it_forbids(tmp_path: Path) -> None:
    for name, text in {
        "core/a.py": "def f():\n    from lossproof.cli import b\n",
        "cli/b.py": "import lossproof.core.a\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    edges = graph(tmp_path)
    assert upward(edges) == ["core.a imports cli.b"]
    with pytest.raises(CycleError):
        tuple(TopologicalSorter(edges).static_order())


def test_the_architecture_has_the_same_rooms() -> None:
    page = (ENGINE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)/` \| .+ \| (.+) \|$", page, re.M)
    assert [(room, set(others.split(", ")) - {"none"}) for room, others in rows] == [
        (r, set(o)) for r, o in ROOMS.items()
    ]


def test_every_room_says_what_it_is_for() -> None:
    for room in ROOMS:
        assert ast.get_docstring(ast.parse((ENGINE / room / "__init__.py").read_text(encoding="utf-8"))), room


def test_modules_and_folders_stay_small() -> None:
    for folder in [ENGINE, *(p for p in ENGINE.rglob("*") if p.is_dir() and p.name != "__pycache__")]:
        files = list(folder.glob("*.py"))
        assert len(files) <= MODULES, f"{folder.name} holds {len(files)} modules"
        for path in files:
            lines = len(path.read_text(encoding="utf-8").splitlines())
            assert lines <= LINES, f"{path.relative_to(ENGINE)} has {lines} lines"
