"""The deck kills every wrong implementation of ``tests/mutants`` and touches no correct one.

Wrong ones are put to the calls that are recorded as killing them. If they live on, the whole deck says whether it is
the deck that has lost a kill, or the record. To add a mutant, see ``tests/mutants/README.md``.
"""

from __future__ import annotations

import pytest

from lossproof.cases.families import FAMILIES

pytest.importorskip("ml_dtypes", reason="mutants compute in bfloat16, which NumPy has from ml_dtypes")

from tests.mutants.kit.mutant import Mutant
from tests.mutants.matrix import table
from tests.mutants.matrix.kill import made_for, unexpected, weak
from tests.mutants.matrix.record import COMMAND, PATH, YARDSTICK, read, text, witness_troubles
from tests.mutants.matrix.registry import collect
from tests.mutants.matrix.verify import Verified, verified
from tests.spec import table as coverage
from tests.spec.registry import CLAUSES
from tests.support.decks import whole
from tests.support.thinned import WHOLE

MUTANTS = collect()
WRONG = [m for m in MUTANTS.values() if m.kind == "mutant"]
CONTROLS = [m for m in MUTANTS.values() if m.kind == "control"]
RECORD = read()


# In the runs of every change a control takes a turn of so many, at night all calls.
TURNS = 48


@pytest.fixture(scope="session")
def found() -> Verified:
    """One run of everything: truth is shared by all mutants."""
    return verified(MUTANTS, whole(), RECORD, turns=1 if WHOLE else TURNS)


@pytest.mark.parametrize("mutant", WRONG, ids=lambda m: m.id)
def test_killed(found: Verified, mutant: Mutant) -> None:
    assert unexpected(mutant, found.kills) == {}
    assert mutant.id not in found.troubles, f"killed, but not as recorded: {found.troubles[mutant.id]}; run {COMMAND}"
    if mutant.allowed:
        seen = [found.kills[mutant.id, dtype] for dtype in mutant.dtypes]
        assert any(kill.differing for kill in seen), f"no bit differs from {mutant.reference}"


def test_no_kill_hangs_on_one_call(found: Verified) -> None:
    assert weak(MUTANTS, found.kills) == {}


@pytest.mark.parametrize("control", CONTROLS, ids=lambda m: m.id)
def test_untouched(found: Verified, control: Mutant) -> None:
    assert unexpected(control, found.kills) == {}


@pytest.mark.parametrize("mutant", [m for m in WRONG if m.family], ids=lambda m: m.id)
def test_killed_by_the_family_made_for_it(found: Verified, mutant: Mutant) -> None:
    names = set(made_for(mutant))
    # sanity check: families exist
    assert names <= set(FAMILIES)
    seen = {family for dtype in mutant.expect for family in found.kills[mutant.id, dtype].families}
    assert names <= seen, f"killed by {sorted(seen)} only"


@pytest.mark.parametrize("family", [f for f in FAMILIES if f != YARDSTICK])
def test_every_family_is_needed(found: Verified, family: str) -> None:
    """It kills a mutant that ordinary logits of the same shapes, the yardstick, do not kill."""
    wrong = witness_troubles(MUTANTS, RECORD, found.kills)
    assert family not in wrong, f"{wrong[family]}; {COMMAND} looks for another"


def test_the_record_is_of_mutants_that_are_there() -> None:
    expected = {m.id: set(m.expect) for m in WRONG if m.expect}
    recorded = {name: set(of) for name, of in RECORD.killers.items()}
    assert recorded == expected, f"run {COMMAND}"
    assert set(RECORD.witnesses) == set(FAMILIES) - {YARDSTICK}, f"run {COMMAND}"
    assert PATH.read_text(encoding="utf-8") == text(RECORD), f"run {COMMAND}"


def test_the_table_of_upstream_bugs_is_current() -> None:
    assert table.PATH.read_text(encoding="utf-8") == table.render(MUTANTS, RECORD), f"run {COMMAND}"


def test_the_table_of_clauses_is_current() -> None:
    assert coverage.PATH.read_text(encoding="utf-8") == coverage.render(CLAUSES, RECORD), "run python -m tests.spec"
