"""Mutants of the value of log_softmax: shift, sum, logarithm, clamps."""

from __future__ import annotations

import numpy as np

from tests.mutants.kit.clause_kit import largest, of_rows, of_two
from tests.mutants.kit.entries import bug
from tests.mutants.kit.kill_table import log_softmax_row
from tests.mutants.kit.mutant import ALL_DTYPES, F64_ONLY, WIDE_DTYPES, Mutant
from tests.mutants.kit.softmax_mistakes import BASE_2, clip, from_base_2, log_of, x_minus_lse
from tests.mutants.kit.softmax_steps import F16, PLAIN, Array, Softmax, Step, over_rows, row_sum


def _plus(a: float) -> Step:
    return lambda p: p + p.dtype.type(a)


def _ties_dropped(x: Array) -> Array:
    d, e, _ = PLAIN.steps(x)
    return d - np.log1p(row_sum(np.where(d == 0, 0, e)))


def _below_quarter(x: Array, *, axis: int = -1) -> Array:
    y = over_rows(PLAIN.y)(x, axis=axis)
    return np.where(y < -largest(x.dtype) / 4, -np.inf, y).astype(x.dtype)


def _saturating(x: Array, *, axis: int = -1) -> Array:
    y = over_rows(PLAIN.y)(x, axis=axis)
    finite = np.isfinite(x).all(axis=axis, keepdims=True)
    return np.where(finite & np.isneginf(y), -largest(x.dtype), y).astype(x.dtype)


def _limited_sum(x: Array) -> Array:
    s = PLAIN.steps(x)[2]
    return np.where(s > largest(F16), -np.inf, PLAIN.y(x)).astype(x.dtype)


MUTANTS: tuple[Mutant, ...] = (
    log_softmax_row(
        "naive exp (no shift)",
        "exp of a raw logit overflows past 88 (709 in float64)",
        lambda x: x - np.log(row_sum(np.exp(x))),
        family="offset",
    ),
    log_softmax_row(
        "log(softmax)", "the log of an underflowed probability is -inf", log_of(lambda p: p), family="spread"
    ),
    log_softmax_row("log(softmax+0.0001)", "an epsilon inside the log", log_of(_plus(1e-4))),
    log_softmax_row("log(softmax+1e-08)", "an epsilon inside the log", log_of(_plus(1e-8)), family="dominating"),
    log_softmax_row("log(softmax+1e-12)", "an epsilon inside the log", log_of(_plus(1e-12)), family="spread"),
    log_softmax_row(
        "log(clip(softmax,1e-7,1-1e-7))", "Keras' epsilon: log p is never below -16.1", log_of(clip), family="confident"
    ),
    log_softmax_row(
        "x-(max+log sum)", "the log of the sum is absorbed by a large maximum", x_minus_lse, family="offset"
    ),
    log_softmax_row("log2", "log2 of the sum instead of its natural logarithm", Softmax(log=np.log2)),
    log_softmax_row(
        "drop class K-1 from sum",
        "the sum stops one class short",
        Softmax(total=lambda e: row_sum(e[..., :-1])),
        family="last_class",
    ),
    log_softmax_row(
        "clamp at -100", "log p is never below -100", Softmax(leave=lambda y: np.maximum(y, -100)), family="spread"
    ),
    log_softmax_row(
        "clamp d at -20",
        "a guard of exp alone: adds 2e-9 to the sum for each far class, below float32's roundoff",
        Softmax(exp=lambda d: np.exp(np.maximum(d, d.dtype.type(-20)))),
        expect=F64_ONLY,
        family="spread",
    ),
    bug(
        "log_softmax",
        "ties dropped",
        "log1p of the other terms, where all that equal the maximum are left out",
        "two_level: a wrong repair of scipy-logsoftmax-tail-flush (scipy/scipy#19521)",
        over_rows(_ties_dropped),
        family="equal, two_level",
    ),
    bug(
        "log_softmax",
        "base 2 with a fused product",
        "the largest entry's shift is a rounding error of m log2(e), not 0",
        "tf-xla-cpu-scaled-logsoftmax-neginf",
        over_rows(from_base_2(True)),
        expect=WIDE_DTYPES,
        family="near_overflow",
    ),
    bug(
        "log_softmax",
        "log(softmax)",
        "the log of an underflowed probability is -inf",
        "torch-mps-logsoftmax-as-log-of-softmax, logsoftmax-lowered-to-log-softmax-converters",
        over_rows(lambda x: np.log(PLAIN.p(x))),
        expect=ALL_DTYPES,
        family="spread",
    ),
    bug(
        "log_softmax",
        "x - lse",
        "log sum is rounded to the spacing of a large offset",
        "torch-cuda-logsoftmax-large-offset",
        over_rows(x_minus_lse),
        expect=ALL_DTYPES,
        family="offset",
    ),
    bug(
        "log_softmax",
        "tail flushed",
        "log(sum) is exactly 0 at a dominant class, where log1p of the rest is not",
        "scipy-logsoftmax-tail-flush",
        over_rows(PLAIN.y),
        expect=ALL_DTYPES,
        allowed="docs/bounds.md section 4: the bound of log s",
        parent="control log_softmax: log1p form",
    ),
    bug(
        "log_softmax",
        "log1p of the whole sum",
        "log(1 + s) instead of log s",
        "sibling of scipy-logsoftmax-tail-flush",
        over_rows(Softmax(log=np.log1p).y),
    ),
    bug(
        "log_softmax",
        "log1p of the sum of ratios to the first class",
        "the first class is taken for the maximum",
        "sibling of scipy-logsoftmax-tail-flush",
        over_rows(Softmax(shift=lambda x: x[..., :1], log=lambda s: np.log1p(s - 1)).y),
        family="dominating",
    ),
    of_rows(
        "log_softmax",
        "2-log_softmax",
        "base 2 exponent for two classes",
        "2^d instead of e^d",
        of_two(BASE_2.y, PLAIN.y),
    ),
    of_rows(
        "log_softmax",
        "4.7-classes",
        "-inf where the sum of exponentials is beyond float16",
        "from 65520 equal logits on",
        _limited_sum,
        expect=("float16",),
    ),
    of_rows(
        "log_softmax",
        "4.7-infinity",
        "-inf from a quarter of the range on",
        "a guard against overflow that sets in too early",
        value=_below_quarter,
    ),
    of_rows(
        "log_softmax",
        "4.7-may-row",
        "overflow gives the largest number",
        "a saturating conversion: a finite value far from the exact one",
        value=_saturating,
    ),
)
