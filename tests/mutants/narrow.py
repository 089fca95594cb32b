"""Mutants of softmax and log_softmax in bfloat16 and float16, under both error profiles; the kill table's rows.

Profile W allows one rounding to 16 bits, profile N one for each elementwise step. Some mistakes are below N's rounding,
which is why a profile is declared for each op and dtype and why a drop from W to N is a regression.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .log_softmax import log_of, x_minus_lse
from .mutant import Mutant, options
from .parts import BF16, F16, Array, Function, Softmax, one_by_one, over_rows, row_max, times, truncated, zero
from .softmax import drop_last

FORMATS = {"bfloat16": BF16, "float16": F16}
# Names that profile N does not kill, by row; everything else is killed under both profiles.
BELOW_N = {
    "softmax bfloat16": {"truncate output", "result*(1+2^-7)", "result*(1+2^-10)"},
    "softmax float16": {"truncate output", "result*(1+2^-10)"},
    "log_softmax bfloat16": {"truncate output", "log abs err 1e-3"},
    "log_softmax float16": {"truncate output"},
}


def wide_total(e: Array) -> Array:
    """The row sum in float32, rounded to the precision of the terms: what profile N promises.

    A sum that is beyond the range of the terms' format stays in float32: 70 000 classes must not make it infinite
    (SPEC section 4, clause 7).
    """
    exact = np.sum(e, axis=-1, keepdims=True, dtype=np.float32)
    rounded = exact.astype(e.dtype)
    return exact if np.isinf(rounded).any() else rounded


def op_by_op(fmt: np.dtype[Any]) -> Softmax:
    """Every elementwise result in 16 bits."""
    return Softmax(inner=fmt, total=wide_total)


def _lse(fmt: np.dtype[Any]) -> Function:
    def y(x: Array) -> Array:
        x = x.astype(fmt)
        m = row_max(x)
        return (x - (m + np.log(wide_total(np.exp(x - m))))).astype(np.float32)

    return y


def _shared(name: str) -> Iterator[tuple[str, str, Softmax]]:
    fmt = FORMATS[name]
    yield "accumulate in 16-bit", "all steps and the running sum in 16 bits", Softmax(inner=fmt, total=one_by_one())
    yield "truncate output", "the result is rounded towards zero", Softmax(leave=truncated(fmt))
    yield "result*(1+2^-7)", "a systematic error", Softmax(leave=times(1 + 2.0**-7))
    yield "C(N): op-by-op", "an op-by-op implementation that declares profile W", op_by_op(fmt)


def _softmax(name: str) -> Iterator[tuple[str, str, Function]]:
    fmt, other = FORMATS[name], F16 if name == "bfloat16" else BF16
    yield from ((n, why, s.p) for n, why, s in _shared(name))
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


def _log_softmax(name: str) -> Iterator[tuple[str, str, Function]]:
    fmt = FORMATS[name]
    yield from ((n, why, s.y) for n, why, s in _shared(name))
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


def _mutants() -> Iterator[Mutant]:
    for op, rows in (("softmax", _softmax), ("log_softmax", _log_softmax)):
        for dtype in FORMATS:
            for name, why, f in rows(dtype):
                for profile in "WN":
                    if name.startswith("C(N)") and profile == "N":
                        continue
                    below = profile == "N" and name in BELOW_N[f"{op} {dtype}"]
                    yield Mutant(
                        name,
                        op,
                        f"{op} {dtype} {profile}",
                        why,
                        over_rows(f),
                        dtypes=(dtype,),
                        expect=() if below else (dtype,),
                        options=options(op),
                        profiles={dtype: profile},
                    )


MUTANTS = tuple(_mutants())
