"""Mutants of the vector-Jacobian product of softmax."""

from __future__ import annotations

import numpy as np

from tests.mutants.kit.entries import SIBLING, bug, vjp_bug
from tests.mutants.kit.kill_table import vjp_row
from tests.mutants.kit.mutant import F16_ONLY, F64_ONLY, Mutant
from tests.mutants.kit.softmax_mistakes import neighbour_axis, through_masked_exponential
from tests.mutants.kit.softmax_steps import (
    BF16,
    F16,
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


def _square_in_half(x: Array, v: Array) -> Array:
    _, e, s = PLAIN.steps(x)
    square = through(F16)(1 / (s * s))
    square = np.where(square < 2.0**-14, 0, square).astype(x.dtype)
    return v * e / s - e * row_sum(e * v) * square


def _no_inner_backward(x: Array, cotangent: Array, *, axis: int = -1) -> Array:
    if axis not in (-1, x.ndim - 1):
        raise TypeError("expected Half, got Float")
    return over_rows_vjp(lambda r, v: vjp_softmax(PLAIN.p(r), v))(x, cotangent, axis=axis)


def _by_its_size(x: Array, v: Array) -> Array:
    size = np.max(np.abs(v), axis=-1, keepdims=True, initial=0)
    return vjp_softmax(PLAIN.p(x), v / size) * size


MUTANTS: tuple[Mutant, ...] = (
    vjp_bug(
        "softmax",
        "a cotangent of 0 gives NaN",
        "the cotangent is divided by its size and the gradient multiplied by it, against overflow",
        COTANGENT,
        _by_its_size,
    ),
    vjp_row("vjp_softmax", "missing -p<p,v>", "the Jacobian's rank-one part is lost", lambda x, v: PLAIN.p(x) * v),
    vjp_row(
        "vjp_softmax",
        "diag only p(1-p)v",
        "the Jacobian is taken for diagonal",
        lambda x, v: PLAIN.p(x) * (1 - PLAIN.p(x)) * v,
    ),
    vjp_row(
        "vjp_softmax",
        "<p,v> in bf16",
        "the inner product is rounded to bfloat16",
        lambda x, v: PLAIN.p(x) * (v - through(BF16)(row_sum(PLAIN.p(x) * v))),
    ),
    vjp_row(
        "vjp_softmax",
        "p in bf16",
        "the saved softmax is bfloat16",
        lambda x, v: vjp_softmax(through(BF16)(PLAIN.p(x)), v),
    ),
    vjp_row(
        "vjp_softmax", "result*(1+1e-5)", "a systematic error", lambda x, v: times(1 + 1e-5)(vjp_softmax(PLAIN.p(x), v))
    ),
    bug(
        "softmax",
        "1/s^2 in float16 in the gradient",
        "underflows for s > 256: the rank-one part of the Jacobian is lost",
        "measured: VJP of JAX's default softmax",
        grad=over_rows_vjp(_square_in_half),
        expect=("float16",),
        family="wide",
    ),
    bug(
        "softmax",
        "gradient of an all -inf row 0",
        "the NaN is replaced by 0 in the backward pass",
        "sibling of jax-logsumexp-all-neginf-grad-nan",
        grad=over_rows_vjp(lambda x, v: np.where(np.isneginf(x).all(-1, keepdims=True), 0, vjp_softmax(PLAIN.p(x), v))),
        family="all_masked_row",
    ),
    bug(
        "softmax",
        "gradient through a masked exponential",
        "where-trick: infinity times 0 in the backward pass",
        "jax-softmax-where-masked-large-grad-nan",
        grad=over_rows_vjp(through_masked_exponential(False)),
        family="masked",
    ),
    bug(
        "softmax",
        "no gradient on inner axes",
        "raises for float16 and an axis that is not the last",
        "torch-cuda-half-float-softmax-backward-dim",
        grad=_no_inner_backward,
        expect=F16_ONLY,
    ),
    bug(
        "softmax",
        "gradient summed over the neighbouring axis",
        "<p, v> runs over rows",
        SIBLING + "torch-softmax-backward-noncontiguous-output",
        grad=neighbour_axis(vjp_softmax),
    ),
    vjp_bug(
        "softmax",
        "cotangent ignored",
        "taken for 1: the gradient is 0",
        COTANGENT,
        lambda x, v: vjp_softmax(PLAIN.p(x), np.ones_like(v)),
    ),
    vjp_bug(
        "softmax",
        "cotangent of the first class",
        "v_0 for all classes",
        COTANGENT,
        lambda x, v: vjp_softmax(PLAIN.p(x), np.broadcast_to(v[..., :1], v.shape)),
    ),
    vjp_bug(
        "softmax",
        "mean instead of <p, v>",
        "right for equal logits",
        COTANGENT,
        lambda x, v: PLAIN.p(x) * (v - np.mean(v, axis=-1, keepdims=True)),
    ),
    vjp_bug(
        "softmax",
        "gradient of log-softmax",
        "v - p sum v",
        SIBLING + "tf-softmax-gpu-returns-logsoftmax",
        lambda x, v: vjp_log_softmax(PLAIN.p(x), v),
    ),
    vjp_bug(
        "softmax",
        "gradient with p squared",
        "the outer product's diagonal is lost",
        COTANGENT,
        lambda x, v: vjp_softmax(PLAIN.p(x), v) - PLAIN.p(x) ** 2 * v,
    ),
    vjp_bug(
        "softmax",
        "cotangent through float32",
        "cotangents of float64 lose what float32 lacks: nothing, where they have few bits",
        EXACT_INPUTS,
        lambda x, v: vjp_softmax(PLAIN.p(x), through(F32)(v)),
        expect=F64_ONLY,
        family="full_mantissas",
    ),
)
