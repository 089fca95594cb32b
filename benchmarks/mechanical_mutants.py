"""Mutants that nobody chose: each operator, comparison and number of a correct cross-entropy, changed one by one.

They are made of ``examples/numpy_cross_entropy.py`` by rules that know nothing of losses. Some are equivalent to the
original: nothing can kill those.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.mutants.kit.mutant import Mutant

SOURCE = Path(__file__).resolve().parents[1] / "examples" / "numpy_cross_entropy.py"
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
}
_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {ast.NotEq: ast.Eq, ast.Eq: ast.NotEq}
_NAMES = {"max": "min", "sum": "mean", "exp": "exp2", "log": "log2"}


def changes(node: ast.AST) -> Iterator[tuple[str, Callable[[Any], None]]]:
    """Each change of a node: its name, and what makes it in a copy of the node."""
    if isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in _OPERATORS:
        other = _OPERATORS[type(node.op)]
        yield f"{type(node.op).__name__} to {other.__name__}", lambda n: setattr(n, "op", other())
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _COMPARISONS:
        compared = _COMPARISONS[type(node.ops[0])]
        yield f"{type(node.ops[0]).__name__} to {compared.__name__}", lambda n: setattr(n, "ops", [compared()])
    if isinstance(node, ast.Constant) and type(node.value) is int:
        yield f"{node.value} to {node.value + 1}", lambda n: setattr(n, "value", n.value + 1)
    if isinstance(node, ast.Constant) and type(node.value) is bool:
        yield f"{node.value} to {not node.value}", lambda n: setattr(n, "value", not n.value)
    if isinstance(node, ast.Attribute) and node.attr in _NAMES:
        called = _NAMES[node.attr]
        yield f"{node.attr} to {called}", lambda n: setattr(n, "attr", called)


def mechanical() -> Iterator[Mutant]:
    """The original first, as a control, then every mutant of its two functions."""
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.Import)]
    yield _mutant("original", tree, "control")
    for place, node in enumerate(ast.walk(tree)):
        for name, change in changes(node):
            wrong = copy.deepcopy(tree)
            target = next(n for i, n in enumerate(ast.walk(wrong)) if i == place)
            change(target)
            yield _mutant(f"line {getattr(node, 'lineno', 0)}: {name} ({place})", wrong, "mutant")


def _mutant(name: str, tree: ast.Module, kind: str) -> Mutant:
    space: dict[str, Any] = {}
    exec(compile(ast.fix_missing_locations(tree), str(SOURCE), "exec"), space)

    def taken(options: dict[str, Any]) -> dict[str, Any]:
        kept = {k: options[k] for k in ("ignore_index", "reduction") if k in options}
        return {k: v for k, v in kept.items() if v is not None}

    def value(x: Any, *, target: Any, **options: Any) -> Any:
        return space["cross_entropy"](x, target, **taken(options))

    def grad(x: Any, cotangent: Any, *, target: Any, **options: Any) -> Any:
        return space["gradient"](x, cotangent, labels=target, **taken(options))

    return Mutant(
        name,
        "cross_entropy",
        "mechanical",
        "one change of the text",
        value,
        grad,
        options=frozenset({"ignore_index", "reduction"}),
        targets=("index",),
        kind=kind,
        parent="mechanical: original",
    )
