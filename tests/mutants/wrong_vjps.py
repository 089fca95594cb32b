"""Vector-Jacobian products of softmax, log_softmax and nll_loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .bugs import SIBLING, bug, loss_bug
from .loss import NLL
from .mutant import Mutant
from .parts import (
    PLAIN,
    Array,
    Function,
    over_rows,
    over_rows_vjp,
    row_sum,
    vjp_log_softmax,
    vjp_softmax,
)
from .wrong_cotangents import COTANGENT, spread
from .wrong_gradients import IGNORED, leaves


def _vjp(op: str, name: str, why: str, source: str, f: Callable[[Array, Array], Array], **given: object) -> Mutant:
    return bug(op, name, why, source, grad=over_rows_vjp(f), **given)  # type: ignore[arg-type]


def _neighbour_axis(rule: Callable[[Array, Array], Array]) -> Function:
    """The sum of the vector-Jacobian product runs over the neighbouring axis."""

    def grad(x: Array, cotangent: Array, *, axis: int = -1) -> Array:
        if x.ndim == 1:
            return over_rows_vjp(lambda r, v: rule(PLAIN.p(r), v))(x, cotangent, axis=axis)
        with np.errstate(all="ignore"):
            p = over_rows(PLAIN.p)(x, axis=axis).astype(np.float64)
            v = cotangent.astype(np.float64)
            other = axis - 1
            out = rule(np.moveaxis(p, other, -1), np.moveaxis(v, other, -1))
            return np.moveaxis(out, -1, other).astype(x.dtype)

    return grad


MUTANTS = (
    bug(
        "softmax",
        "gradient summed over the neighbouring axis",
        "<p, v> runs over rows",
        SIBLING + "torch-softmax-backward-noncontiguous-output",
        grad=_neighbour_axis(vjp_softmax),
    ),
    bug(
        "log_softmax",
        "gradient summed over the neighbouring axis",
        "sum v runs over rows",
        SIBLING + "nnlib-logsoftmax-grad-overflow",
        grad=_neighbour_axis(vjp_log_softmax),
    ),
    _vjp(
        "softmax",
        "cotangent ignored",
        "taken for 1: the gradient is 0",
        COTANGENT,
        lambda x, v: vjp_softmax(PLAIN.p(x), np.ones_like(v)),
    ),
    _vjp(
        "softmax",
        "cotangent of the first class",
        "v_0 for all classes",
        COTANGENT,
        lambda x, v: vjp_softmax(PLAIN.p(x), np.broadcast_to(v[..., :1], v.shape)),
    ),
    _vjp(
        "softmax",
        "mean instead of <p, v>",
        "right for equal logits",
        COTANGENT,
        lambda x, v: PLAIN.p(x) * (v - np.mean(v, axis=-1, keepdims=True)),
    ),
    _vjp(
        "softmax",
        "gradient of log-softmax",
        "v - p sum v",
        SIBLING + "tf-softmax-gpu-returns-logsoftmax",
        lambda x, v: vjp_log_softmax(PLAIN.p(x), v),
    ),
    _vjp(
        "softmax",
        "gradient with p squared",
        "the outer product's diagonal is lost",
        COTANGENT,
        lambda x, v: vjp_softmax(PLAIN.p(x), v) - PLAIN.p(x) ** 2 * v,
    ),
    _vjp(
        "log_softmax",
        "gradient of softmax",
        "p (v - <p, v>)",
        SIBLING + "mlpack-logsoftmax-backward",
        lambda x, v: vjp_softmax(PLAIN.p(x), v),
    ),
    _vjp(
        "log_softmax",
        "cotangent ignored",
        "taken for 1",
        COTANGENT,
        lambda x, v: vjp_log_softmax(PLAIN.p(x), np.ones_like(v)),
    ),
    _vjp(
        "log_softmax",
        "uniform instead of p",
        "v - mean v: right for equal logits",
        COTANGENT,
        lambda x, v: v - np.mean(v, axis=-1, keepdims=True),
    ),
    _vjp(
        "log_softmax",
        "p - v",
        "the sign",
        SIBLING + "mlpack-logsoftmax-backward",
        lambda x, v: PLAIN.p(x) * row_sum(v) - v,
    ),
    loss_bug(
        "nll: cotangent ignored",
        "taken for 1",
        COTANGENT,
        NLL,
        op="nll_loss",
        grad=replace(NLL, upstream=spread(np.ones_like)).grad,
    ),
    loss_bug(
        "nll: first cotangent for all rows",
        "cotangent[0] is broadcast",
        COTANGENT,
        NLL,
        op="nll_loss",
        grad=replace(NLL, upstream=spread(lambda v: v.reshape(-1)[0])).grad,
    ),
    loss_bug(
        "nll: gradient without weights",
        "-1 at the target",
        SIBLING + "torch-nll-negative-weight-zero-grad",
        NLL,
        op="nll_loss",
        grad=replace(NLL, weigh=lambda case, q: q).grad,
    ),
    loss_bug(
        "nll: gradient over all rows",
        "1/N where the value divides by weights",
        SIBLING + "torch-nll-negative-weight-zero-grad",
        NLL,
        op="nll_loss",
        grad=replace(NLL, count=lambda case: np.asarray(case.kept.size, case.x.dtype)).grad,
    ),
    loss_bug(
        "nll: gradient in all classes",
        "the target's gradient is not scattered",
        SIBLING + "torch-cuda-nll2d-backward-int32",
        NLL,
        op="nll_loss",
        grad=replace(NLL, slope=lambda case, p, c: np.broadcast_to(-row_sum(c), c.shape)).grad,
    ),
    loss_bug(
        "nll: gradient of ignored rows",
        "the sentinel is clamped to class 0",
        IGNORED,
        NLL,
        op="nll_loss",
        grad=replace(
            NLL,
            read=lambda case: replace(
                case, q=np.where(case.kept[..., None], case.q, np.arange(case.k) == 0).astype(case.x.dtype)
            ),
            mask_slope=leaves,
        ).grad,
    ),
)
