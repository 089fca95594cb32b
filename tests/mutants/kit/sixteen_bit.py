"""Softmax and log-softmax in bfloat16 and float16, and entries for them; the kill table's rows.

Profile W allows one rounding to 16 bits, profile N one for each elementwise step. Some mistakes are below N's rounding,
which is why a profile is declared for each op and dtype and why a drop from W to N is a regression.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .mutant import Mutant, options
from .softmax_steps import BF16, F16, Array, Function, Softmax, one_by_one, over_rows, times, truncated

FORMATS = {"bfloat16": BF16, "float16": F16}
# Names that profile N does not kill, by row; everything else is killed under both profiles.
BELOW_N = {
    "softmax bfloat16": {"truncate output", "result*(1+2^-7)", "result*(1+2^-10)"},
    "softmax float16": {"truncate output", "result*(1+2^-10)"},
    "log_softmax bfloat16": {"truncate output", "log abs err 1e-3"},
    "log_softmax float16": {"truncate output"},
}
# Name, mechanism, function of rows.
Entries = Iterator[tuple[str, str, Function]]


def wide_total(e: Array) -> Array:
    """The row sum in float32, rounded to the precision of the terms: what profile N promises.

    A sum that is beyond the range of the terms' format stays in float32: 70 000 classes must not make it infinite
    (specification section 4, clause 7).
    """
    exact = np.asarray(np.sum(e, axis=-1, keepdims=True, dtype=np.float32))
    rounded = exact.astype(e.dtype)
    return exact if np.isinf(rounded).any() else rounded


def op_by_op(fmt: np.dtype[Any]) -> Softmax:
    """Every elementwise result in 16 bits."""
    return Softmax(inner=fmt, total=wide_total)


def shared(name: str) -> Iterator[tuple[str, str, Softmax]]:
    """Mistakes that both ops make, for a format."""
    fmt = FORMATS[name]
    yield "accumulate in 16-bit", "all steps and the running sum in 16 bits", Softmax(inner=fmt, total=one_by_one())
    yield "truncate output", "the result is rounded towards zero", Softmax(leave=truncated(fmt))
    yield "result*(1+2^-7)", "a systematic error", Softmax(leave=times(1 + 2.0**-7))
    yield "C(N): op-by-op", "an op-by-op implementation that declares profile W", op_by_op(fmt)


def under_both_profiles(op: str, rows: Callable[[str], Entries]) -> Iterator[Mutant]:
    """Each entry of each format, declared as profile W and as profile N."""
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
