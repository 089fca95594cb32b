"""Calls made by hand where clauses of section 4 of the specification meet: values that families draw too rarely.

To add one, yield it from the generator of its clause. The family says which calls of other formats it is compared with.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from lossproof.adapters.protocol import DTYPES, LOSSES, OPS, Problem
from lossproof.cases.deck_part import WHOLE_DECK, DeckPart
from lossproof.core.call import Call
from lossproof.core.formats import FORMATS

_NAN, _INF = np.nan, np.inf
WEIGHTS_WITH_ZERO = [1.0, 0.0, 2.0, 0.5]
Made = Iterator[tuple[str, str, Problem]]


def _problem(op: str, dtype: str, x: Any, target: Any = None, **given: Any) -> Problem:
    """Reduction none and a cotangent of 1 and -2 by turns, unless something else is said."""
    x = np.array(x, dtype=np.float64)
    values: dict[str, Any] = {"reduction": "none"} if target is not None else {}
    values |= {name: np.array(a, dtype=np.float64) if isinstance(a, list) else a for name, a in given.items()}
    if "cotangent" not in values:
        shape = x.shape if target is None else x.shape[:-1] if values["reduction"] == "none" else ()
        values["cotangent"] = np.resize([1.0, -2.0], shape)
    return Problem(op, dtype, x, None if target is None else np.array(target), **values)


def _nans(dtype: str) -> Made:
    both = [[_NAN, _INF, 0.0, 1.0], [_NAN, -_INF, 0.0, 1.0]]
    for op in OPS[:2]:
        yield "nan_row", "1 over 4 and 2", _problem(op, dtype, both)
    yield "nan_row", "1 over 4 and 5", _problem("cross_entropy", dtype, both, [1, 1])
    logs = [[_NAN, -1.0, -2.0, -0.5], [-1.0, _NAN, -2.0, -3.0]]
    yield "nan_row", "1: nll_loss looks at the label alone", _problem("nll_loss", dtype, logs, [0, 2])
    weighted = _problem("nll_loss", dtype, logs, [1, 1], weight=WEIGHTS_WITH_ZERO)
    yield "nan_row", "1 over 6: a weight of 0 hides no NaN", weighted
    for op in OPS[:2]:
        yield "nan_row", "1 over 4 and 2", _problem(op, dtype, [[0.0, _NAN, -_INF, _INF], [_INF, 0.5, _NAN, -1.0]])
    x = [[-1.0, -2.0, -0.5, -3.0], [-0.25, _NAN, -4.0, -2.0], [-1.5, -1.0, -2.0, -0.5]]
    for op in LOSSES:
        weightless = _problem(op, dtype, x, [1, 1, 1], weight=WEIGHTS_WITH_ZERO, reduction="mean")
        yield "nan_row", "1 and 10: all labels weigh 0", weightless


def _infinities(dtype: str) -> Made:
    both = [[_INF, -_INF, 0.0, 1.0], [_INF, 0.0, -_INF, _INF]]
    for op in OPS[:2]:
        yield "positive_infinity", "4 over 2", _problem(op, dtype, both)
    yield "positive_infinity", "4: labels at +inf", _problem("cross_entropy", dtype, both, [0, 3])
    shared = [[_INF, _INF, 0.0, 1.0], [0.0, _INF, 1.0, _INF]]
    for op in OPS[:2]:
        yield "positive_infinity", "4: two share the mass", _problem(op, dtype, shared)
    alone = [[_INF, 0.0, 1.0, 2.0], [0.0, 1.0, _INF, 0.5]]
    yield "positive_infinity", "4: the label alone at +inf", _problem("cross_entropy", dtype, alone, [0, 2])
    for op in OPS[:2]:
        yield "all_masked_row", "3 over 8", _problem(op, dtype, [[-_INF], [0.0]])
    yield "all_masked_row", "3 over 8 and 5", _problem("cross_entropy", dtype, [[-_INF], [0.0]], [0, 0])


def _weightless(dtype: str) -> Made:
    masked = [[0.0, -_INF, 1.0, 2.0], [0.0, 0.5, 1.0, -1.0]]
    for reduction in ("none", "mean"):
        p = _problem("cross_entropy", dtype, masked, [1, 0], weight=WEIGHTS_WITH_ZERO, reduction=reduction)
        yield "masked_target", "6: the label's weight is 0", p
    q = [[0.25, 0.25, 0.5, 0.0], [0.5, 0.0, 0.0, 0.5]]
    p = _problem("cross_entropy", dtype, masked, q, weight=WEIGHTS_WITH_ZERO, wrt_target=True)
    yield "masked", "5: a derivative times a weight of 0", p


def _signs(dtype: str) -> Made:
    """Infinite losses of either sign: masked classes of negative weight."""
    masked, weight = [[-_INF, 1.0, 0.0, 2.0], [1.0, -_INF, 0.5, 0.0]], [-2.0, 1.0, 0.5, -1.0]
    yield "masked_target", "5: both signs", _problem("cross_entropy", dtype, masked, [0, 1], weight=weight)
    x = [[-_INF, -_INF, 0.0, 1.0], [0.0, 0.5, 1.0, -1.0]]
    for reduction in ("none", "mean"):
        q = [[0.5, 0.5, 0.0, 0.0], [0.25, 0.25, 0.5, 0.0]]
        p = _problem("cross_entropy", dtype, x, q, weight=weight, reduction=reduction)
        yield "masked_target", "5: opposite infinities", p


def _range(dtype: str) -> Made:
    top = FORMATS[dtype].max
    p = _problem("cross_entropy", dtype, [[top, -top, 0.0, 0.0], [0.0, 0.5, 1.0, -1.0]], [0, 1])
    yield "near_overflow", "6 over 7: log p overflows beside the label", p
    p = _problem("cross_entropy", dtype, [[top, -top, 0.0, 0.0], [-top, top, 1.0, 0.0]], [1, 0])
    yield "near_overflow", "7: the loss overflows", p
    p = _problem("log_softmax", dtype, [[0.0, 1.0, -top, top], [-top, 0.0, top, -1.0]])
    yield "near_overflow", "7: log p overflows", p
    p = _problem("log_softmax", dtype, [[top, top, 0.0, 1.0], [0.0, -1.0, top, top]])
    yield "near_overflow", "7: log 2 beside the largest number", p
    if not FORMATS[dtype].is_narrow:
        heavy = [2.0 ** (FORMATS[dtype].emax - 1)] * 4
        x = [[0.0, 1.0, 2.0, -1.0], [0.5, 0.0, -1.0, 1.0], [1.0, 1.5, 0.0, 2.0]]
        p = _problem("cross_entropy", dtype, x, [0, 1, 3], weight=heavy, reduction="mean")
        yield "near_overflow", "7: the sum of the weights overflows", p
    p = _problem("log_softmax", dtype, [[0.0] * 4, [0.0, 1.0, 2.0, 3.0]], cotangent=[[top, top, 0, 0], [1, 2, 3, 4]])
    yield "near_overflow", "7: the sum of the cotangent overflows", p
    yield "single", "8: one class and any q", _problem("cross_entropy", dtype, [[3.0], [-1.0]], [[0.5], [2.0]])
    yield "ordinary", "N = 1", _problem("cross_entropy", dtype, [0.0, 0.5, 1.0, -1.0], 2, reduction="mean")


def clause_calls(part: DeckPart = WHOLE_DECK) -> list[Call]:
    """Make the calls of a part of the deck, in order."""
    found = []
    for dtype in (d for d in DTYPES if d in part.dtypes):
        # One dtype of them for targets that pay for every new signature, too.
        tier = "full" if dtype == "float32" else "free"
        for make in (_nans, _infinities, _weightless, _signs, _range):
            for family, clause, p in make(dtype):
                # sanity check: the inputs are values of the format
                assert FORMATS[dtype].holds(p.x)
                if part.has(p, family):
                    found.append(Call(p, family, f"specification, section 4, clause {clause}", tier=tier))
    return found
