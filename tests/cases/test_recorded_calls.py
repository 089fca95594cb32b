"""Every kind of call comes back from a record as what it was."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from lossproof.adapters.protocol import DTYPES, LAYOUTS, OPS
from lossproof.cases import kept_calls
from lossproof.cases.catalogue import select
from lossproof.cases.deck_part import DRAWN
from lossproof.cases.explore.calls import calls
from lossproof.cases.explore.search import search
from lossproof.cases.recorded_calls import recorded_call
from lossproof.core.call import Call, from_json
from lossproof.core.case_id import ERROR, RELATION
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.judging.check import Check
from lossproof.records import record
from lossproof.running.loop import run
from lossproof.targets.target import Target, parse_target
from tests.support.thinned import WHOLE, at_least, thinned

# Formats differ in numbers; a wider dtype of results is that of a narrow one.
SOME = DTYPES if WHOLE else ("float16",)
ASKED = OPS if WHOLE else ("softmax", "cross_entropy")


@functools.cache
def deck() -> list[Call]:
    return select("default", 3, ops=ASKED, dtypes=SOME)


def recorded(call: Call, folder: Path) -> Observation:
    """What a record keeps of a call that fails."""
    path = folder / "record.jsonl"
    with record.Writer(path, {}) as writer:
        writer.write(Observation(call.id, "value", "numpy", "fail", call=call))
    (found,) = record.read_record(path)
    return found


def back(o: Observation, deck: str = "default", seed: int = 3) -> Call:
    # sanity check: the call of a failure is kept
    assert o.call is not None
    return recorded_call(o.id, o.call, deck=deck, seed=seed)


def one_of_each() -> Iterator[Call]:
    """One call of each op, dtype and family of the deck, of each relation and each error case, and of each layout."""
    seen: set[tuple[str | None, ...]] = set()
    for call in deck():
        case = call.case
        kinds: list[tuple[str | None, ...]] = [(case.op, case.dtype, case.family)]
        kinds += [(case.op, call.outline.layout), (case.op, call.outline.out_dtype)]
        if call.is_check:
            kinds = [(case.op, case.dtype, case.family, case.name)]
        if not seen.issuperset(kinds):
            seen |= {*kinds}
            yield call


@functools.cache
def each() -> tuple[Call, ...]:
    return tuple(one_of_each())


def test_the_deck_has_every_kind() -> None:
    families = {c.family for c in each()}
    assert {RELATION, ERROR, *DRAWN} == families
    assert {c.outline.layout for c in each()} == set(LAYOUTS)
    assert any(c.outline.out_dtype for c in each())


@pytest.mark.parametrize("family", sorted({RELATION, ERROR, *DRAWN}))
def test_a_call_of_the_deck_is_the_same_again(family: str, tmp_path: Path) -> None:
    for call in (c for c in each() if c.family == family):
        found = back(recorded(call, tmp_path))
        assert found.id == call.id
        assert found.to_json() == call.to_json() or np.isnan(call.problem.label_smoothing)
        assert (type(found), found.outputs, found.isolate) == (type(call), call.outputs, call.isolate)
        assert [c.id for c in found.calls] == [c.id for c in call.calls]


def judged(target: Target, call: Call) -> list[tuple[str, str, str, float, dict[str, str]]]:
    return [(o.id, o.output, o.verdict, o.share, o.conventions) for o in run([target], [call]) if o.id == call.id]


def test_a_check_is_judged_as_it_was(tmp_path: Path) -> None:
    """Its own judge came back with it: as ordinary calls most of these would fail, or end in a traceback."""
    target = parse_target("numpy")
    checks = thinned((c for c in each() if c.is_check and c.outline.dtype == SOME[-1]), to=3)
    # sanity check: both kinds
    assert {c.family for c in checks} == {RELATION, ERROR}
    for check in checks:
        again = back(recorded(check, tmp_path))
        assert isinstance(again, Check)
        assert judged(target, again) == judged(target, check)
        assert judged(target, check)


def drawn(several: int) -> list[Call]:
    """Calls that exploration draws."""
    found: list[Call] = []

    def keep(data: st.DataObject) -> None:
        found.extend(data.draw(calls(op, ("float32", "float16"), layouts=LAYOUTS)) for op in ASKED)

    search(keep, examples=several, at=0)
    return found


def test_explored_and_kept_calls(tmp_path: Path) -> None:
    for call in drawn(at_least(20, to=10)):
        assert back(recorded(call, tmp_path)).to_json() == call.to_json()
        again = kept_calls.read_call(kept_calls.save(call, tmp_path / "kept"))
        assert back(recorded(again, tmp_path)).id == call.id


def test_what_is_no_longer_there_is_a_usage_error(tmp_path: Path) -> None:
    relation = next(c for c in deck() if c.family == RELATION)
    with pytest.raises(UsageError, match="is no case of the default deck of seed 4"):
        back(recorded(relation, tmp_path), seed=4)
    first, second = [c for c in each() if not c.is_check][:2]
    with pytest.raises(UsageError, match=f"the inputs that are kept of {first.id} are those of {second.id}"):
        recorded_call(first.id, second.to_json())


def test_the_inputs_of_a_check_alone_are_no_call() -> None:
    check = next(c for c in deck() if c.family == ERROR)
    with pytest.raises(UsageError, match="a case of the family error is more than its call; expected its id"):
        from_json(json.loads(json.dumps(check.to_json())))
