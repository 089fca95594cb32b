"""Mutants of softmax in bfloat16 and float16, under both error profiles."""

from __future__ import annotations

import numpy as np

from tests.mutants.kit.mutant import Mutant
from tests.mutants.kit.sixteen_bit import FORMATS, Entries, op_by_op, shared, under_both_profiles, wide_total
from tests.mutants.kit.softmax_steps import BF16, F16, Softmax, one_by_one, times, zero

from .values import drop_last


def _rows(name: str) -> Entries:
    fmt, other = FORMATS[name], F16 if name == "bfloat16" else BF16
    yield from ((n, why, s.p) for n, why, s in shared(name))
    yield "fp32 exp, 16-bit accumulate", "only the running sum is in 16 bits", Softmax(total=one_by_one(fmt)).p
    yield "naive exp", "no maximum is subtracted", Softmax(shift=zero).p
    yield "naive exp 16-bit", "no maximum is subtracted, in 16 bits", Softmax(inner=fmt, shift=zero, total=wide_total).p
    yield "other 16-bit format internally", "float16 for bfloat16 or the other way round", op_by_op(other).p
    yield "drop class K-1", "the last class gets no mass", drop_last
    yield "result*(1+2^-10)", "a systematic error", Softmax(leave=times(1 + 2.0**-10)).p
    if name == "float16":
        yield (
            "FTZ of fp16 subnormals",
            "results below 2^-14 are flushed",
            Softmax(leave=lambda p: np.where(p < 2.0**-14, 0, p)).p,
        )


MUTANTS: tuple[Mutant, ...] = tuple(under_both_profiles("softmax", _rows))
