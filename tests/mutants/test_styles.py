"""The fourteen styles of correct implementation, and the count of entries outside the bounds in benchmarks."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("ml_dtypes", reason="styles compute in bfloat16, which NumPy has from ml_dtypes")

from benchmarks.correct_styles import DTYPES, Tally, judge, problems
from tests.mutants.kit.mutant import Mutant
from tests.mutants.kit.styles import STYLES
from tests.mutants.styles import controls
from tests.support.thinned import at_least

ROUNDS = at_least(16, to=4)


def counted(several: list[Mutant], dtype: str) -> dict[tuple[str, str], Tally]:
    tallies: dict[tuple[str, str], Tally] = defaultdict(Tally)
    source = problems(np.random.default_rng(7), dtype)
    for _ in range(ROUNDS):
        judge(next(source), several, tallies)
    return tallies


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_entry_of_a_correct_style_is_outside_the_bounds(dtype: str) -> None:
    tallies = counted([control for style in STYLES for control in controls(style, loss=True)], dtype)
    assert len(STYLES) == len(tallies) == 14
    assert min(t.entries for t in tallies.values()) > at_least(50_000, to=4)
    assert {t.outside for t in tallies.values()} == {0}, {k: t.worst for k, t in tallies.items() if t.outside}
    assert max(t.share for t in tallies.values()) < 1


def test_an_entry_outside_is_counted() -> None:
    (softmax, *_) = controls(STYLES[0], loss=False)

    def off(x: np.ndarray, *, axis: int = -1) -> np.ndarray:
        return np.asarray(softmax.value(x, axis=axis) * x.dtype.type(1 + 2.0**-12))

    (tally,) = counted([replace(softmax, value=off)], "float32").values()
    assert tally.outside > at_least(1000, to=4)
    assert tally.share > 1
