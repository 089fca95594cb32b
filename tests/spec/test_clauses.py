"""Each clause of the specification is enforced: the stated answers and the controls pass, its mutants fail, and they
fail the calls of no other clause. ``pytest tests/spec -k 4.10-empty-none`` runs one."""

from __future__ import annotations

import pytest

pytest.importorskip("ml_dtypes", reason="mutants compute in bfloat16, which NumPy has from ml_dtypes")

from lossproof.adapters.protocol import DTYPES
from lossproof.core.observation import FAILING
from tests.mutants.kit.clause_kit import CLAUSE
from tests.mutants.kit.mutant import ONE_OF_EACH, Mutant
from tests.mutants.matrix.registry import collect
from tests.support.thinned import WHOLE, thinned

from .clause import Clause, Example
from .registry import CLAUSES, EXPLANATORY
from .text import sections, spans, unquoted
from .trial import answered, control, failing, shown

EACH = pytest.mark.parametrize("clause", CLAUSES.values(), ids=lambda c: c.id)
CONTROLS = [m for m in collect().values() if m.kind == "control"]
# A mutant, or a control, is put to one of so many of the clauses that are not its own where the tests are not whole.
TURNS = 96
JUDGED = [c for c in CLAUSES.values() if c.mutants and not c.spared]


def mutants(clause: Clause) -> list[Mutant]:
    return [collect()[name] for name in clause.mutants]


@EACH
def test_quotation(clause: Clause) -> None:
    for quote in clause.texts:
        assert spans(sections(), quote), quote


def test_every_word_is_quoted() -> None:
    quotes = [quote for clause in CLAUSES.values() for quote in clause.texts]
    assert unquoted(sections(), [*quotes, *EXPLANATORY]) == []
    # sanity check: a clause that is not quoted is found
    assert unquoted(sections(), [*(q for q in quotes if "per row `l_n" not in q), *EXPLANATORY])
    assert all(EXPLANATORY.values())


def test_ids() -> None:
    assert len(CLAUSES) == sum(len(ids) for ids in _by_section().values())
    assert set(_by_section()) == {"2", "3", "4", "5"}
    for clause in CLAUSES.values():
        assert set(clause.also) <= set(CLAUSES) - {clause.id}
        assert bool(clause.also) == bool(clause.because)
        assert clause.mutants or clause.shows or any(e.refuses for e in clause.examples) or clause.spared
        for e in clause.examples:
            assert e.dtypes


def _by_section() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in CLAUSES:
        found.setdefault(name[0], []).append(name)
    return found


def formats(clause: Clause, example: Example) -> list[str]:
    """Those of an example; in a change every other one, and of two clauses each other ones."""
    turn = list(CLAUSES).index(clause.id) % min(2, len(example.dtypes))
    return [*example.dtypes] if WHOLE else thinned(example.dtypes[turn:], to=2)


@EACH
def test_clause(clause: Clause) -> None:
    """What is stated passes, what is refused fails; so do the control and the mutants."""
    if clause.shows:
        clause.shows()
    for e in clause.examples:
        answers = [*e.accepts, *e.refuses]
        for dtype in formats(clause, e) if answers else ():
            for n, (answer, seen) in enumerate(zip(answers, answered(e, dtype, answers), strict=True)):
                wrong = [o.message for o in seen if o.verdict in FAILING]
                assert seen
                assert bool(wrong) == (n >= len(e.accepts)), (dtype, answer, wrong)
    for op in sorted(clause.ops):
        right = collect()[clause.control] if clause.control.startswith(f"control {op}:") else control(op)
        (found,) = failing(clause, [right]).values()
        assert [o.message for o in found] == []
    for mutant in mutants(clause):
        (found,) = failing(clause, [mutant], across=clause.across).values()
        if clause.spared:
            assert [o.message for o in found] == []
            met = {item for o in shown(clause, mutant) for item in o.conventions.items()}
            assert set(clause.records.items()) <= met
        else:
            dtypes = {o.case.dtype for o in found}
            wanted = set(mutant.expect or mutant.dtypes) & {d for e in clause.examples for d in e.dtypes}
            assert wanted
            assert "all" in dtypes or dtypes >= wanted, f"not killed in {wanted - dtypes}"


def mutant_dtypes(clause: Clause) -> tuple[str, ...]:
    """Those in which most mutants run; all where a clause is about others."""
    usual = {d for e in clause.examples for d in e.dtypes} & set(ONE_OF_EACH)
    return tuple(sorted(usual)) or DTYPES


@pytest.fixture(scope="module")
def kills() -> dict[str, dict[str, str]]:
    """Mutant -> the clauses whose calls it fails, with a message."""
    found: dict[str, dict[str, str]] = {}
    wrong = {m.id: m for c in JUDGED for m in mutants(c)}
    said = {name: {c.id, *c.also} for c in JUDGED for name in c.mutants}
    for turn, clause in enumerate(CLAUSES.values()):
        # Those that the clause is said to kill are asked always, the others in turns.
        own = [m for name, m in wrong.items() if clause.id in said[name]]
        others = [m for m in [*wrong.values(), *CONTROLS] if clause.id not in said.get(m.id, ())]
        some = [m for m in [*own, *thinned(others[0 if WHOLE else turn % TURNS :], to=TURNS)] if m.op in clause.ops]
        for name, observations in failing(clause, some, dtypes=mutant_dtypes(clause)).items():
            if observations:
                found.setdefault(name, {})[clause.id] = observations[0].message
    return found


@pytest.mark.parametrize("clause", JUDGED, ids=lambda c: c.id)
def test_mutant_violates_just_clause(clause: Clause, kills: dict[str, dict[str, str]]) -> None:
    for name in clause.mutants:
        others = {k: v for k, v in kills.get(name, {}).items() if k != clause.id}
        assert set(others) <= set(clause.also), others
    seen = {k for name in clause.mutants for k in kills.get(name, {})}
    assert set(clause.also) <= seen, f"not violated after all: {set(clause.also) - seen}"


@pytest.mark.parametrize("mutant", CONTROLS, ids=lambda m: m.id)
def test_controls_violate_no_clause(mutant: Mutant, kills: dict[str, dict[str, str]]) -> None:
    assert kills.get(mutant.id, {}) == {}


def test_mutants_of_clauses_are_listed() -> None:
    listed = {name for c in CLAUSES.values() for name in c.mutants}
    assert listed <= set(collect())
    for m in collect().values():
        if m.row.startswith("clause "):
            assert m.id in listed, m.id
            assert m.source.removeprefix(CLAUSE) in CLAUSES, m.source
