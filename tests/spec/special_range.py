"""Specification, section 4, clauses 7 to 9: range, one class, subnormals."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from lossproof.adapters.protocol import Problem
from lossproof.cases.deck import deck_calls
from lossproof.cases.deck_part import DeckPart
from lossproof.core.formats import FORMATS
from lossproof.core.recipe import Recipe
from tests.support.decks import drawn
from tests.support.thinned import WHOLE, thinned

from .clause import (
    EVEN,
    INF,
    LN2,
    NAN,
    SURE,
    Clause,
    Example,
    example,
    log_softmax,
    loss,
    nll,
    softmax,
)

# In float64 the bound itself overflows where sums do: see "What is not covered" in docs/bounds.md.
SINGLE = ("float32", "bfloat16")


def _top(dtype: str) -> float:
    return FORMATS[dtype].max


def _quarter(dtype: str) -> Problem:
    return replace(log_softmax([[_top(dtype) / 4, -_top(dtype) / 4]]), dtype=dtype)


def _halves(dtype: str, **options: Any) -> Problem:
    """Eight rows of loss a quarter of the largest number."""
    x = np.array([[_top(dtype) / 8, -_top(dtype) / 8]] * 8)
    return replace(loss(x, [1] * 8, "mean"), dtype=dtype, **options)


def _whole(dtype: str) -> Problem:
    return replace(log_softmax([[_top(dtype), -_top(dtype)]]), dtype=dtype)


def _whole_loss(dtype: str) -> Problem:
    return replace(loss([[_top(dtype), -_top(dtype)]], [1]), dtype=dtype)


def _heavy(dtype: str) -> Problem:
    return replace(loss([EVEN] * 4, [0] * 4, "mean", w=[_top(dtype) / 2] * 2), dtype=dtype)


def _crowded_cotangent(dtype: str) -> Problem:
    return replace(log_softmax([EVEN], [[_top(dtype), _top(dtype)]]), dtype=dtype)


def _by_format(
    make: Callable[[str], Problem], answers: Callable[[float], tuple[Any, ...]], **given: Any
) -> tuple[Example, ...]:
    """One example a format, whose answers depend on its largest number."""
    dtypes = given.pop("dtypes", tuple(FORMATS))
    return tuple(example(make, *answers(_top(d)), dtypes=(d,), **given) for d in dtypes)


def _deck_of_normal_numbers() -> None:
    def normal(p: Problem, a: np.ndarray | None) -> bool:
        return a is None or a.dtype.kind != "f" or bool(np.all((a == 0) | (np.abs(a) >= FORMATS[p.dtype].min_normal)))

    # Of the formats the one with the fewest normal numbers, of the ops those with cotangents and with all else; all of
    # them at night.
    calls = drawn() if WHOLE else deck_calls("default", DeckPart(ops=("softmax", "cross_entropy"), dtypes=("float16",)))
    given = ("weight", "target", "cotangent", "tangent", "target_tangent")
    # Of large calls one of so many is drawn again where the tests are not whole.
    small = [call for call in calls if not isinstance(call.source, Recipe)]
    large = [call for call in calls if isinstance(call.source, Recipe)]
    for call in [*thinned(large, to=20), *small]:
        p = call.problem
        assert all(normal(p, getattr(p, name)) for name in given)
    # The test would see one that is not.
    assert not normal(p, np.array([FORMATS[p.dtype].min_subnormal]))


RANGE = (
    Clause(
        "4.7-infinity",
        "Infinity only where `|exact| + bound >= max (1 + u_o)`.",
        _by_format(
            _quarter,
            lambda top: ({"value": [[0, -top / 2]]},),
            refuses=({"value": [[0, -INF]]}, {"value": [[0, INF]]}),
        ),
        ("clause log_softmax: -inf from a quarter of the range on",),
    ),
    Clause(
        "4.7-no-inf",
        "No spurious inf,",
        (example(loss([[-200, -200]], [0]), {"value": [LN2]}, refuses=({"value": [INF]},)),),
        ("upstream cross_entropy: row maximum clipped at -64",),
    ),
    Clause(
        "4.7-no-nan",
        "No spurious inf, NaN",
        (
            example(
                lambda dtype: replace(softmax([[_top(dtype)] * 2]), dtype=dtype),
                {"value": [[0.5, 0.5]]},
                refuses=({"value": [[NAN, NAN]]},),
            ),
        ),
        ("clause softmax: NaN where the sum of the logits overflows",),
    ),
    Clause(
        "4.7-no-zero",
        "No spurious inf, NaN or zero where the exact result is representable,",
        (
            example(
                softmax([[0, 0, -80]]),
                {"value": [[0.5, 0.5, math.exp(-80) / 2]]},
                refuses=({"value": [[0.5, 0.5, 0]]},),
                dtypes=("float64", "float32", "bfloat16"),
            ),
        ),
        ("softmax: flush p<1e-30",),
    ),
    Clause(
        "4.7-batch",
        "whatever the batch ... count (float16 means over 10^5 rows,",
        (
            example(
                loss([SURE] * 80_000 + [EVEN] * 20_000, [0] * 100_000, "mean"),
                {"value": 0.2 * LN2},
                refuses=({"value": 0}, {"value": NAN}),
                dtypes=("float16",),
            ),
        ),
        ("upstream cross_entropy: float16 count",),
    ),
    Clause(
        "4.7-classes",
        "whatever the batch or class count ... 70 000 classes).",
        (
            example(
                log_softmax(np.zeros((1, 70_000))),
                {"value": np.full((1, 70_000), -math.log(70_000))},
                refuses=({"value": np.full((1, 70_000), -INF)},),
                dtypes=("float16",),
            ),
        ),
        ("clause log_softmax: -inf where the sum of exponentials is beyond float16",),
    ),
    Clause(
        "4.7-may-row",
        "**may** {inf, NaN, exact} where some `d_j`, ... overflows: the IO format in float64, float32, bfloat16; ... "
        "in float16 also where one row's `d_j` or `log p_j` overflows.",
        _by_format(
            _whole,
            lambda top: ({"value": [[0, -INF]]}, {"value": [[NAN, NAN]]}),
            refuses=({"value": [[0, -1]]}, {"value": [[1, -INF]]}),
        ),
        ("clause log_softmax: overflow gives the largest number",),
    ),
    Clause(
        "4.7-may-loss",
        "**may** {inf, NaN, exact} where some ... row loss,",
        (example(_whole_loss, {"value": [INF]}, {"value": [NAN]}, refuses=({"value": [1]}, {"value": [0]})),),
        ("clause cross_entropy: overflowed loss gives the largest number",),
    ),
    Clause(
        "4.7-may-sum",
        "**may** {inf, NaN, exact} where some ... `|l|`- ... partial sum,",
        _by_format(
            _halves,
            lambda top: ({"value": INF}, {"value": NAN}, {"value": top / 4}),
            refuses=({"value": 0},),
            dtypes=SINGLE,
        ),
        ("clause cross_entropy: overflowed sum of losses saturates",),
    ),
    Clause(
        "4.7-may-weights",
        "or `|w|`-partial sum,",
        (
            example(
                _heavy,
                {"value": INF},
                {"value": NAN},
                {"value": LN2},
                refuses=({"value": 1},),
                dtypes=SINGLE,
            ),
        ),
        ("clause cross_entropy: overflowed sums of weights saturate",),
    ),
    Clause(
        "4.7-may-cotangent",
        "or cotangent expression (`v_i - <p, v>`, `sum v`) overflows:",
        _by_format(
            _crowded_cotangent,
            lambda top: ({"vjp": [[0, 0]]}, {"vjp": [[NAN, NAN]]}, {"vjp": [[-INF, -INF]]}),
            refuses=({"vjp": [[2.0**126, 2.0**126]]},),
            dtypes=("float32",),
        ),
        ("clause log_softmax: overflowed sum of the cotangent saturates",),
    ),
    Clause(
        "4.7-float16-sums",
        "the IO format in float64, float32, bfloat16; float32 in float16;",
        _by_format(
            _halves,
            lambda top: ({"value": top / 4},),
            refuses=({"value": INF}, {"value": NAN}, {"value": 0}),
            dtypes=("float16",),
        ),
        ("clause cross_entropy: float16 sum",),
    ),
)

ONE_CLASS = (
    Clause(
        "4.8-p",
        "`K = 1` and a finite logit: exactly p = 1,",
        (
            example(softmax([[3]]), {"value": [[1]]}, refuses=({"value": [[0]]}, {"value": [[NAN]]})),
            example(softmax([[3]]), {"value": [[1]]}, refuses=({"value": [[1 - 2.0**-24]]},), dtypes=("float32",)),
        ),
        ("upstream softmax: wrong kernel for one class", "clause softmax: one class a rounding below 1"),
        also=("4.0-precedence", "4.3-one-class"),
        because="their rows have one class, too",
    ),
    Clause(
        "4.8-log-p",
        "`K = 1` and a finite logit: ... log p = 0,",
        (example(log_softmax([[3]]), {"value": [[0]]}, refuses=({"value": [[-3]]}, {"value": [[NAN]]})),),
        ("upstream log_softmax: sigmoid for one class",),
    ),
    Clause(
        "4.8-gradient",
        "`K = 1` and a finite logit: ... gradient 0, for any eps and finite w, q, where the row scale g is finite "
        "(else clause 10).",
        (
            example(loss([[3]], [[0.5]], w=[3], g=[2], eps=0.25), {"vjp": [[0]]}, refuses=({"vjp": [[1.125]]},)),
            example(loss([[3]], [0], "mean", w=[-3], g=2.0, eps=0.25), {"vjp": [[0]]}, refuses=({"vjp": [[1]]},)),
        ),
        ("clause cross_entropy: gradient of one class p - w q'",),
    ),
    Clause(
        "4.8-sign-of-zero",
        "The sign of zero is never compared.",
        (
            example(softmax([SURE]), {"value": [[1, 0.0]]}, {"value": [[1, -0.0]]}),
            example(loss([[3]], [0], g=[1]), {"value": [-0.0], "vjp": [[-0.0]]}, {"value": [0.0], "vjp": [[0.0]]}),
        ),
        ("control softmax: negative zeros", "control cross_entropy: negative zeros"),
        spared=True,
    ),
    Clause(
        "4.9-float16",
        "**must** not flush subnormal results in float16;",
        (
            example(
                softmax([[0, 0, -12]]),
                {"value": [[0.5, 0.5, math.exp(-12) / 2]]},
                refuses=({"value": [[0.5, 0.5, 0]]},),
                dtypes=("float16",),
                declares={"profiles": {("softmax", "float16"): "W"}},
            ),
        ),
        ("softmax float16 W: FTZ of fp16 subnormals",),
    ),
    Clause(
        "4.9-flush",
        "**may** flush inputs and results in float64, float32, bfloat16 (the underflow term of the bound).",
        (
            example(
                softmax([[0, 0, -90]]),
                {"value": [[0.5, 0.5, math.exp(-90) / 2]]},
                {"value": [[0.5, 0.5, 0]]},
                refuses=({"value": [[0.5, 0.5, 2.0**-120]]},),
                dtypes=SINGLE,
            ),
            example(nll([[-(2.0**-130), -1]], [0]), {"value": [2.0**-130]}, {"value": [0]}, dtypes=SINGLE),
        ),
        ("clause softmax: subnormal results rounded up",),
    ),
    Clause(
        "4.9-deck",
        "Weights, probability targets and cotangents in the deck are 0 or normal, and large enough that no product in "
        "the formulas is subnormal, unless the bound carries the underflow term times `sum |d out / d input|`.",
        shows=_deck_of_normal_numbers,
    ),
)

CLAUSES = (*RANGE, *ONE_CLASS)
