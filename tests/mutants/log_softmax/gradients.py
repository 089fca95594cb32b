"""Mutants of the vector-Jacobian product of log_softmax."""

from __future__ import annotations

import numpy as np

from tests.mutants.kit.clause_kit import largest, of_rows
from tests.mutants.kit.entries import SIBLING, bug, vjp_bug
from tests.mutants.kit.kill_table import vjp_row
from tests.mutants.kit.mutant import F64_ONLY, Mutant
from tests.mutants.kit.softmax_mistakes import neighbour_axis, through_masked_exponential
from tests.mutants.kit.softmax_steps import (
    BF16,
    F32,
    PLAIN,
    Array,
    over_rows_vjp,
    row_sum,
    through,
    times,
    vjp_log_softmax,
    vjp_softmax,
)
from tests.mutants.kit.sources import COTANGENT, EXACT_INPUTS


def _no_backward(x: Array, cotangent: Array, *, axis: int = -1) -> Array:
    raise LookupError("no gradient defined")


def _capped_cotangent(x: Array, v: Array) -> Array:
    total = np.clip(v.sum(axis=-1, keepdims=True), -largest(v.dtype), largest(v.dtype))
    return v - PLAIN.p(x) * total.astype(v.dtype)


def _by_its_size(x: Array, v: Array) -> Array:
    size = np.max(np.abs(v), axis=-1, keepdims=True, initial=0)
    return vjp_log_softmax(PLAIN.p(x), v / size) * size


MUTANTS: tuple[Mutant, ...] = (
    vjp_bug(
        "log_softmax",
        "a cotangent of 0 gives NaN",
        "the cotangent is divided by its size and the gradient multiplied by it, against overflow",
        COTANGENT,
        _by_its_size,
    ),
    vjp_row("vjp_log_softmax", "sum(v) assumed 1", "right for one-hot cotangents only", lambda x, v: v - PLAIN.p(x)),
    vjp_row(
        "vjp_log_softmax",
        "sum(v) in bf16",
        "the sum is rounded to bfloat16",
        lambda x, v: v - PLAIN.p(x) * through(BF16)(row_sum(v)),
    ),
    vjp_row(
        "vjp_log_softmax",
        "p in bf16",
        "the saved softmax is bfloat16",
        lambda x, v: vjp_log_softmax(through(BF16)(PLAIN.p(x)), v),
    ),
    vjp_row(
        "vjp_log_softmax",
        "result*(1+1e-5)",
        "a systematic error",
        lambda x, v: times(1 + 1e-5)(vjp_log_softmax(PLAIN.p(x), v)),
    ),
    bug(
        "log_softmax",
        "gradient through v / softmax",
        "divides by a probability that underflows",
        "nnlib-logsoftmax-grad-overflow (FluxML/NNlib.jl#68)",
        grad=over_rows_vjp(lambda x, v: vjp_softmax(PLAIN.p(x), v / PLAIN.p(x))),
        family="spread",
    ),
    bug(
        "log_softmax",
        "gradient exp(y) + v",
        "the Jacobian of nothing",
        "mlpack-logsoftmax-backward (mlpack/mlpack#2360)",
        grad=over_rows_vjp(lambda x, v: PLAIN.p(x) + v),
    ),
    bug(
        "log_softmax",
        "gradient through a masked exponential",
        "NaN at masked entries",
        "jax-softmax-where-masked-large-grad-nan",
        grad=over_rows_vjp(through_masked_exponential(True)),
        family="masked",
    ),
    bug(
        "log_softmax",
        "no gradient",
        "the backward pass is not registered",
        "tf-logsoftmax-no-gradient",
        grad=_no_backward,
    ),
    of_rows(
        "log_softmax",
        "4.7-may-cotangent",
        "overflowed sum of the cotangent saturates",
        "a finite gradient far from the exact one",
        vjp=_capped_cotangent,
    ),
    bug(
        "log_softmax",
        "gradient summed over the neighbouring axis",
        "sum v runs over rows",
        SIBLING + "nnlib-logsoftmax-grad-overflow",
        grad=neighbour_axis(vjp_log_softmax),
    ),
    vjp_bug(
        "log_softmax",
        "gradient of softmax",
        "p (v - <p, v>)",
        SIBLING + "mlpack-logsoftmax-backward",
        lambda x, v: vjp_softmax(PLAIN.p(x), v),
    ),
    vjp_bug(
        "log_softmax",
        "cotangent ignored",
        "taken for 1",
        COTANGENT,
        lambda x, v: vjp_log_softmax(PLAIN.p(x), np.ones_like(v)),
    ),
    vjp_bug(
        "log_softmax",
        "uniform instead of p",
        "v - mean v: right for equal logits",
        COTANGENT,
        lambda x, v: v - np.mean(v, axis=-1, keepdims=True),
    ),
    vjp_bug(
        "log_softmax",
        "p - v",
        "the sign",
        SIBLING + "mlpack-logsoftmax-backward",
        lambda x, v: PLAIN.p(x) * row_sum(v) - v,
    ),
    vjp_bug(
        "log_softmax",
        "cotangent through float32",
        "cotangents of float64 lose what float32 lacks: nothing, where they have few bits",
        EXACT_INPUTS,
        lambda x, v: vjp_log_softmax(PLAIN.p(x), through(F32)(v)),
        expect=F64_ONLY,
        family="full_mantissas",
    ),
)
