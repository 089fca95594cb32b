"""Ids of cases: one type reads and writes them, and no other module of the engine takes one apart."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossproof.adapters.protocol import OPS, Problem
from lossproof.cases.catalogue import select
from lossproof.cases.explore.calls import calls
from lossproof.core.call import Call, from_json
from lossproof.core.case_id import ALL, CONVENTION, CaseId, Kind, is_of_check, is_of_implementation
from lossproof.core.errors import UsageError
from lossproof.judging.check import Check
from lossproof.running.loop import run
from lossproof.targets.target import parse_target
from tests.support.decks import whole
from tests.support.thinned import WHOLE, at_least

ENGINE = Path(__file__).resolve().parents[2] / "conformance"
SPLITS = {"split", "rsplit", "partition", "rpartition"}
MATCHES = {"match", "fullmatch", "search", "findall", "finditer", "split", "sub"}
PARTS = st.from_regex(r"[a-z][a-z0-9_.-]{0,8}", fullmatch=True)
PROBLEM = Problem("softmax", "float32", np.zeros((2, 4)), cotangent=np.zeros((2, 4)))


@pytest.fixture(scope="module")
def deck() -> Sequence[Call]:
    return whole("default" if WHOLE else "smoke")


def holds(call: Call) -> None:
    """An id reads back to itself, and its parts are those of the call."""
    case = CaseId.parse(call.id)
    assert str(case) == call.id
    assert case == call.case
    name = call.name if isinstance(call, Check) else ""
    assert (case.op, case.dtype, case.family, case.name) == (call.problem.op, call.problem.dtype, call.family, name)
    assert case.kind == (call.family if isinstance(call, Check) else Kind.CALL)
    assert (case.clause, case.output) == ("", "")
    assert case.digest == call.digest
    assert is_of_check(call.id) == isinstance(call, Check)
    assert call.id.startswith(case.mechanism)
    assert call.id == case.without_digest + case.digest


def test_every_id_of_the_deck_reads_back(deck: Sequence[Call]) -> None:
    kinds = {c.case.kind for c in deck}
    # sanity check: calls, relations and error cases are all there
    assert kinds == {Kind.CALL, Kind.RELATION, Kind.ERROR}
    for call in deck:
        holds(call)


@settings(max_examples=at_least(200, to=4), deadline=None)
@given(st.data())
def test_every_id_of_an_explored_call_reads_back(data: st.DataObject) -> None:
    holds(data.draw(calls(data.draw(st.sampled_from(OPS)))))


def test_every_id_that_is_said_at_the_end_of_a_run_reads_back() -> None:
    asked = select("smoke", ops=("softmax", "nll_loss"), families=("nan_row", "masked", "error"))
    said = [o for o in run([parse_target("numpy")], asked) if o.case.family == CONVENTION]
    assert said, "sanity check: conventions are shown"
    for o in said:
        assert str(o.case) == o.id
        assert o.case.kind is Kind.CONVENTION
        assert o.case == CaseId.of_convention(o.case.op, o.case.clause, o.output)
        assert is_of_implementation(o.id)
        assert o.case.mechanism == f"{o.case.op}/{ALL}/{CONVENTION}/clause-{o.case.clause}/"


@settings(max_examples=at_least(100, to=4), deadline=None)
@given(op=st.sampled_from(OPS), dtype=PARTS.filter(lambda d: d != ALL), clause=st.integers(1, 99))
def test_ids_of_whole_runs_read_back(op: str, dtype: str, clause: int) -> None:
    convention = CaseId.of_convention(op, str(clause), "vjp")
    assert CaseId.parse(f"{op}/all/convention/clause-{clause}/vjp") == convention
    assert (convention.clause, convention.output, convention.kind) == (str(clause), "vjp", Kind.CONVENTION)
    modes = CaseId.of_modes(op, dtype)
    assert CaseId.parse(f"{op}/{dtype}/convention/modes/all") == modes
    assert (modes.clause, modes.output, modes.kind) == ("", "", Kind.MODES)
    assert not is_of_implementation(str(modes))


@settings(max_examples=at_least(100, to=4), deadline=None)
@given(st.tuples(PARTS, PARTS, PARTS, PARTS, PARTS).filter(lambda p: p[1] != ALL))
def test_any_five_parts_read_back(parts: tuple[str, ...]) -> None:
    assert CaseId.parse("/".join(parts)) == CaseId(*parts)


@pytest.mark.parametrize(
    "text",
    [
        *("", "softmax", "softmax/float32/hot/n2-k4", "softmax/float32/hot/n2-k4/0/1", "softmax//hot/n2-k4/0"),
        *("softmax/float32/hot/n2-k4/", "/float32/hot/n2-k4/0", "softmax/float32/hot\n/n2-k4/0", "a/b/c/d/e\n"),
        *("softmax/all/hot/n2-k4/0", "softmax/float32/convention/clause-4/value", "softmax/all/convention/modes/all"),
    ],
)
def test_bad_ids_say_what_is_expected(text: str) -> None:
    with pytest.raises(UsageError, match=re.escape(repr(text)) + ".*expected .*OP/"):
        CaseId.parse(text)


def test_bad_ids_name_the_nearest(deck: Sequence[Call]) -> None:
    known = [c.id for c in deck if c.case.op == "softmax"]
    with pytest.raises(UsageError, match=f"; nearest: .*{known[0]}"):
        CaseId.parse(known[0].rpartition("/")[0], known)
    with pytest.raises(UsageError, match=f"; nearest: {known[0]}$"):
        CaseId.parse(known[0].partition("/")[2], known)
    with pytest.raises(UsageError, match=r"DIGEST$"):
        CaseId.parse("0123", known)


@pytest.mark.parametrize("family", ["a/b", "a b", "a\nb", 3])
def test_no_family_can_break_an_id(family: object) -> None:
    data = Call(PROBLEM, "mine").to_json() | {"family": family}
    with pytest.raises(UsageError, match=r"family .* has a space or a slash, or is no text"):
        from_json(data)


def taken_apart(tree: ast.AST) -> Iterator[int]:
    """Lines on which something is split at slashes, or an attribute ``id`` is sliced or matched."""

    def is_id(node: ast.expr) -> bool:
        return isinstance(node, ast.Attribute) and node.attr == "id"

    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and is_id(node.value):
            yield node.lineno
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            slash = any(isinstance(a, ast.Constant) and a.value == "/" for a in node.args)
            if node.func.attr in SPLITS and (slash or is_id(node.func.value)):
                yield node.lineno
            if node.func.attr in MATCHES and any(map(is_id, node.args)):
                yield node.lineno


def test_nothing_else_takes_ids_apart() -> None:
    found = {
        f"{path.relative_to(ENGINE)}:{line}"
        for path in ENGINE.rglob("*.py")
        for line in taken_apart(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert {name for name in found if name.startswith("core/case_id.py")}, "sanity check: the search finds the reader"
    assert {name for name in found if not name.startswith("core/case_id.py")} == set()
    for path in ENGINE.rglob("*.js"):
        assert not re.search(r"split\(\s*[\"'/]/", path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize(
    "text",
    [
        *('o.id.split("/")', 'x.rpartition("/")', "o.id[:8]", "_SHAPE.match(o.id)", 're.search("k4", o.id)'),
        *('o.id.partition("-")', '[*a.id.split("/"), ""][:2]'),
    ],
)
def test_the_search_sees_what_it_forbids(text: str) -> None:
    assert list(taken_apart(ast.parse(text)))
