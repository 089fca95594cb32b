"""The record of kills decides nothing: who lives now is found alive, whatever the record says, and what it has wrong is
said. A control that has become wrong is touched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ml_dtypes", reason="mutants compute in bfloat16, which NumPy has from ml_dtypes")

from lossproof.cases.catalogue import select
from lossproof.core.call import Call
from tests.mutants.kit.mutant import Mutant
from tests.mutants.matrix.kill import Kill, unexpected, weak
from tests.mutants.matrix.record import Record, chosen, read, text, troubles, witness_troubles
from tests.mutants.matrix.registry import collect
from tests.mutants.matrix.verify import recorded, renewed, verified
from tests.support.thinned import WHOLE, nightly, thinned

MUTANTS = collect()
MUTANT = MUTANTS["upstream log_softmax: x - lse"]
CONTROL = MUTANTS["control softmax: np"]
ALLOWED = MUTANTS["upstream log_softmax: tail flushed"]
CONVENTION = MUTANTS["clause softmax: limit at +inf in float16 only"]


@pytest.fixture(scope="module")
def every_size() -> list[Call]:
    families = {"ordinary", "offset", "all_negative", "positive_infinity"}
    calls = select(ops=["softmax", "log_softmax"], families=families)
    return [c for c in calls if c.outline.x.size < 1000]


@pytest.fixture(scope="module")
def deck(every_size: list[Call]) -> list[Call]:
    # What is wrong shows in the smallest calls, but in bfloat16 in few of them.
    calls = [c for c in every_size if WHOLE or c.outline.x.size < 100 or c.outline.dtype == "bfloat16"]
    # sanity check: small calls of every format are there
    assert {c.outline.dtype for c in calls} == set(CONTROL.dtypes)
    return calls


@pytest.fixture(scope="module")
def record(deck: list[Call]) -> Record:
    return renewed({m.id: m for m in (MUTANT, CONVENTION)}, deck, Record(), processes=1)


def test_what_is_recorded_kills(record: Record, deck: list[Call]) -> None:
    several = {m.id: m for m in (MUTANT, CONVENTION, CONTROL)}
    found = verified(several, deck, record, processes=1)
    assert found.troubles == {}
    assert [unexpected(m, found.kills) for m in several.values()] == [{}, {}, {}]
    assert weak(several, found.kills) == {}
    for dtype in MUTANT.expect:
        kill = found.kills[MUTANT.id, dtype]
        assert sorted(kill.killers) == sorted(record.of((MUTANT.id, dtype)))
        assert len(kill.killers) == 2
    # It is killed by no call alone.
    assert {r.rpartition(" ")[0] for dtype in CONVENTION.expect for r in record.of((CONVENTION.id, dtype))} == {
        "convention"
    }


def test_killers_of_different_labels_and_of_the_families_made_for_a_mutant_are_chosen() -> None:
    kill = Kill(9, 9, killers=["offset 1", "offset 2", "cliff 3", "hot 4", "spread 5"])
    assert chosen(replace(MUTANT, family=""), kill, ()) == ["offset 1", "cliff 3"]
    assert chosen(replace(MUTANT, family="spread"), kill, ()) == ["spread 5", "offset 1"]
    assert chosen(replace(MUTANT, family="hot, spread, cliff"), kill, ()) == ["hot 4", "spread 5", "cliff 3"]
    assert chosen(MUTANT, Kill(9, 9, killers=["error 13-k 1", "error 13-k 2"]), ()) == ["error 13-k 1", "error 13-k 2"]
    assert chosen(MUTANT, Kill(9, 9, killers=["cliff 3"]), ()) == ["cliff 3"]


def test_a_mutant_that_has_become_harmless_lives(record: Record, deck: list[Call]) -> None:
    right = MUTANTS["control log_softmax: np"]
    harmless = replace(MUTANT, value=right.value, grad=right.grad, derivatives=right.derivatives)
    found = verified({MUTANT.id: harmless}, deck, record, processes=1)
    lives = unexpected(harmless, found.kills)
    assert set(lives) == set(MUTANT.expect)
    assert all("survives" in line for line in lives.values())


def test_a_stale_record_is_told_from_a_kill_that_is_lost(record: Record, deck: list[Call]) -> None:
    dtype = MUTANT.expect[0]
    first, *others = record.of((MUTANT.id, dtype))
    stale = Record({MUTANT.id: {**record.killers[MUTANT.id], dtype: [f"{first[:-8]}00000000", *others]}})
    found = verified({MUTANT.id: MUTANT}, deck, stale, processes=1)
    assert found.troubles == {MUTANT.id: f"recorded and does not kill it in {dtype}: {first[:-8]}00000000"}
    assert unexpected(MUTANT, found.kills) == {}
    again = renewed({MUTANT.id: MUTANT}, deck, stale, processes=1)
    assert troubles({MUTANT.id: MUTANT}, again, recorded({MUTANT.id: MUTANT}, deck, again, processes=1)) == {}


def test_a_mutant_that_is_not_recorded_is_said(deck: list[Call]) -> None:
    found = verified({MUTANT.id: MUTANT}, deck, Record(), processes=1)
    assert set(found.troubles) == {MUTANT.id}
    assert "no call that kills it in" in found.troubles[MUTANT.id]


def test_a_control_that_has_become_wrong_is_touched(deck: list[Call]) -> None:
    def off(x: np.ndarray, **options: Any) -> np.ndarray:
        return np.asarray(CONTROL.value(x, **options) * x.dtype.type(1 + 2.0**-6))

    wrong: Mutant = replace(CONTROL, value=off)
    found = verified({CONTROL.id: wrong}, deck, Record(), processes=1)
    touched = unexpected(wrong, found.kills)
    assert set(touched) == set(CONTROL.dtypes)
    assert all("a control is killed" in line for line in touched.values())


@pytest.mark.parametrize("step", [pytest.param(2.0**-6, marks=nightly), -(2.0**-6)])
def test_one_that_a_clause_allows_and_that_has_become_wrong_is_killed(step: float, deck: list[Call]) -> None:
    """It is judged together with its parent, by the lower and the upper ends of their answers."""

    def off(x: np.ndarray, **options: Any) -> np.ndarray:
        return np.asarray(ALLOWED.value(x, **options) * x.dtype.type(1 + step))

    parent = MUTANTS[ALLOWED.reference]
    wrong: Mutant = replace(ALLOWED, value=off)
    found = verified({ALLOWED.id: wrong, parent.id: parent}, deck, Record(), processes=1)
    killed = unexpected(wrong, found.kills)
    assert set(killed) == set(ALLOWED.dtypes)
    assert all(f"is killed although {ALLOWED.allowed} allows it" in line for line in killed.values())
    assert unexpected(parent, found.kills) == {}
    # By as many calls as if its parent were not there.
    alone = recorded({ALLOWED.id: wrong}, deck, Record(), processes=1)
    for dtype in ALLOWED.dtypes:
        assert found.kills[ALLOWED.id, dtype].killers == alone[ALLOWED.id, dtype].killers


def test_parts_of_the_deck_say_together_what_it_says_in_one_process(record: Record, deck: list[Call]) -> None:
    several = {m.id: m for m in (MUTANT, CONVENTION, CONTROL, ALLOWED)}
    alone, shared = (recorded(several, deck, record, processes=n) for n in (1, 2))
    assert shared == alone
    # sanity check: each was put to calls
    assert {name for name, _ in alone} == set(several)
    judged = sum(len(c.outputs) for c in deck if not c.is_check and c.outline.op == CONTROL.op)
    assert sum(kill.judged for (name, _), kill in alone.items() if name == CONTROL.id) >= judged / 2


def test_controls_that_take_turns_meet_the_whole_deck_together(every_size: list[Call]) -> None:
    controls = [m for m in MUTANTS.values() if m.kind == "control" and m.op == "softmax" and "float32" in m.dtypes]
    controls = thinned(controls, to=3)
    calls = [c for c in every_size if c.outline.op == "softmax" and c.outline.dtype == "float32"]

    def judged(turns: int) -> list[int]:
        found = recorded({m.id: m for m in controls}, calls, Record(), processes=1, turns=turns)
        assert not any(kill.killed for kill in found.values())
        return [kill.judged for (_, dtype), kill in found.items() if dtype == "float32"]

    alone, taken = judged(1), judged(len(controls))
    assert max(taken) < max(alone) / 2
    assert sum(taken) >= 0.8 * max(alone)


def test_a_witness_that_ordinary_calls_kill_is_none() -> None:
    found = read()
    family, key = next(iter(found.witnesses.items()))
    easy = next(m for m in MUTANTS.values() if m.expect and m.op == "softmax" and "ordinary" in found.labels(m))
    calls = [c for c in select("smoke") if c.family in ("ordinary", family)]
    swapped = Record(found.killers, {family: (easy.id, easy.expect[0])})
    kills = recorded({easy.id: easy, key[0]: MUTANTS[key[0]]}, calls, swapped, processes=1)
    assert (
        "ordinary calls kill" in witness_troubles(MUTANTS, swapped, kills)[family]
        or "does not kill" in (witness_troubles(MUTANTS, swapped, kills)[family])
    )


def test_the_record_is_read_as_it_was_written(record: Record, tmp_path: Any) -> None:
    path = tmp_path / "killers.json"
    path.write_text(text(record), encoding="utf-8")
    assert read(path).killers == {name: dict(of) for name, of in record.killers.items()}
    assert read(path).witnesses == record.witnesses
