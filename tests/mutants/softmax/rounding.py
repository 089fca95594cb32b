"""Mutants of the rounding of softmax, or of it and log_softmax: formats, accumulators, approximate functions."""

from __future__ import annotations

import numpy as np

from tests.mutants.kit.clause_kit import of_rows
from tests.mutants.kit.entries import both
from tests.mutants.kit.kill_table import softmax_row
from tests.mutants.kit.mutant import F16_ONLY, F64_ONLY, Mutant
from tests.mutants.kit.softmax_steps import (
    BF16,
    F16,
    F32,
    PLAIN,
    Array,
    Softmax,
    exp_off,
    one_by_one,
    tf32,
    through,
    times,
)
from tests.mutants.kit.sources import EXACT_INPUTS


def _rounded_up(x: Array) -> Array:
    p = PLAIN.p(x)
    return np.where((p > 0) & (p < np.finfo(np.float32).tiny), 2.0**-120, p).astype(x.dtype)


def _nearly_one(x: Array) -> Array:
    return np.where(np.isfinite(x), PLAIN.p(x) - (x.shape[-1] == 1) * np.finfo(x.dtype).epsneg, PLAIN.p(x)).astype(
        x.dtype
    )


MUTANTS: tuple[Mutant, ...] = (
    of_rows(
        "softmax", "4.8-p", "one class a rounding below 1", "a product with the reciprocal of the sum", _nearly_one
    ),
    softmax_row("fp16 accumulator", "the sum is kept in float16", Softmax(total=one_by_one(F16)), family="stagnation"),
    softmax_row(
        "bf16 accumulator", "the sum is kept in bfloat16", Softmax(total=one_by_one(BF16)), family="stagnation"
    ),
    softmax_row("inputs rounded to bf16", "an autocast of the logits", Softmax(enter=through(BF16))),
    softmax_row("inputs rounded to tf32", "a matrix unit's input format", Softmax(enter=tf32)),
    softmax_row(
        "exp in bf16", "each exponential is rounded to bfloat16", Softmax(exp=lambda d: through(BF16)(np.exp(d)))
    ),
    softmax_row(
        "exp in fp16", "each exponential is rounded to float16", Softmax(exp=lambda d: through(F16)(np.exp(d)))
    ),
    softmax_row("exp rel err 0.001 (osc)", "a coarse table or polynomial for exp", Softmax(exp=exp_off(1e-3))),
    softmax_row("exp rel err 0.0001 (osc)", "a coarse polynomial for exp", Softmax(exp=exp_off(1e-4)), family="hot"),
    softmax_row(
        "exp rel err 1e-05 (osc)", "a polynomial for exp, 80 ulp off", Softmax(exp=exp_off(1e-5)), family="hot"
    ),
    softmax_row(
        "exp rel err 3e-06 (osc)", "a polynomial for exp, 25 ulp off", Softmax(exp=exp_off(3e-6)), family="binary"
    ),
    softmax_row(
        "exp rel err 1e-06 (osc)",
        "8 ulp in float32: within exp's contract and the other roundings",
        Softmax(exp=exp_off(1e-6)),
        expect=F64_ONLY,
    ),
    softmax_row("result*(1+0.0001)", "a systematic error", Softmax(leave=times(1 + 1e-4))),
    softmax_row("result*(1+1e-05)", "a systematic error", Softmax(leave=times(1 + 1e-5)), family="binary"),
    softmax_row(
        "result*(1+1e-06)", "a systematic error of 8 ulp in float32", Softmax(leave=times(1 + 1e-6)), family="binary"
    ),
    softmax_row(
        "rcp 12-bit",
        "the hardware's approximate reciprocal (1.5 * 2^-12) without a Newton step",
        Softmax(divide=lambda e, s: e * (s.dtype.type(1 + 1.5 * 2.0**-12) / s)),
    ),
    softmax_row("computed in bf16", "everything in bfloat16", Softmax(inner=BF16, total=one_by_one())),
    softmax_row("computed in fp16", "everything in float16", Softmax(inner=F16, total=one_by_one())),
    softmax_row("computed in fp32", "everything in float32", Softmax(inner=F32), expect=F64_ONLY),
    *both(
        "float16 running sum",
        "the sum is kept in float16, term after term",
        "onnxruntime-webgpu-f16-softmax-sum",
        Softmax(total=one_by_one(F16)),
        expect=F16_ONLY,
    ),
    *both(
        "rounded twice, through bfloat16",
        "the result takes a detour through the other 16-bit format",
        "sibling of te-ce-bf16-buffer-reuse",
        Softmax(leave=through(BF16)),
        expect=F16_ONLY,
    ),
    *both(
        "float32 internals, float64 inputs",
        "one cast in a generic kernel",
        "computed in fp32",
        Softmax(gap=through(F32)),
        expect=("float64",),
    ),
    of_rows(
        "softmax",
        "4.9-flush",
        "subnormal results rounded up",
        "2^-120 instead of any smaller number",
        _rounded_up,
        expect=("float32", "bfloat16"),
    ),
    *both(
        "logits in fixed point",
        "18 bits behind the point, as a quantised kernel has them: differences of round numbers are exact",
        EXACT_INPUTS,
        Softmax(gap=lambda d: np.where(np.abs(d) < 2**12, np.rint(d * 2**18) / 2**18, d).astype(d.dtype)),
        expect=("float32",),
        family="full_mantissas",
    ),
)
