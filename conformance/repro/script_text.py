"""The text of a reproducer: an adapter's program with the truth in place of the printed results.

All functions here are pure: text in, text out.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lossproof.adapters.protocol import OUTPUTS, Problem
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.repro.checked_entry import Entry

# Programs have fewer lines: empty ones are left out where they would have more.
LINES = 30
_REPLIES = {
    "answer": "an error, as the input is invalid",
    "refusal": "an answer",
    "either": "an error or an accepted answer",
}
_CALL = re.compile(r"((?:\w+, )*\w+),? = ([\w.]+\(.*\))")
_PRINT = re.compile(r'print\("(\w+)", (.+)\)')


@dataclass(frozen=True)
class Finding:
    """A finding is what a program is to show: an observation of a problem, and the kind of it.

    ``kind`` is ``value`` (what is wrong is the value at ``entry``), ``raises`` (there is no answer), ``shape`` or
    ``dtype`` (the answer has another one than it must), ``answer`` (there is one, to invalid input), ``refusal`` (there
    is none, to unusual input) or ``either`` (both will do). ``said`` is what was observed with which ``versions``;
    ``command`` is the command line that writes the program.
    """

    observation: Observation
    problem: Problem
    entry: Entry | None
    kind: str
    said: str
    versions: str
    command: str


@dataclass(frozen=True)
class ProgramParts:
    """An adapter's program for one output, in its parts.

    ``title`` is its first line; ``given`` are the lines that set the inputs, ``computed`` those that compute from them,
    ``expression`` is the output, and ``versions`` the line that prints the framework's version.
    """

    title: str
    given: tuple[str, ...]
    computed: tuple[str, ...]
    expression: str
    versions: str


def parts(text: str, output: str, *, whole: bool = False) -> ProgramParts:
    """Take an adapter's program apart; what computes other outputs is left out unless it is wanted ``whole``.
    Raises :class:`UsageError` if ``text`` is no program of the form that adapters agree on.
    """
    lines = text.splitlines()
    prints = [m for m in map(_PRINT.fullmatch, lines) if m]
    expression = next((m[2] for m in prints if m[1] == output), None)
    if expression is None:
        raise UsageError(
            f'the adapter\'s program is none of Python that ends with print("{output}", EXPRESSION), as '
            "adapters/protocol.py has it; lossproof explain prints it as it is"
        )
    kept = [line for line in lines if not ((m := _PRINT.fullmatch(line)) and m[1] in OUTPUTS)]
    title, body, versions = kept[0], kept[1:-1], kept[-1]
    if not whole:
        body = _needed(body, expression)
    # One empty line where there are several; none at the start of a block.
    body = [line for i, line in enumerate(body) if line or (i and body[i - 1])]
    start = len(body) - body[::-1].index("") if "" in body else 0
    computed, expression = _picked(body[start:], expression)
    return ProgramParts(title, tuple(body[:start]), tuple(computed), expression, versions)


def _picked(computed: list[str], expression: str) -> tuple[list[str], str]:
    """Put a call in the place of the one result that is looked at, if the last line names all results of that call."""
    found = _CALL.fullmatch(computed[-1]) if computed else None
    names = found[1].split(", ") if found else []
    used = [name for name in names if re.search(rf"\b{name}\b", expression)]
    if found is None or len(names) < 2 or len(used) != 1 or len(re.findall(rf"\b{used[0]}\b", expression)) != 1:
        return computed, expression
    return computed[:-1], re.sub(rf"\b{used[0]}\b", lambda _: f"{found[2]}[{names.index(used[0])}]", expression)


def script(text: str, finding: Finding) -> str:
    """Write the program that shows a finding, from the program of an adapter.

    Raises :class:`UsageError` if ``text`` is no program of the form that adapters agree on (adapters/protocol.py).
    """
    found = parts(text, finding.observation.output, whole=finding.kind in ("raises", "refusal"))
    ending = [*_ending(finding, found.expression, list(found.computed)), found.versions]
    return laid_out(finding.command, found.title, finding.versions, finding.said, [*found.given, *ending])


def laid_out(command: str, title: str, versions: str, said: str, lines: Sequence[str]) -> str:
    """Write a reproducer: its head, the ``lines`` that leave the verdict in ``right``, and its end."""
    head = [f"# {command}", title, f"# Observed with {versions}: {_one_line(said)}"]
    made = [*head, *lines, "raise SystemExit(0 if right else 1)"]
    if len(made) >= LINES:
        made = [line for line in made if line]
    return "\n".join(made) + "\n"


def _needed(lines: list[str], expression: str) -> list[str]:
    """Drop the statements that compute other outputs: they set only names that nothing uses afterwards."""
    names = _names(ast.parse(expression), ast.Load)
    dropped: set[int] = set()
    for statement in reversed(ast.parse("\n".join(lines)).body):
        sets = _names(statement, ast.Store) | _bound(statement)
        if sets and not sets & names and not isinstance(statement, ast.For):
            dropped |= set(range(statement.lineno - 1, statement.end_lineno or statement.lineno))
        else:
            # What is set here is not needed before; of a function's own names that cannot be said.
            names -= sets if isinstance(statement, ast.Assign | ast.With) else set()
            names |= _names(statement, ast.Load)
    return [line for i, line in enumerate(lines) if i not in dropped]


def _names(tree: ast.AST, context: type[ast.expr_context]) -> set[str]:
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, context)}


def _bound(statement: ast.stmt) -> set[str]:
    """Return the names that a statement binds as a function or by an import."""
    if isinstance(statement, ast.FunctionDef):
        return {statement.name}
    if isinstance(statement, ast.ImportFrom):
        return {a.asname or a.name for a in statement.names}
    if isinstance(statement, ast.Import):
        # The framework itself is needed for its version.
        return {a.asname for a in statement.names if a.asname and "." in a.name}
    return set()


def _one_line(text: str) -> str:
    short = " ".join(text.split())
    return short if len(short) <= 100 else short[:97] + "..."


def _ending(f: Finding, expression: str, computed: list[str]) -> Iterator[str]:
    """Write the lines from the computation to the verdict in ``right``."""
    output, p = f.observation.output, f.problem
    wanted = p.shape_of(output)
    index = "".join(f"[{i}]" for i in f.observation.index)
    if f.kind in _REPLIES:
        got, refused = f.observation.got, f.kind != "refusal"
        right = "observed == observed" if got is not None and math.isnan(got) else "observed != observed"
        right = right if f.kind == "answer" else "True"
        yield from _attempt([*computed, f"observed = {expression}{index}", f"right = {right}"], str(refused))
        yield f'print("{output}: observed", observed, "expected {_REPLIES[f.kind]}")'
        return
    if f.kind == "shape":
        yield from computed
        yield f"observed = tuple({_tensor(expression)}.shape)"
        yield f"right = observed == {wanted!r}"
        yield f'print("shape of {output}: observed", observed, "expected", {wanted!r})'
        return
    if f.kind == "dtype":
        kind = p.dtype_of(output)
        yield from computed
        yield f"observed = str({_tensor(expression)}.dtype)"
        yield f'right = "{kind}" in observed'
        yield f'print("dtype of {output}: observed", observed, "expected {kind}")'
        return
    # sanity check: values have entries
    assert f.entry is not None
    index = "".join(f"[{i}]" for i in f.entry.index)
    lines = [*computed, f"observed = {expression}{index}", *f.entry.source()]
    exact = f.entry.source()
    if f.kind == "raises":
        first, *_ = exact
        yield first
        yield from _attempt([line for line in lines if line != first], "False")
    else:
        yield from lines
    where = f"[{', '.join(map(str, f.entry.index))}]" if f.entry.index else ""
    yield f'print("{output}{where}: observed", observed, "exact", exact, "allowed error", allowed)'


def _tensor(expression: str) -> str:
    """The tensor whose entries an expression lists: what is before its conversion, or the name that it begins with."""
    before, converted, _ = expression.partition(".astype(")
    return before if converted else expression.split(".")[0]


def _attempt(lines: list[str], verdict: str) -> Iterator[str]:
    yield "try:"
    yield from ("    " + line for line in lines)
    yield "except Exception as error:"
    yield f"    observed, right = repr(error), {verdict}"
