"""Large calls that are known are not drawn to say what they are like, and are the same calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import pytest

from lossproof.adapters.protocol import ARRAYS, Problem
from lossproof.cases import known_calls
from lossproof.cases.catalogue import divide, select
from lossproof.cases.deck_part import DeckPart
from lossproof.cases.drawn import drawn
from lossproof.core.call import Call
from lossproof.core.recipe import Recipe
from tests.support.thinned import WHOLE

PART: Mapping[str, Any] = {"ops": ["softmax"], "dtypes": ["float16"]}


@dataclass
class Notes:
    """A memory that lasts as long as a test."""

    texts: dict[str, str] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)
    known: int = 0

    def recall(self, name: str) -> str:
        return self.texts.get(name, "")

    def remember(self, name: str, text: str) -> None:
        self.texts[name] = text

    def count(self, calls: int) -> None:
        self.known += calls

    def distrust(self, trouble: str) -> None:
        self.troubles.append(trouble)


@pytest.fixture
def unsampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_calls, "COMPARED", 1 << 200)


def described(calls: list[Call]) -> list[object]:
    """Everything that a call is, but for its numbers, of which its id has a digest."""
    scalars = [f.name for f in fields(Problem) if f.name not in ARRAYS]
    found: list[object] = []
    for c in calls:
        p = c.outline
        arrays = [None if a is None else (a.dtype, a.shape) for a in (getattr(p, name) for name in ARRAYS)]
        found.append((c.id, c.content, c.family, c.provenance, c.random_order, c.tier, c.is_check))
        found.append((*(repr(getattr(p, name)) for name in scalars), *arrays))
    return found


def test_known_calls_are_those_that_are_drawn(unsampled: None) -> None:
    notes = Notes()
    plain = select(**PART)
    first, second = (select(**PART, memory=notes) for _ in range(2))
    assert described(first) == described(second) == described(plain)
    large = [i for i, c in enumerate(plain) if isinstance(c.source, Recipe)]
    # sanity check: there are some
    assert len(large) > 20
    assert notes.known >= len(large), "the first time none"
    for i in large[:: len(large) // 5]:
        for a, b in zip(_arrays(plain[i]), _arrays(second[i]), strict=True):
            assert np.array_equal(a, b, equal_nan=True)
    assert notes.troubles == []


def _arrays(call: Call) -> list[Any]:
    return [a for a in (getattr(call.problem, name) for name in ARRAYS) if a is not None]


def test_each_part_of_a_deck_is_known_apart(unsampled: None) -> None:
    notes = Notes()
    division = divide(3, **PART)
    parts: list[dict[str, Any]] = [
        {},
        {"families": ["hot", "ordinary"]},
        {"seed": 1},
        {"division": division, "index": 1},
        {"division": division, "index": 2},
    ]
    # The first, which nothing divides, is that of the test before; one part stands for the others of a division.
    parts = parts if WHOLE else [parts[1], {**parts[1], "seed": 1}, parts[3]]
    for _ in range(2):
        for part in parts:
            assert described(select(**PART, **part, memory=notes)) == described(select(**PART, **part))
    assert len(notes.texts) == len(parts)


def counting(made: list[int], n: int, entries: int) -> Callable[[], Call]:
    def make() -> Call:
        made.append(n)
        return Call(Problem("softmax", "float32", np.full((1, entries), float(n))), "hand")

    return make


def test_what_is_known_is_not_drawn(unsampled: None) -> None:
    made: list[int] = []
    known = known_calls.KnownCalls()
    sizes = (1 << 13, 4, 1 << 14)
    ids = [drawn(DeckPart(known=known), counting(made, n, entries)).id for n, entries in enumerate(sizes)]
    assert made == [0, 1, 2]
    assert known.is_new
    again = known_calls.KnownCalls.read(known.text)
    calls = [drawn(DeckPart(known=again), counting(made, n, entries)) for n, entries in enumerate(sizes)]
    assert [c.id for c in calls] == ids
    assert made == [0, 1, 2, 1], "small calls hold their numbers"
    assert not again.is_new
    assert calls[2].problem.x[0, 0] == 2
    assert made[-1] == 2


def test_a_sample_is_drawn_and_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_calls, "COMPARED", 2)
    known = known_calls.KnownCalls()
    for n in range(4):
        drawn(DeckPart(known=known), counting([], n, 1 << 13))
    made: list[int] = []
    again = known_calls.KnownCalls.read(known.text)
    again.seed = 1
    for n in range(4):
        drawn(DeckPart(known=again), counting(made, n, 1 << 13))
    assert made == [1, 3]
    wrong = known_calls.KnownCalls(known.texts, seed=1)
    wrong.texts[1] = wrong.texts[2]
    assert drawn(DeckPart(known=wrong), counting(made, 0, 1 << 13)).problem.x[0, 0] == 0
    with pytest.raises(known_calls.WrongMemoryError, match="of call 1 it has"):
        drawn(DeckPart(known=wrong), counting(made, 1, 1 << 13))


def test_a_wrong_memory_is_said_and_written_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    notes = Notes()
    plain = described(select(**PART, memory=notes))
    ((name, text),) = notes.texts.items()
    known = known_calls.KnownCalls.read(text)
    first, second, *_ = known.texts
    known.texts[first], known.texts[second] = known.texts[second], known.texts[first]
    notes.texts[name] = known.text
    monkeypatch.setattr(known_calls, "COMPARED", 1)
    assert described(select(**PART, memory=notes)) == plain
    (trouble,) = notes.troubles
    assert "softmax" in trouble
    assert notes.texts[name] == text


def test_every_field_is_kept() -> None:
    assert {f.name for f in fields(Problem)} == {*ARRAYS, *known_calls._OF_PROBLEM}
    assert {f.name for f in fields(Call)} == {"source", *known_calls._OF_CALL}
    p = Problem("softmax", "float32", np.ones((2, 3)), label_smoothing=0.1, scale=-0.0, only=("value",), omit=True)
    call = Call(p, "hand", "from nowhere", random_order=True, tier="core")
    again = known_calls.call_of(known_calls.text_of(call), lambda: call)
    assert described([again]) == described([call])
