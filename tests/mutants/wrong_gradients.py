"""Gradients: what becomes of the cotangent, the mask, the weights and the axis in the backward pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .bugs import INDEX, bug, loss_bug
from .loss import NLL, Case, Loss, mixed, slope
from .mutant import Mutant
from .parts import (
    BF16,
    PLAIN,
    Array,
    Function,
    Softmax,
    over_rows,
    over_rows_vjp,
    row_sum,
    through,
    vjp_log_softmax,
    vjp_softmax,
)

SIBLING = "sibling of "
COTANGENT = "SPEC section 3: upstream cotangents"
IGNORED = SIBLING + "paddle-ignored-rows-get-gradient"
DENSE = ("probability",)


def _spread(change: Callable[[Array], Array]) -> Callable[[Case, Array], Array]:
    """The cotangent of reduction none, changed."""
    return lambda case, v: np.broadcast_to(change(v), v.shape).astype(v.dtype) if v.ndim and v.size else v


def _grad(name: str, why: str, source: str, of: Loss, **given: object) -> Mutant:
    return loss_bug(name, why, source, Loss(), grad=of.grad, **given)  # type: ignore[arg-type]


def _vjp(op: str, name: str, why: str, source: str, f: Callable[[Array, Array], Array], **given: object) -> Mutant:
    return bug(op, name, why, source, grad=over_rows_vjp(f), **given)  # type: ignore[arg-type]


def _clamped_onehot(case: Case, p: Array, c: Array) -> Array:
    """Ignored rows get the gradient of a clamped label."""
    if case.labels is None:
        return slope(case, p, c)
    q = (np.arange(case.k) == np.clip(case.labels, 0, case.k - 1)[..., None]).astype(p.dtype)
    return np.where(case.kept[..., None], slope(case, p, c), p - q)


def _uniform_of_ignored(case: Case, p: Array, c: Array) -> Array:
    ignored = p - np.asarray(1 / case.k, p.dtype)
    return np.where(case.kept[..., None], slope(case, p, c), case.eps * ignored)


def _leaves(case: Case, z: Array) -> Array:
    return z


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


def _wrong_axis_loss(x: Array, cotangent: Array, *, axis: int = -1, **options: object) -> Array:
    of = Loss(prob=lambda r: PLAIN.p(np.swapaxes(r, -1, 0)).swapaxes(-1, 0) if r.ndim > 1 else PLAIN.p(r))
    return of.grad(x, cotangent, axis=axis, **options)  # type: ignore[arg-type]


def _reversed_cotangent(case: Case, v: Array) -> Array:
    return v[..., ::-1] if v.ndim else v


def _half_scaled(x: Array, cotangent: Array, **options: object) -> Array:
    """The cotangent reaches ``Q p`` and not the target's term."""
    of = Loss(slope=lambda case, p, c: row_sum(c) * p)
    target = Loss(slope=lambda case, p, c: -c, upstream=lambda case, v: np.ones_like(v))
    return of.grad(x, cotangent, **options) + target.grad(x, cotangent, **options)  # type: ignore[arg-type]


def _row_weights(case: Case, p: Array, c: Array) -> Array:
    """``w_i (p - q')``: the weight of the class, not of the row."""
    return case.w * (p - mixed(case))


def _flushed(a: Array) -> Array:
    return np.where(np.abs(a) < 2.0**-14, 0, a).astype(a.dtype)


