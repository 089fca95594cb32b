"""Mutants of log_softmax: the kill table's rows."""

from __future__ import annotations

import numpy as np

from .mutant import WIDE_DTYPES, Mutant, options
from .parts import (
    BF16,
    F16,
    F32,
    PLAIN,
    Array,
    Softmax,
    Step,
    exp_off,
    one_by_one,
    over_rows,
    row_max,
    row_sum,
    tf32,
    through,
    times,
)

F64_ONLY = ("float64",)


def _mutant(
    name: str, why: str, of: Softmax | Step, *, expect: tuple[str, ...] = WIDE_DTYPES, family: str = ""
) -> Mutant:
    value = over_rows(of.y if isinstance(of, Softmax) else of)
    row = "log_softmax"
    return Mutant(name, row, row, why, value, expect=expect, options=options("log_softmax"), family=family)


def log_of(change: Step) -> Step:
    """log of a changed softmax."""
    return lambda x: np.log(change(PLAIN.p(x)))


def x_minus_lse(x: Array) -> Array:
    """``x - (max + log sum)``: the log of the sum is absorbed by a large maximum."""
    m = row_max(x)
    return x - (m + np.log(row_sum(np.exp(x - m))))


def _plus(a: float) -> Step:
    return lambda p: p + p.dtype.type(a)


def clip(p: Array) -> Array:
    """Keras' epsilon."""
    return np.clip(p, p.dtype.type(1e-7), p.dtype.type(1 - 1e-7))


def _log_off(a: float) -> Step:
    return lambda s: np.log(s) + s.dtype.type(a)


MUTANTS = (
    _mutant(
        "naive exp (no shift)",
        "exp of a raw logit overflows past 88 (709 in float64)",
        lambda x: x - np.log(row_sum(np.exp(x))),
        family="offset",
    ),
    _mutant("log(softmax)", "the log of an underflowed probability is -inf", log_of(lambda p: p), family="spread"),
    _mutant("log(softmax+0.0001)", "an epsilon inside the log", log_of(_plus(1e-4))),
    _mutant("log(softmax+1e-08)", "an epsilon inside the log", log_of(_plus(1e-8)), family="dominating"),
    _mutant("log(softmax+1e-12)", "an epsilon inside the log", log_of(_plus(1e-12)), family="spread"),
    _mutant(
        "log(clip(softmax,1e-7,1-1e-7))", "Keras' epsilon: log p is never below -16.1", log_of(clip), family="confident"
    ),
    _mutant("x-(max+log sum)", "the log of the sum is absorbed by a large maximum", x_minus_lse, family="offset"),
    _mutant("fp16 accumulator", "the sum is kept in float16", Softmax(total=one_by_one(F16)), family="stagnation"),
    _mutant("bf16 accumulator", "the sum is kept in bfloat16", Softmax(total=one_by_one(BF16)), family="stagnation"),
    _mutant("inputs rounded to tf32", "a matrix unit's input format", Softmax(enter=tf32)),
    _mutant("inputs rounded to bf16", "an autocast of the logits", Softmax(enter=through(BF16))),
    _mutant("exp rel err 0.001 (osc)", "a coarse table or polynomial for exp", Softmax(exp=exp_off(1e-3))),
    _mutant("exp rel err 0.0001 (osc)", "a coarse polynomial for exp", Softmax(exp=exp_off(1e-4))),
    _mutant("exp rel err 1e-05 (osc)", "a polynomial for exp, 80 ulp off", Softmax(exp=exp_off(1e-5))),
    _mutant("exp rel err 3e-06 (osc)", "a polynomial for exp, 25 ulp off", Softmax(exp=exp_off(3e-6))),
    _mutant(
        "exp rel err 1e-06 (osc)",
        "8 ulp in float32: within exp's contract and the other roundings",
        Softmax(exp=exp_off(1e-6)),
        expect=F64_ONLY,
    ),
    _mutant("result*(1+0.0001)", "a systematic error", Softmax(leave=times(1 + 1e-4))),
    _mutant("result*(1+1e-05)", "a systematic error", Softmax(leave=times(1 + 1e-5))),
    _mutant(
        "result*(1+1e-06)", "a systematic error of 8 ulp in float32", Softmax(leave=times(1 + 1e-6)), family="spread"
    ),
    _mutant("log abs err 0.0001", "a coarse log", Softmax(log=_log_off(1e-4))),
    _mutant("log abs err 1e-05", "a coarse log", Softmax(log=_log_off(1e-5))),
    _mutant("log abs err 1e-06", "a log 8 float32 ulp of 1 off", Softmax(log=_log_off(1e-6)), family="binary"),
    _mutant("log2", "log2 of the sum instead of its natural logarithm", Softmax(log=np.log2)),
    _mutant(
        "drop class K-1 from sum",
        "the sum stops one class short",
        Softmax(total=lambda e: row_sum(e[..., :-1])),
        family="last_class",
    ),
    _mutant(
        "clamp at -100", "log p is never below -100", Softmax(leave=lambda y: np.maximum(y, -100)), family="spread"
    ),
    _mutant(
        "clamp d at -20",
        "a guard of exp alone: adds 2e-9 to the sum for each far class, below float32's roundoff",
        Softmax(exp=lambda d: np.exp(np.maximum(d, d.dtype.type(-20)))),
        expect=F64_ONLY,
        family="spread",
    ),
    _mutant("computed in fp32", "everything in float32", Softmax(inner=F32), expect=F64_ONLY),
    _mutant("computed in bf16", "everything in bfloat16", Softmax(inner=BF16, total=one_by_one())),
)
