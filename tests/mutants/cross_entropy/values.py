"""Mutants of the value of cross_entropy: log-probabilities, bias, formats."""

from __future__ import annotations

import numpy as np

from tests.mutants.kit.clause_kit import largest, of_loss, of_two
from tests.mutants.kit.entries import loss_bug
from tests.mutants.kit.kill_table import plain_row
from tests.mutants.kit.loss_steps import CORRECT, Case, Loss, row_losses
from tests.mutants.kit.mutant import F64_ONLY, Mutant
from tests.mutants.kit.softmax_mistakes import BASE_2, clip, log_of, x_minus_lse
from tests.mutants.kit.softmax_steps import BF16, F32, PLAIN, Array, Softmax, same, tf32, through, times


def _saturated_rows(case: Case, y: Array, c: Array) -> Array:
    rows = CORRECT.rows(case, y, c)
    finite = np.isfinite(case.x).all(axis=-1)
    beyond = finite & (np.abs(rows) > largest(case.io)) & (not case.weighted)
    return np.where(beyond, largest(case.io), rows).astype(rows.dtype)


def _bias(case: Case, y: Array, c: Array) -> Array:
    """The target logit has a bias that the normaliser has not."""
    bias = (np.arange(case.k) == 0).astype(y.dtype)
    return row_losses(case, y + np.where(np.isinf(y), 0, bias), c)


MUTANTS: tuple[Mutant, ...] = (
    plain_row(
        "log(softmax)", "the log of an underflowed probability is -inf", Loss(logp=log_of(lambda p: p)), family="spread"
    ),
    plain_row(
        "log(clip(p,1e-7))",
        "an epsilon: the loss is never above 16.1",
        Loss(logp=log_of(lambda p: np.maximum(p, p.dtype.type(1e-7)))),
        family="spread",
    ),
    plain_row(
        "log(p+1e-8)",
        "an epsilon: the loss is never above 18.4",
        Loss(logp=log_of(lambda p: p + p.dtype.type(1e-8))),
        family="spread",
    ),
    plain_row(
        "x-(max+log sum)", "the log of the sum is absorbed by a large maximum", Loss(logp=x_minus_lse), family="offset"
    ),
    plain_row("result*(1+0.0001)", "a systematic error", Loss(leave=times(1 + 1e-4))),
    plain_row("result*(1+1e-05)", "a systematic error", Loss(leave=times(1 + 1e-5))),
    plain_row(
        "result*(1+1e-06)", "a systematic error of 8 ulp in float32", Loss(leave=times(1 + 1e-6)), expect=F64_ONLY
    ),
    plain_row("logits tf32", "a matrix unit's input format", Loss(logp=Softmax(enter=tf32).y)),
    plain_row("logits bf16", "an autocast of the logits", Loss(logp=Softmax(enter=through(BF16)).y)),
    plain_row("base-2 log", "log2 of the sum instead of its natural logarithm", Loss(logp=Softmax(log=np.log2).y)),
    loss_bug(
        "row maximum clipped at -64",
        "rows of logits below -168 have sum 0 and loss infinity",
        "paddle-gpu-xent-clip-max-inf (PaddlePaddle/Paddle#21165)",
        Loss(logp=Softmax(shift=lambda x: np.maximum(np.max(x, axis=-1, keepdims=True), -64)).y),
        family="all_negative",
    ),
    loss_bug(
        "probabilities clipped to [1e-7, 1-1e-7]",
        "the loss saturates at 16.1",
        "keras-cce-probs-clipped-1e-7 (keras-team/keras#17634)",
        Loss(logp=log_of(clip)),
        expect=("float64", "float32", "bfloat16"),
        family="spread",
    ),
    loss_bug(
        "log of softmax",
        "the log of an underflowed probability is -inf",
        "onnx-reference-log-of-softmax, logsoftmax-lowered-to-log-softmax-converters (apple/coremltools#2763)",
        Loss(logp=log_of(same)),
        family="spread",
    ),
    of_loss(
        "2-cross_entropy",
        "base 2 exponent for two classes",
        "2^d instead of e^d in the value",
        Loss(logp=of_two(BASE_2.y, PLAIN.y)),
    ),
    of_loss(
        "4.7-may-loss",
        "overflowed loss gives the largest number",
        "a saturating conversion: a finite value far from the exact one",
        Loss(rows=_saturated_rows),
    ),
    loss_bug(
        "biased target logit",
        "a bias is in the target's logit and not in the normaliser",
        "cce-bias-path",
        Loss(rows=_bias),
    ),
    loss_bug(
        "everything in float32",
        "float64 inputs are computed in float32",
        "computed in fp32, the loss",
        Loss(logp=Softmax(inner=F32).y),
        expect=("float64",),
    ),
    loss_bug(
        "x - lse",
        "two equal logits of 1e8 have loss 0",
        "torch-big-equal-logits-loss-zero",
        Loss(logp=lambda x: x - (np.max(x, -1, keepdims=True) + np.log(PLAIN.steps(x)[2]))),
        family="offset",
    ),
)
