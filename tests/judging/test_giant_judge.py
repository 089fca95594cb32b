"""What is said of a giant output: the worse of its lowest and its highest results, and the memory that it took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from lossproof.adapters.protocol import Giant, GiantOutcome, Outcome, Problem, Tensor
from lossproof.core.call import Call
from lossproof.core.observation import Observation
from lossproof.core.profiles import Declared
from lossproof.judging.giant_judge import beyond, observe_giant

X = np.array([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]])
CALL = Call(Problem("softmax", "float32", X), "giant-grid")
NO_PLACES = np.zeros(0, dtype=np.int64)
GIANT = Giant(CALL.problem, rows=1000, classes=3, places=NO_PLACES)
RIGHT = np.exp(X) / np.exp(X).sum(axis=1, keepdims=True)


def judged(low: np.ndarray, high: np.ndarray, rows: Mapping[str, np.ndarray] | None = None, **more: int) -> Observation:
    def tensor(a: np.ndarray) -> dict[str, Tensor]:
        return {"value": Tensor(a.astype(np.float32).astype(np.float64), "float32")}

    answer = GiantOutcome(Outcome(outputs=tensor(low)), highest=tensor(high), rows=rows or {}, **more)
    (found,) = observe_giant(CALL, GIANT, answer, "numpy", Declared("W"), offered=["value"], outputs=["value"])
    return found


def wrong(row: int, by: float) -> np.ndarray:
    a = RIGHT.copy()
    a[row, 0] += by
    return a


def test_equal_results_that_are_right_pass() -> None:
    found = judged(RIGHT, RIGHT)
    assert (found.verdict, found.rows, found.classes, found.memory, found.note) == ("pass", 1000, 3, None, "")
    assert found.met == "W"


@pytest.mark.parametrize(("low", "high"), [(wrong(1, -0.5), RIGHT), (RIGHT, wrong(1, 0.5))])
def test_either_side_fails_it(low: np.ndarray, high: np.ndarray) -> None:
    found = judged(low, high)
    assert found.verdict == "fail"
    assert found.met == "", "a profile that one side alone meets is met by none"
    assert found.message.endswith("[giant: 1000 rows, 3 classes]")
    assert found.ulp > 1e5


def test_the_worse_of_two_that_fail_is_told_with_its_own_row() -> None:
    places = {"value": np.repeat([[[10], [20]], [[30], [40]]], 3, axis=2)}
    high = judged(wrong(0, -0.01), wrong(1, 0.4), places)
    assert high.index == (1, 0)
    assert "in rows equal to row 1, near row 40]" in high.message
    low = judged(wrong(0, -0.08), wrong(1, 0.1), places)
    assert low.index == (0, 0)
    assert "in rows equal to row 0, near row 10]" in low.message


def test_nan_is_worse_than_any_number() -> None:
    nan = RIGHT.copy()
    nan[1, 2] = np.nan
    found = judged(wrong(0, -0.4), nan)
    assert found.got is not None
    assert np.isnan(found.got)
    assert found.index == (1, 2)


def test_bits_are_of_both_sides() -> None:
    assert judged(RIGHT, RIGHT).bits != judged(RIGHT, np.nextafter(RIGHT.astype(np.float32), np.float32(2))).bits
    assert judged(RIGHT, RIGHT).bits != ""


def test_memory_is_what_it_took_beyond_what_was_held() -> None:
    found = judged(RIGHT, RIGHT, peak=5 << 30, held=3 << 30)
    assert found.memory == 2 << 30
    assert found.note == "peak 5.00 GiB of memory", "of few logits no multiple is told"
    assert judged(RIGHT, RIGHT, peak=3, held=5).memory == 0
    assert judged(RIGHT, RIGHT, peak=0, held=5).memory is None


def test_memory_is_told_in_sizes_of_the_logits_where_these_are_large() -> None:
    large = replace(GIANT, rows=1 << 20, classes=16)
    answer = GiantOutcome(Outcome(), peak=3 << 26, held=1 << 26)
    # 2^20 x 16 numbers of 4 bytes.
    assert beyond(large, answer) == 2.0
    assert beyond(replace(large, rows=(1 << 20) - 1), answer) is None
    assert beyond(large, replace(answer, held=1 << 30)) == 0.0
    assert beyond(large, replace(answer, peak=0)) is None


def test_an_error_is_told_once_and_has_no_bits() -> None:
    answer = GiantOutcome(Outcome(error="resource", message="out of memory"))
    (found,) = observe_giant(CALL, GIANT, answer, "numpy", Declared("W"), offered=["value"], outputs=["value"])
    assert (found.verdict, found.bits) == ("resource", "")
    assert "out of memory [giant: 1000 rows, 3 classes]" in found.message
