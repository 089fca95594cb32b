"""The guard of the kill matrix against processes that hang."""

from __future__ import annotations

import itertools
import multiprocessing
import time

import pytest

pytest.importorskip("ml_dtypes", reason="mutants compute in bfloat16, which NumPy has from ml_dtypes")

from tests.mutants.matrix import processes


class Slow:
    """Results that take their time: what each call of next does, an exception or a result."""

    def __init__(self, *script: object) -> None:
        self.script = iter(script)

    def next(self, timeout: float) -> object:
        step = next(self.script)
        if isinstance(step, type):
            raise step
        return step


LATE = multiprocessing.TimeoutError


@pytest.mark.parametrize(
    ("script", "spent", "hangs"),
    [
        ([1, LATE, LATE, 2, LATE, 3, StopIteration], [0, 1, 2, 3, 4, 5, 6, 7, 8], False),
        # Neighbours: hardly any processor time, for as long as it takes.
        ([1, *[LATE] * 50, 2, StopIteration], [n / 100 for n in range(60)], False),
        # Who spins, and who waits for what does not come.
        ([1, *[LATE] * 50], [200 * n for n in range(60)], True),
        ([1, *[LATE] * 50], [5] * 60, True),
    ],
)
def test_who_hangs_is_told_from_who_is_slow(
    script: list[object], spent: list[float], hangs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count(0, 100)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    times = iter(spent)
    results = processes.watched(Slow(*script), lambda: next(times))
    if not hangs:
        assert list(results) == [step for step in script if not isinstance(step, type)]
        return
    assert next(results) == 1
    with pytest.raises(TimeoutError, match="no result after"):
        next(results)
