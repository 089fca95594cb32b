"""The deck kills every wrong implementation of ``tests/mutants`` and touches no correct one.

To add a mutant, see ``tests/mutants/README.md``.
"""

from __future__ import annotations

import pytest

from lossproof.cases.catalogue import select
from lossproof.cases.families import FAMILIES

pytest.importorskip("ml_dtypes", reason="mutants compute in bfloat16, which NumPy has from ml_dtypes")

from tests.mutants.kit.mutant import Mutant
from tests.mutants.matrix.kill import Matrix, distinct, matrix, weak
from tests.mutants.matrix.registry import collect
from tests.mutants.matrix.table import PATH, render
from tests.spec import table as coverage
from tests.spec.registry import CLAUSES

MUTANTS = collect()
WRONG = [m for m in MUTANTS.values() if m.kind == "mutant"]
CONTROLS = [m for m in MUTANTS.values() if m.kind == "control"]
# Families that kill nothing that ordinary logits of the same shapes do not kill, and why they stay in the deck.
REDUNDANT = {
    "ordinary": "the yardstick",
}


@pytest.fixture(scope="session")
def kills() -> Matrix:
    """One run of everything: truth is shared by all mutants."""
    return matrix(MUTANTS, select())


@pytest.mark.parametrize("mutant", WRONG, ids=lambda m: m.id)
def test_killed(kills: Matrix, mutant: Mutant) -> None:
    for dtype in mutant.dtypes:
        kill = kills[mutant.id, dtype]
        assert kill.judged > 0, f"no {dtype} call applies to it"
        if dtype not in mutant.expect:
            continue
        assert kill.killed, f"{mutant.why}: worst share {kill.worst:.3g} in {kill.judged} {dtype} outputs"
    if mutant.allowed:
        seen = [kills[mutant.id, dtype] for dtype in mutant.dtypes]
        assert not any(kill.killed for kill in seen), f"killed although {mutant.allowed} allows it: {seen[0].message}"
        assert any(kill.differing for kill in seen), f"no bit differs from {mutant.reference}"


def test_no_kill_hangs_on_one_call(kills: Matrix) -> None:
    assert weak(MUTANTS, kills) == {}


@pytest.mark.parametrize("control", CONTROLS, ids=lambda m: m.id)
def test_untouched(kills: Matrix, control: Mutant) -> None:
    for dtype in control.dtypes:
        kill = kills[control.id, dtype]
        assert kill.judged > 0, "no call applies to it"
        assert not kill.killed, f"{control.why}: {kill.message}"


@pytest.mark.parametrize("mutant", [m for m in WRONG if m.family], ids=lambda m: m.id)
def test_killed_by_the_family_made_for_it(kills: Matrix, mutant: Mutant) -> None:
    names = {name.strip() for name in mutant.family.split(",")}
    # sanity check: families exist
    assert names <= set(FAMILIES)
    seen = {family for dtype in mutant.expect for family in kills[mutant.id, dtype].families}
    assert names <= seen, f"killed by {sorted(seen)} only"


@pytest.mark.parametrize("family", list(FAMILIES))
def test_every_family_is_needed(kills: Matrix, family: str) -> None:
    found = distinct(MUTANTS, kills)[family]
    if family in REDUNDANT:
        assert not found, f"{family} is needed after all: {found}"
    else:
        assert found, f"{family} kills no mutant that ordinary logits do not kill"


def test_the_table_of_upstream_bugs_is_current(kills: Matrix) -> None:
    assert PATH.read_text(encoding="utf-8") == render(MUTANTS, kills), "run python -m tests.mutants --table"


def test_the_table_of_clauses_is_current(kills: Matrix) -> None:
    assert coverage.PATH.read_text(encoding="utf-8") == coverage.render(CLAUSES, kills), "run python -m tests.spec"
