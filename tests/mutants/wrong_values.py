"""Numerics of softmax and log_softmax: shifts, sums, logarithms and formats."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .bugs import both, bug
from .log_softmax import x_minus_lse
from .mutant import ALL_DTYPES
from .parts import (
    BF16,
    F16,
    PLAIN,
    Array,
    Softmax,
    one_by_one,
    over_rows,
    row_max,
    row_sum,
    through,
    zero,
)

LOG2E = 1.4426950408889634


WIDE = ("float64", "float32")


HALF = ("float16",)


def _from_base_2(log: bool) -> Callable[[Array], Array]:
    """``x log2(e) - m log2(e)`` contracted to one rounding: the largest entry's difference is a rounding error."""

    def f(x: Array) -> Array:
        c = x.dtype.type(LOG2E)
        m = row_max(x)
        rounded = (m * c).astype(np.float64)
        t = (x.astype(np.float64) * np.float64(c) - rounded).astype(x.dtype)
        e = np.exp2(t)
        return t * x.dtype.type(1 / LOG2E) - np.log(row_sum(e)) if log else e / row_sum(e)

    return f


MUTANTS = (
    bug(
        "softmax",
        "base 2 with a fused product",
        "the largest entry's shift is a rounding error of m log2(e), not 0",
        "tf-xla-cpu-scaled-logsoftmax-neginf",
        over_rows(_from_base_2(False)),
        expect=WIDE,
        family="near_overflow",
    ),
    bug(
        "log_softmax",
        "base 2 with a fused product",
        "the largest entry's shift is a rounding error of m log2(e), not 0",
        "tf-xla-cpu-scaled-logsoftmax-neginf",
        over_rows(_from_base_2(True)),
        expect=WIDE,
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
        allowed="TOLERANCES: the bound of log s",
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
    bug(
        "log_softmax",
        "subnormal results flushed",
        "float16 results below 2^-14 are 0",
        "onnxruntime-webgpu-f16-softmax-sum, in the result",
        over_rows(Softmax(leave=lambda y: np.where(np.abs(y) < 2.0**-14, 0, y)).y),
        expect=HALF,
    ),
    *both(
        "float16 running sum",
        "the sum is kept in float16, term after term",
        "onnxruntime-webgpu-f16-softmax-sum",
        Softmax(total=one_by_one(F16)),
        expect=HALF,
    ),
    *both(
        "rounded twice, through bfloat16",
        "the result takes a detour through the other 16-bit format",
        "sibling of te-ce-bf16-buffer-reuse",
        Softmax(leave=through(BF16)),
        expect=HALF,
    ),
    *both(
        "maximum without the last class",
        "the loop of the maximum stops one short",
        "sibling of torch-bf16-nonlast-softmax-no-max",
        Softmax(shift=lambda x: row_max(x[..., :-1]) if x.shape[-1] > 1 else row_max(x)),
        family="near_overflow",
    ),
    bug(
        "softmax",
        "maximum of the first 32 classes",
        "one warp's maximum",
        "sibling of torch-cuda-f64-odd-width",
        over_rows(Softmax(shift=lambda x: row_max(x[..., :32])).p),
    ),
    bug(
        "log_softmax",
        "maximum of the first 32 classes",
        "one warp's maximum",
        "sibling of torch-cuda-f64-odd-width",
        over_rows(Softmax(shift=lambda x: row_max(x[..., :32])).y),
    ),
    *both(
        "sum of the first 32 classes",
        "one warp's sum",
        "sibling of torch-cuda-f64-odd-width",
        Softmax(total=lambda e: row_sum(e[..., :32])),
    ),
    *both(
        "exponent saturates",
        "shifted logits are at least -708 and results at least the smallest normal",
        "sibling of paddle-softmax-clip-minus-64",
        Softmax(gap=lambda d: np.maximum(d, d.dtype.type(-88))),
        expect=WIDE,
    ),
    *both(
        "no shift in float32",
        "float16 logits never overflow float32's exp, they are told; 89 does",
        "sibling of torch-bf16-nonlast-softmax-no-max",
        Softmax(shift=zero),
        expect=("bfloat16", "float16"),
        family="offset",
    ),
)
