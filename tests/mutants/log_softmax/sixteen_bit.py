"""Mutants of log_softmax in bfloat16 and float16, under both error profiles."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.mutants.kit.mutant import Mutant
from tests.mutants.kit.sixteen_bit import FORMATS, Entries, op_by_op, shared, under_both_profiles, wide_total
from tests.mutants.kit.softmax_mistakes import log_of, x_minus_lse
from tests.mutants.kit.softmax_steps import Array, Function, Softmax, row_max


def _lse(fmt: np.dtype[Any]) -> Function:
    def y(x: Array) -> Array:
        x = x.astype(fmt)
        m = row_max(x)
        return (x - (m + np.log(wide_total(np.exp(x - m))))).astype(np.float32)

    return y


def _rows(name: str) -> Entries:
    fmt = FORMATS[name]
    yield from ((n, why, s.y) for n, why, s in shared(name))
    yield "log(softmax) fp32", "the log of an underflowed probability is -inf", log_of(lambda p: p)
    narrow = op_by_op(fmt).p
    yield (
        "log(softmax) 16-bit",
        "the log of a 16-bit probability",
        lambda x: np.log(narrow(x).astype(fmt)).astype(x.dtype),
    )
    yield "x-(max+log s) fp32", "the log of the sum is absorbed by a large maximum", x_minus_lse
    yield "x-lse 16-bit", "the log of the sum plus the maximum is rounded to 16 bits", _lse(fmt)
    yield "log(p+1e-8)", "an epsilon inside the log", log_of(lambda p: p + p.dtype.type(1e-8))
    yield "log abs err 1e-3", "a coarse log", Softmax(log=lambda s: np.log(s) + s.dtype.type(1e-3)).y


MUTANTS: tuple[Mutant, ...] = tuple(under_both_profiles("log_softmax", _rows))
