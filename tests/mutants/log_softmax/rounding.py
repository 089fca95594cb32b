"""Mutants of the rounding of log_softmax: formats, accumulators, approximate functions."""

from __future__ import annotations

import numpy as np

from tests.mutants.kit.entries import bug
from tests.mutants.kit.kill_table import log_softmax_row
from tests.mutants.kit.mutant import F16_ONLY, F64_ONLY, Mutant
from tests.mutants.kit.softmax_steps import (
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
    row_sum,
    tf32,
    through,
    times,
)


def _log_off(a: float) -> Step:
    return lambda s: np.log(s) + s.dtype.type(a)


def _online_bf16(x: Array) -> Array:
    m, s = np.full_like(x[..., :1], -np.inf), np.zeros_like(x[..., :1])
    for j in range(x.shape[-1]):
        new = np.maximum(m, x[..., j : j + 1])
        safe = np.where(np.isneginf(new), 0, new).astype(x.dtype)
        s = s * through(BF16)(np.exp(m - safe)) + np.exp(x[..., j : j + 1] - safe)
        m = new
    return (x - m) - np.log(s)


MUTANTS: tuple[Mutant, ...] = (
    log_softmax_row(
        "fp16 accumulator", "the sum is kept in float16", Softmax(total=one_by_one(F16)), family="stagnation"
    ),
    log_softmax_row(
        "bf16 accumulator", "the sum is kept in bfloat16", Softmax(total=one_by_one(BF16)), family="stagnation"
    ),
    log_softmax_row("inputs rounded to tf32", "a matrix unit's input format", Softmax(enter=tf32)),
    log_softmax_row("inputs rounded to bf16", "an autocast of the logits", Softmax(enter=through(BF16))),
    log_softmax_row("exp rel err 0.001 (osc)", "a coarse table or polynomial for exp", Softmax(exp=exp_off(1e-3))),
    log_softmax_row("exp rel err 0.0001 (osc)", "a coarse polynomial for exp", Softmax(exp=exp_off(1e-4))),
    log_softmax_row("exp rel err 1e-05 (osc)", "a polynomial for exp, 80 ulp off", Softmax(exp=exp_off(1e-5))),
    log_softmax_row("exp rel err 3e-06 (osc)", "a polynomial for exp, 25 ulp off", Softmax(exp=exp_off(3e-6))),
    log_softmax_row(
        "exp rel err 1e-06 (osc)",
        "8 ulp in float32: within exp's contract and the other roundings",
        Softmax(exp=exp_off(1e-6)),
        expect=F64_ONLY,
    ),
    log_softmax_row("result*(1+0.0001)", "a systematic error", Softmax(leave=times(1 + 1e-4))),
    log_softmax_row("result*(1+1e-05)", "a systematic error", Softmax(leave=times(1 + 1e-5))),
    log_softmax_row(
        "result*(1+1e-06)", "a systematic error of 8 ulp in float32", Softmax(leave=times(1 + 1e-6)), family="spread"
    ),
    log_softmax_row("log abs err 0.0001", "a coarse log", Softmax(log=_log_off(1e-4))),
    log_softmax_row("log abs err 1e-05", "a coarse log", Softmax(log=_log_off(1e-5))),
    log_softmax_row("log abs err 1e-06", "a log 8 float32 ulp of 1 off", Softmax(log=_log_off(1e-6)), family="binary"),
    log_softmax_row("computed in fp32", "everything in float32", Softmax(inner=F32), expect=F64_ONLY),
    log_softmax_row("computed in bf16", "everything in bfloat16", Softmax(inner=BF16, total=one_by_one())),
    bug(
        "log_softmax",
        "float16 sum of 65520 classes",
        "the sum is rounded to float16 and infinite from 65520 equal logits on",
        "torch-cpu-f16-logsoftmax-over-65519-classes (pytorch/pytorch#158310), scipy-f16-wide-row",
        over_rows(Softmax(total=lambda e: through(F16)(row_sum(e))).y),
        expect=("float16",),
    ),
    bug(
        "log_softmax",
        "rescaling factor in bf16",
        "exp(m_old - m_new) is rounded to bfloat16 each time the maximum grows",
        "te-ce-bf16-buffer-reuse, its relative (NVIDIA/TransformerEngine#3193)",
        over_rows(_online_bf16),
        expect=("float64", "float32"),
        family="ascending",
    ),
    bug(
        "log_softmax",
        "subnormal results flushed",
        "float16 results below 2^-14 are 0",
        "onnxruntime-webgpu-f16-softmax-sum, in the result",
        over_rows(Softmax(leave=lambda y: np.where(np.abs(y) < 2.0**-14, 0, y)).y),
        expect=F16_ONLY,
    ),
    bug(
        "log_softmax",
        "log(softmax) in the io format",
        "probabilities are rounded to the format: -inf from a gap of 17 on in float16",
        "logsoftmax-lowered-to-log-softmax-converters",
        lambda x, axis=-1: np.log(over_rows(PLAIN.p)(x, axis=axis)),
        expect=("bfloat16", "float16"),
    ),
)
