"""Upstream bugs of log_softmax that a plain function can show. Each names its entry of bugs.json."""

from __future__ import annotations

import numpy as np

from .bugs import bug
from .parts import BF16, F16, PLAIN, Array, Softmax, over_rows, over_rows_vjp, row_sum, through, vjp_softmax


def _sigmoid(x: Array) -> Array:
    return PLAIN.y(x) if x.shape[-1] > 1 else -np.logaddexp(0, -x)


def _ties_dropped(x: Array) -> Array:
    d, e, _ = PLAIN.steps(x)
    return d - np.log1p(row_sum(np.where(d == 0, 0, e)))


def _online_bf16(x: Array) -> Array:
    m, s = np.full_like(x[..., :1], -np.inf), np.zeros_like(x[..., :1])
    for j in range(x.shape[-1]):
        new = np.maximum(m, x[..., j : j + 1])
        safe = np.where(np.isneginf(new), 0, new).astype(x.dtype)
        s = s * through(BF16)(np.exp(m - safe)) + np.exp(x[..., j : j + 1] - safe)
        m = new
    return (x - m) - np.log(s)


MUTANTS = (
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
        "sigmoid for one class",
        "one class is taken for a binary problem",
        "single: the one-logit convention of binary losses",
        over_rows(_sigmoid),
        family="single",
    ),
    bug(
        "log_softmax",
        "ties dropped",
        "log1p of the other terms, where all that equal the maximum are left out",
        "two_level: a wrong repair of scipy-logsoftmax-tail-flush (scipy/scipy#19521)",
        over_rows(_ties_dropped),
        family="equal, two_level",
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
        "rescaling factor in bf16",
        "exp(m_old - m_new) is rounded to bfloat16 each time the maximum grows",
        "te-ce-bf16-buffer-reuse, its relative (NVIDIA/TransformerEngine#3193)",
        over_rows(_online_bf16),
        expect=("float64", "float32"),
        family="ascending",
    ),
)