MUTANTS = (
    _grad(
        "cotangent ignored",
        "the gradient of reduction none is taken for the sum's",
        COTANGENT,
        Loss(upstream=_spread(np.ones_like)),
    ),
    _grad(
        "scalar cotangent ignored",
        "mean and sum are the last node: the cotangent is taken for 1",
        COTANGENT,
        Loss(upstream=lambda case, v: v if v.ndim else np.ones_like(v)),
    ),
    _grad(
        "first cotangent for all rows",
        "cotangent[0] is broadcast",
        COTANGENT,
        Loss(upstream=_spread(lambda v: v.reshape(-1)[0])),
    ),
    _grad("mean of the cotangent", "a non-uniform cotangent is averaged", COTANGENT, Loss(upstream=_spread(np.mean))),
    _grad("sum of the cotangent", "summed instead of applied row by row", COTANGENT, Loss(upstream=_spread(np.sum))),
    _grad(
        "cotangent applied twice",
        "in the fused forward pass and again",
        COTANGENT,
        Loss(upstream=lambda case, v: v * v),
    ),
    _grad("absolute cotangent", "the sign is lost", COTANGENT, Loss(upstream=lambda case, v: np.abs(v))),
    _grad("cotangent reversed", "rows in the other order", COTANGENT, Loss(upstream=_reversed_cotangent)),
    _grad(
        "cotangent divides",
        "1/g, as a loss scale would",
        COTANGENT,
        Loss(upstream=lambda case, v: np.where(v == 0, 0, 1 / v).astype(v.dtype)),
    ),
    loss_bug("cotangent for p only", "g Q p - w q'", COTANGENT, Loss(), grad=_half_scaled, targets=INDEX),
    _grad(
        "gradient of ignored rows with a clamped label",
        "p - onehot(clamp(y)) where the row is ignored",
        IGNORED,
        Loss(slope=_clamped_onehot, mask_slope=_leaves),
        targets=INDEX,
    ),
    _grad(
        "gradient of the uniform part in ignored rows",
        "the smoothing term is not masked",
        IGNORED,
        Loss(slope=_uniform_of_ignored, mask_slope=_leaves),
        targets=INDEX,
    ),
    _grad(
        "mask by multiplication in the gradient",
        "0 times the NaN of an ignored row",
        IGNORED,
        Loss(mask_slope=lambda case, z: z * case.kept[..., None]),
        targets=INDEX,
        expect=("float32", "float16"),
        allowed="section 4, clause 11",
    ),
    _grad(
        "gradient over all rows",
        "1/N where the value divides by the kept rows",
        IGNORED,
        Loss(count=lambda case: np.asarray(case.kept.size, case.x.dtype)),
        targets=INDEX,
    ),
    _grad(
        "gradient of the sum for mean",
        "the denominator is lost in the backward pass",
        SIBLING + "torch-nll-negative-weight-zero-grad",
        Loss(count=lambda case: np.ones((), case.x.dtype)),
    ),
    _grad(
        "gradient without weights",
        "p - q'",
        SIBLING + "paddle-weighted-ce-wrong",
        Loss(slope=lambda case, p, c: p - mixed(case)),
        targets=INDEX,
    ),
    _grad(
        "gradient with the class's weight",
        "w_i (p_i - q'_i)",
        SIBLING + "paddle-weighted-ce-wrong",
        Loss(slope=_row_weights),
    ),
    _grad(
        "weights twice in the gradient",
        "the row scale holds the weight already",
        SIBLING + "paddle-weighted-ce-wrong",
        Loss(weigh=lambda case, q: case.w * case.w * q),
    ),
    _grad(
        "gradient without smoothing",
        "only the value is smoothed",
        SIBLING + "liger-flce-label-smoothing-dropped",
        Loss(mix=lambda case: case.q),
    ),
    _grad(
        "gradient with smoothing of p",
        "(1 - eps) p - q'",
        SIBLING + "ls-formula-variants-in-the-wild",
        Loss(slope=lambda case, p, c: (row_sum(c) * p * (1 - case.eps) - c).astype(p.dtype)),
    ),
    loss_bug(
        "softmax along the wrong axis in the gradient",
        "the backward kernel normalises over the first axis",
        SIBLING + "torch-softmax-backward-noncontiguous-output",
        Loss(),
        grad=_wrong_axis_loss,
    ),
    _grad(
        "gradient rounded to bfloat16 before the target is subtracted",
        "the softmax buffer is bfloat16",
        "te-ce-bf16-buffer-reuse",
        Loss(prob=Softmax(leave=through(BF16)).p),
        family="confident",
    ),
    _grad(
        "gradient zero below float16's normal range",
        "subnormal gradients are flushed",
        SIBLING + "onnxruntime-webgpu-f16-softmax-sum",
        Loss(leave_grad=_flushed),
        expect=("float16",),
    ),
    _grad(
        "gradient 0 where p saturates",
        "clipped probabilities have no derivative",
        "keras-cce-probs-clipped-1e-7",
        Loss(slope=lambda case, p, c: np.where((p < 1e-7) | (p > 1 - 1e-7), 0, slope(case, p, c))),
        family="confident",
    ),
    _grad(
        "infinite loss has gradient NaN",
        "a masked target's gradient goes through its loss",
        SIBLING + "nnlib-logsoftmax-grad-overflow",
        Loss(
            slope=lambda case, p, c: (
                slope(case, p, c) + 0 * np.sum(np.where(c == 0, 0, c * np.log(p)), -1, keepdims=True)
            )
        ),
        family="masked_target",
    ),
    _grad(
        "NaN rows get gradient 0",
        "nan_to_num in the backward pass",
        SIBLING + "torch-linear-cross-entropy-masked-row",
        Loss(slope=lambda case, p, c: np.nan_to_num(slope(case, p, c))),
        family="nan_row",
    ),
    _grad(
        "a NaN row spoils the batch",
        "the gradient is divided by the sum of all losses",
        SIBLING + "torch-linear-cross-entropy-masked-row",
        Loss(leave_grad=lambda z: z + 0 * np.sum(z)),
        family="nan_row",
    ),
    _grad(
        "p - q' at the target only",
        "the other classes get no gradient",
        SIBLING + "mlpack-logsoftmax-backward",
        Loss(slope=lambda case, p, c: slope(case, p, c) * (case.q > 0)),
        targets=INDEX,
    ),
    _grad(
        "onehot at the wrong class",
        "the target is subtracted one class further",
        SIBLING + "mlpack-logsoftmax-backward",
        Loss(slope=lambda case, p, c: row_sum(c) * p - np.roll(c, 1, axis=-1)),
    ),
    _grad(
        "second moment",
        "p - q' is squared",
        SIBLING + "mlpack-logsoftmax-backward",
        Loss(slope=lambda case, p, c: np.square(slope(case, p, c))),
    ),
    _grad(
        "gradient in random order",
        "rows are scattered into the next ones",
        SIBLING + "torch-cuda-nll2d-backward-int32",
        Loss(leave_grad=lambda z: np.roll(z.reshape(-1, z.shape[-1]), 1, axis=0).reshape(z.shape)),
    ),
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
        grad=replace(NLL, upstream=_spread(np.ones_like)).grad,
    ),
    loss_bug(
        "nll: first cotangent for all rows",
        "cotangent[0] is broadcast",
        COTANGENT,
        NLL,
        op="nll_loss",
        grad=replace(NLL, upstream=_spread(lambda v: v.reshape(-1)[0])).grad,
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
            mask_slope=_leaves,
        ).grad,
    ),
)
