"""Docstrings that can be read out of order: in a hover, in an API reference, in an outline.

A first sentence that begins with "The same" or "Those" leans on the docstring above it, one that begins with "What" or
"Which" names a thing without its noun.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lossproof.adapters.outputs import Output
from lossproof.adapters.protocol import Capabilities, Description, Outcome, Problem, Support
from lossproof.core.batch import Batch
from lossproof.core.formats import Format
from lossproof.core.operations import Op
from lossproof.truth.bounds.error_model import Model
from lossproof.truth.bounds.softmax import SoftmaxTerms
from lossproof.truth.expected import Expected
from lossproof.truth.row_quantities import Rows

ENGINE = Path(__file__).resolve().parents[2] / "conformance"
ADAPTERS = ENGINE.parent / "adapters"
LEANING = re.compile(
    r"(The same|Those|These|This|That|It|They|What|Which|Whether|Where|When|Who|How|As|Also|Likewise|Another|Others?"
    r"|Both|Such)\b"
)


def docstrings(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The docstring of a module, and those of its public classes, functions and methods, by name."""
    pending: list[tuple[str, ast.AST]] = [("", tree)]
    while pending:
        name, node = pending.pop()
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield name or "(module)", text
        if isinstance(node, ast.Module | ast.ClassDef):
            inner = (n for n in node.body if isinstance(n, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef))
            pending += [(f"{name}.{n.name}".lstrip("."), n) for n in inner if not n.name.startswith("_")]


def leaning(path: Path) -> list[str]:
    """The docstrings of a file whose first words lean on something else."""
    found = docstrings(ast.parse(path.read_text(encoding="utf-8")))
    return [f"{path.name}: {name}: {text.splitlines()[0]}" for name, text in found if LEANING.match(text)]


@pytest.mark.parametrize("folder", [ENGINE, ADAPTERS], ids=lambda folder: folder.name)
def test_docstrings_can_be_read_out_of_order(folder: Path) -> None:
    files = sorted(folder.rglob("*.py"))
    # sanity check: the folder has docstrings
    assert any(list(docstrings(ast.parse(f.read_text(encoding="utf-8")))) for f in files)
    assert [line for f in files for line in leaning(f)] == []


def described(kind: type) -> set[str]:
    """The names at the beginning of the rows of a table in a docstring."""
    # From 3.13 on the compiler takes the indentation away.
    text = inspect.cleandoc(kind.__doc__ or "")
    return {name for row in text.splitlines() if row.startswith("``") for name in re.findall(r"``(\w+)``", row[:36])}


TABLES = (
    *(Problem, Outcome, Support, Capabilities, Description, Output),
    *(Batch, Format, Op, Rows, Expected, Model, SoftmaxTerms),
)


@pytest.mark.parametrize("kind", TABLES)
def test_every_field_has_a_row_in_the_table(kind: type) -> None:
    fields = {field.name for field in dataclasses.fields(kind)}
    assert fields - described(kind) == set()


def test_a_field_without_a_row_is_seen() -> None:
    half = type("Half", (), {"__doc__": "Half a table.\n\n    ``a``  a row\n    and ``b`` in a sentence\n"})
    assert described(half) == {"a"}


def test_the_rule_sees_what_it_forbids(tmp_path: Path) -> None:
    path = tmp_path / "room.py"
    path.write_text(
        '''"""A thatch."""
class A:
    """Those."""
    def b(self):
        """What is said."""
    def _c(self):
        """Which."""
''',
        encoding="utf-8",
    )
    assert leaning(path) == ["room.py: A: Those.", "room.py: A.b: What is said."]
