"""Mutants of the program's own code: the operators of cosmic-ray and three more, a seeded sample of what they make.

Left out is what no test could see: annotations, which nothing evaluates, and docstrings. Of replacements of an operator
by another there is the one that a typing error or a slip of thought makes, ``<`` for ``<=``, ``+`` for ``-``.
"""

from __future__ import annotations

import ast
import difflib
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import parso  # before cosmic_ray, whose own package ast it would take for the standard one
from cosmic_ray.mutating import MutationVisitor
from cosmic_ray.operators.operator import Operator
from cosmic_ray.operators.provider import OperatorProvider

_SLIPS = (
    *("Eq_NotEq", "NotEq_Eq", "Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt", "Is_IsNot", "IsNot_Is", "In_NotIn", "NotIn_In"),
    *("Add_Sub", "Sub_Add", "Mul_Add", "Div_Mul", "FloorDiv_Mul", "Mod_Mul", "BitOr_BitAnd", "BitAnd_BitOr"),
)
_TAKEN = (
    *("AddNot", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd"),
    *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "ExceptionReplacer", "NumberReplacer"),
    *("RemoveDecorator", "ZeroIterationForLoop", "ReplaceUnaryOperator_Delete_Not", "ReplaceUnaryOperator_USub_UAdd"),
)


@dataclass(frozen=True)
class CodeMutant:
    """A module with one change: its path in the tree, the lines changed, the operator, and the whole new text."""

    path: str
    first: int
    last: int
    operator: str
    text: str

    def shows_at_import(self, root: Path) -> bool:
        """Whether its lines are run by an import: those of no function's body."""
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        nodes = [n for n in ast.walk(ast.parse((root / self.path).read_text("utf-8"))) if isinstance(n, functions)]
        return not any(n.body[0].lineno <= self.first <= (n.end_lineno or 0) for n in nodes)

    def change(self, root: Path) -> str:
        """The lines that go, after ``-``, and those that come, after ``+``."""
        old = (root / self.path).read_text("utf-8").splitlines()
        lines = difflib.unified_diff(old, self.text.splitlines(), lineterm="", n=0)
        return "\n".join(line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---"))


@dataclass(frozen=True)
class _Place:
    """Where an operator can change a module, by its how many-eth place there."""

    path: str
    first: int
    last: int
    operator: Operator
    occurrence: int


class DropCall(Operator):  # type: ignore[misc]
    """A call whose value is not used is left out."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        """Where it can do so."""
        if node.type == "simple_stmt" and node.children[0].type == "atom_expr":
            yield node.children[0].start_pos, node.children[0].end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """Do it."""
        call = node.children[0]
        node.children[0] = parso.python.tree.Name("pass", call.start_pos, prefix=call.get_first_leaf().prefix)
        return node

    @classmethod
    def examples(cls) -> tuple[()]:
        """None: cosmic-ray's own tests read them."""
        return ()


class ReturnNone(Operator):  # type: ignore[misc]
    """What is returned is None."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        """Where it can do so."""
        if node.type == "return_stmt" and node.children[1].get_code().strip() != "None":
            yield node.children[1].start_pos, node.children[1].end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """Do it."""
        node.children[1] = parso.python.tree.Name("None", node.children[1].start_pos, prefix=" ")
        return node

    @classmethod
    def examples(cls) -> tuple[()]:
        """None: cosmic-ray's own tests read them."""
        return ()


class DropArgument(Operator):  # type: ignore[misc]
    """An argument that is given by its name is left to its default."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        """Where it can do so."""
        if node.type == "arglist":
            for argument in _named(node):
                yield argument.start_pos, argument.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """Do it."""
        place = node.children.index(_named(node)[index])
        # With the comma before it, or the one behind the first.
        del node.children[max(place - 1, 0) : max(place + 1, 2)]
        return node

    @classmethod
    def examples(cls) -> tuple[()]:
        """None: cosmic-ray's own tests read them."""
        return ()


def _named(node: Any) -> list[Any]:
    return [c for c in node.children if c.type == "argument" and c.children[1] == "="]


def operators() -> list[Operator]:
    """The operators, in a fixed order."""
    provider = OperatorProvider()
    slips = [n for n in provider if n.startswith(("ReplaceBinary", "ReplaceComparison")) and n.endswith(_SLIPS)]
    return [provider[name]() for name in (*slips, *_TAKEN)] + [DropCall(), ReturnNone(), DropArgument()]


def places_of(root: Path, path: str, several: Sequence[Operator]) -> list[_Place]:
    """Every place of a module where an operator can change what is seen."""
    source = (root / path).read_text("utf-8")
    unseen = list(_unseen(source))
    counts: Counter[str] = Counter()
    found = []
    for node in _nodes(parso.parse(source)):
        for operator in several:
            name = type(operator).__name__
            for start, end in _positions(node, operator):
                if not any(first <= start and end <= last for first, last in unseen):
                    found.append(_Place(path, start[0], end[0], operator, counts[name]))
                counts[name] += 1
    return found


def _nodes(node: Any) -> Iterator[Any]:
    # In the order in which the visitor of cosmic-ray counts.
    yield node
    for child in getattr(node, "children", ()):
        yield from _nodes(child)


def _positions(node: Any, operator: Operator) -> list[tuple[Any, Any]]:
    try:
        return list(operator.mutation_positions(node))
    except (AttributeError, IndexError):  # of an except clause without a plain name
        return []


def _mutated(source: str, operator: Operator, occurrence: int) -> str | None:
    try:
        text = MutationVisitor.mutate_code(source, operator, occurrence)
        compile(text or "(", "mutant", "exec", dont_inherit=True)
    except (SyntaxError, AttributeError, IndexError, AssertionError):
        return None
    return str(text) if text != source else None


def _unseen(source: str) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Where annotations stand, and what is for type checkers alone: protocols, and that dataclasses are frozen."""
    for node in ast.walk(ast.parse(source)):
        for part in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if part is not None:
                yield (part.lineno, part.col_offset), (part.end_lineno, part.end_col_offset)
        if isinstance(node, ast.keyword) and node.arg == "frozen":
            yield (node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0)
        typing = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        protocol = isinstance(node, ast.ClassDef) and "Protocol" in map(ast.unparse, node.bases)
        if isinstance(node, ast.If | ast.ClassDef) and (typing or protocol):
            yield (node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0)


def sample(root: Path, paths: Sequence[str], count: int, seed: int) -> list[CodeMutant]:
    """So many mutants of some modules, one a line as long as there are lines."""
    several = operators()
    places = [place for path in paths for place in places_of(root, path, several)]
    random.Random(seed).shuffle(places)
    taken: set[tuple[str, int]] = set()
    first: list[_Place] = []
    rest: list[_Place] = []
    for place in places:
        (rest if (place.path, place.first) in taken else first).append(place)
        taken.add((place.path, place.first))
    made = (_made(root, place) for place in first + rest)
    return list(islice((mutant for mutant in made if mutant is not None), count))


def _made(root: Path, place: _Place) -> CodeMutant | None:
    text = _mutated((root / place.path).read_text("utf-8"), place.operator, place.occurrence)
    if text is None:
        return None
    return CodeMutant(place.path, place.first, place.last, type(place.operator).__name__, text)
