"""Where clauses of section 4 of the specification meet: every pair that can, and what is accepted then.

The order is 13, 11, 1, 4, 3, 10, 6, 5, 2, 8. Clause 13 has error cases of its own (tests/cases/test_error_cases.py).
Pairs that are not here cannot meet in a row or in a reduction of rows: a row of -inf alone (3) has no NaN (1), no +inf
(4) and no class that is present (2, 5), and one class that is masked is such a row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lossproof.adapters.protocol import Problem
from lossproof.core.formats import FORMATS
from lossproof.judging.judge import judge_stack
from lossproof.truth.truth import truth

NAN, INF, LN2 = np.nan, np.inf, float(np.log(2))
EVEN = [0.0, 0.0]
CANDIDATES = {"nan": NAN, "inf": INF, "-inf": -INF, "0": 0.0, "1": 1.0, "ln2": LN2}


def accepted(p: Problem, output: str) -> list[set[str]]:
    """For each entry of an output, in order, the candidates that are accepted there."""
    exact = truth([p])
    expected, bound = exact.expected[output], exact.allowed("W").outputs[output]
    shape = expected.exact.mid.shape
    ok = {
        name: judge_stack(expected, bound, np.full(shape, number), FORMATS[p.dtype]).entries.ravel()
        for name, number in CANDIDATES.items()
    }
    return [{name for name in CANDIDATES if ok[name][i]} for i in range(int(np.prod(shape)))]


def loss(x: Any, target: Any, *, w: Any = None, ignore: int | None = None, reduction: str = "mean") -> Problem:
    x = np.array(x, dtype=np.float64)
    target = np.array(target, dtype=np.int64 if np.ndim(target) == 1 else np.float64)
    weight = None if w is None else np.array(w, dtype=np.float64)
    cotangent = np.ones(len(x)) if reduction == "none" else np.array(1.0)
    return Problem("cross_entropy", "float32", x, target, weight, cotangent, -1, reduction, ignore)


ANY_QUOTIENT = {"nan", "inf", "-inf", "0"}
CASES: dict[str, tuple[Problem, list[set[str]], list[set[str]]]] = {
    "11 over 1": (
        loss([EVEN, [NAN, 0]], [0, 9], ignore=9, reduction="sum"),
        [{"ln2"}],
        [set(), set(), {"0", "nan"}, {"0", "nan"}],
    ),
    "11 over 4": (
        loss([EVEN, [INF, 0]], [0, 9], ignore=9, reduction="sum"),
        [{"ln2"}],
        [set(), set(), {"0", "nan"}, {"0", "nan"}],
    ),
    "11 over 3": (
        loss([EVEN, [-INF, -INF]], [0, 9], ignore=9, reduction="sum"),
        [{"ln2"}],
        [set(), set(), {"0", "nan"}, {"0", "nan"}],
    ),
    "11 with 10, all ignored": (loss([[NAN, 0]], [9], ignore=9), [{"0", "nan"}], [{"0", "nan"}] * 2),
    "11 over 10, labels that weigh 0": (
        loss([EVEN, [NAN, 0]], [0, 9], w=[0, 1], ignore=9),
        [ANY_QUOTIENT],
        [ANY_QUOTIENT, ANY_QUOTIENT, {"0", "nan"}, {"0", "nan"}],
    ),
    "1 over 4": (loss([[NAN, INF]], [1], reduction="none"), [{"nan"}], [{"nan"}] * 2),
    "1 with 3, in a sum": (loss([[NAN, 0], [-INF, -INF]], [0, 0], reduction="sum"), [{"nan"}], [{"nan"}] * 4),
    "1 over 10": (loss([EVEN, [NAN, 0]], [0, 0], w=[0, 1]), [{"nan"}], [ANY_QUOTIENT, ANY_QUOTIENT, {"nan"}, {"nan"}]),
    "1 over 6": (loss([[NAN, -INF]], [1], w=[1, 0], reduction="none"), [{"nan"}], [{"nan"}] * 2),
    "1 over 5": (loss([[NAN, -INF]], [1], reduction="none"), [{"nan"}], [{"nan"}] * 2),
    "1 over 2": (loss([[NAN, -INF]], [0], reduction="none"), [{"nan"}], [{"nan"}] * 2),
    "1 over 8": (loss([[NAN]], [0], reduction="none"), [{"nan"}], [{"nan"}]),
    "4 over 3, in a sum": (
        loss([[INF, 0], [-INF, -INF]], [0, 0], reduction="sum"),
        [{"nan"}],
        [{"nan", "0"}, {"nan", "0"}, {"nan"}, {"nan"}],
    ),
    "4 over 10": (loss([[INF, 0]], [0], w=[0, 1]), [{"nan", "inf", "-inf"}], [{"nan", "inf", "-inf"}] * 2),
    "4 over 6": (loss([[INF, 0]], [1], w=[1, 0], reduction="none"), [{"nan", "0"}], [{"nan", "0"}] * 2),
    "4 over 5": (loss([[INF, -INF]], [1], reduction="none"), [{"nan", "inf"}], [{"nan", "1"}, {"nan"}]),
    "4 over 2": (loss([[INF, -INF]], [0], reduction="none"), [{"nan", "0"}], [{"nan", "0"}] * 2),
    "4 over 8": (loss([[INF]], [0], reduction="none"), [{"nan", "0"}], [{"nan", "0"}]),
    "3 over 10": (
        loss([EVEN, [-INF, -INF]], [0, 0], w=[0, 1]),
        [{"nan"}],
        [ANY_QUOTIENT, ANY_QUOTIENT, {"nan"}, {"nan"}],
    ),
    "3 over 6": (loss([[-INF, -INF]], [0], w=[0, 1], reduction="none"), [{"nan"}], [{"nan"}] * 2),
    "3 over 5": (loss([[-INF, -INF]], [0], reduction="none"), [{"nan"}], [{"nan"}] * 2),
    "3 over 8": (loss([[-INF]], [0], reduction="none"), [{"nan"}], [{"nan"}]),
    "10 over 6 and 5": (loss([[0, -INF]], [1], w=[1, 0]), [ANY_QUOTIENT], [ANY_QUOTIENT] * 2),
    "10 over 2": (loss([[0, -INF]], [0], w=[0, 1]), [ANY_QUOTIENT], [ANY_QUOTIENT] * 2),
    "10 over 8": (loss([[0.5]], [0], w=[0]), [ANY_QUOTIENT], [ANY_QUOTIENT]),
    "6 with 5": (
        loss([[0, -INF, -INF]], [[0.0, 0.0, 1.0]], reduction="none"),
        [{"inf", "nan"}],
        [{"1"}, {"0"}, set()],
    ),
    "5 over 2": (loss([[0, -INF]], [1], reduction="none"), [{"inf"}], [{"1"}, set()]),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_accepted_where_clauses_meet(name: str) -> None:
    p, value, vjp = CASES[name]
    assert accepted(p, "value") == value
    # -1 and halves are no candidates: an empty set is an entry that must be such a number.
    assert accepted(p, "vjp") == vjp


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("dtype", FORMATS)
def test_one_class_is_exact(dtype: str, reduction: str) -> None:
    """Clause 8: the bound of a probability near 1 allows a rounding, the clause does not."""
    fmt = FORMATS[dtype]
    for q, eps in ((np.array([0, 0]), 0.0), (np.array([0, 0]), 0.25), (np.array([[1.0], [1.0]]), 0.25)):
        v = np.ones(2) if reduction == "none" else np.array(1.0)
        p = Problem("cross_entropy", dtype, np.array([[3.0], [-1.5]]), q, np.array([0.75]), v, -1, reduction, None, eps)
        exact = truth([p])
        for name in ("value", "vjp"):
            expected, bound = exact.expected[name], exact.allowed("W").outputs[name]
            for number, right in ((0.0, True), (fmt.u / 4, False), (-fmt.min_normal, False)):
                got = np.full(expected.exact.mid.shape, number)
                assert judge_stack(expected, bound, got, fmt).ok[0] == right, (name, number)
