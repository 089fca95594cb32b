"""Entries of the compiled passes: what a summary keeps of many, and what is nothing beside an underflow."""

from __future__ import annotations

import math
from collections import namedtuple

import numpy as np
import pytest

from lossproof.core.formats import FLOAT32
from lossproof.judging.fused.entries import (
    ALLOWED,
    EMPTY,
    MID,
    OK,
    SHARE,
    ULP,
    WORST,
    compare_entry,
    is_nothing,
    largest_probability,
    probability_error,
)
from lossproof.truth.oracle.in_float64 import ORACLE_MODEL

LIMITS = np.array([FLOAT32.max, FLOAT32.u, FLOAT32.min_subnormal])
# Exact results, answers and bounds: within, at an infinity that is as good, of sizes that are no normal numbers, exact.
ENTRIES = [
    (1.0, 1.0 + 2.0**-24, 1e-6),
    (FLOAT32.max, math.inf, 1e33),
    (2.0, 2.0 + 1e-7, 1e34),
    (3e-313, 0.0, 1e-45),
    (7e-313, 0.0, 2e-45),
    (1e30, 1e30 * (1 + 2.0**-30), 1e25),
    (2.0**-30, 2.0**-30, 0.0),
    (5.0, 5.5, math.inf),
    (0.25, 0.25 + 1e-9, 1e-8),
    (0.5, 0.5 + 1e-9, 1e-8),
]
Coarse = namedtuple("Coarse", "least")


def shares(entry: tuple[float, float, float]) -> tuple[float, float]:
    """The share of the bound and the error in ULP, each by itself."""
    mid, got, allowed = entry
    if math.isinf(got):
        return 0.0, 0.0
    error = abs(got - mid)
    spacing = max(2.0 ** math.floor(math.log2(mid)) * 2 * FLOAT32.u if mid > 1e-300 else 0.0, FLOAT32.min_subnormal)
    return (0.0 if error == 0 or math.isinf(allowed) else error / allowed), error / spacing


@pytest.mark.parametrize("seed", range(40))
def test_a_summary_keeps_the_worst_in_whatever_order_entries_come(seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(ENTRIES))
    several = [ENTRIES[i] for i in order[: 2 + seed % (len(ENTRIES) - 1)]]
    summary = EMPTY.copy()
    for i, (mid, got, allowed) in enumerate(several):
        compare_entry(summary, i, got, mid, 0.0, 0.0, allowed, LIMITS)
    expected = [shares(e) for e in several]
    assert summary[OK] == 1.0
    assert summary[SHARE] == pytest.approx(max(s for s, _ in expected), rel=1e-12)
    assert summary[ULP] == pytest.approx(max(u for _, u in expected), rel=1e-12)
    mid, _, allowed = several[int(summary[WORST])]
    assert (summary[MID], summary[ALLOWED]) == (mid, allowed)
    assert expected[int(summary[WORST])][0] == pytest.approx(summary[SHARE], rel=1e-12)


def test_an_infinity_that_is_as_good_is_no_measure_for_what_is_within() -> None:
    summary = EMPTY.copy()
    for i, (mid, got, allowed) in enumerate([(FLOAT32.max, math.inf, 1e33), (2.0, 2.0 + 1e-7, 1e34)]):
        compare_entry(summary, i, got, mid, 0.0, 0.0, allowed, LIMITS)
    assert (summary[OK], summary[WORST]) == (1.0, 1)
    assert summary[SHARE] == pytest.approx(1e-41)


@pytest.mark.parametrize(
    ("p", "G", "nothing"),
    [
        (3e-313, 0.5, True),
        (0.0, 3.0, True),
        (0.0, 69.4, True),
        (0.0, 69.6, False),
        (0.0, 100.0, False),
        (3e-313, 100.0, False),
        (1e-300, 0.5, False),
    ],
)
def test_only_what_is_far_below_the_underflow_of_a_model_is_nothing(p: float, G: float, *, nothing: bool) -> None:
    model, log_p = Coarse(float(np.finfo(np.float64).smallest_normal)), -719.5
    assert is_nothing(model, p, log_p, G) is nothing
    # A model whose underflow is as small has nothing of the kind.
    assert not is_nothing(Coarse(0.0), p, log_p, G)
    if nothing:
        tau, most = ORACLE_MODEL.tau, 2.0**180
        error = probability_error(p, log_p, G)
        assert tau + most * error == tau
        assert tau + most * largest_probability(p, log_p, G, error) == tau
