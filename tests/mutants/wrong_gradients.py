"""Gradients of cross-entropy: masks, weights, denominators and axes of the backward pass."""

from __future__ import annotations

import numpy as np

from .bugs import INDEX, SIBLING, loss_bug
from .loss import Case, Loss, mixed, slope
from .parts import (
    BF16,
    PLAIN,
    Array,
    Softmax,
    row_sum,
    through,
)
from .wrong_cotangents import from_rule

IGNORED = SIBLING + "paddle-ignored-rows-get-gradient"


def _clamped_onehot(case: Case, p: Array, c: Array) -> Array:
    """Ignored rows get the gradient of a clamped label."""
    if case.labels is None:
        return slope(case, p, c)
    q = (np.arange(case.k) == np.clip(case.labels, 0, case.k - 1)[..., None]).astype(p.dtype)
    return np.where(case.kept[..., None], slope(case, p, c), p - q)


def _uniform_of_ignored(case: Case, p: Array, c: Array) -> Array:
    ignored = p - np.asarray(1 / case.k, p.dtype)
    return np.where(case.kept[..., None], slope(case, p, c), case.eps * ignored)


def leaves(case: Case, z: Array) -> Array:
    return z


def _wrong_axis_loss(x: Array, cotangent: Array, *, axis: int = -1, **options: object) -> Array:
    of = Loss(prob=lambda r: PLAIN.p(np.swapaxes(r, -1, 0)).swapaxes(-1, 0) if r.ndim > 1 else PLAIN.p(r))
    return of.grad(x, cotangent, axis=axis, **options)  # type: ignore[arg-type]


def _row_weights(case: Case, p: Array, c: Array) -> Array:
    """``w_i (p - q')``: the weight of the class, not of the row."""
    return case.w * (p - mixed(case))


def _flushed(a: Array) -> Array:
    return np.where(np.abs(a) < 2.0**-14, 0, a).astype(a.dtype)


MUTANTS = (
    from_rule(
        "gradient of ignored rows with a clamped label",
        "p - onehot(clamp(y)) where the row is ignored",
        IGNORED,
        Loss(slope=_clamped_onehot, mask_slope=leaves),
        targets=INDEX,
    ),
    from_rule(
        "gradient of the uniform part in ignored rows",
        "the smoothing term is not masked",
        IGNORED,
        Loss(slope=_uniform_of_ignored, mask_slope=leaves),
        targets=INDEX,
    ),
    from_rule(
        "mask by multiplication in the gradient",
        "0 times the NaN of an ignored row",
        IGNORED,
        Loss(mask_slope=lambda case, z: z * case.kept[..., None]),
        targets=INDEX,
        expect=("float32", "float16"),
        allowed="section 4, clause 11",
    ),
    from_rule(
        "gradient over all rows",
        "1/N where the value divides by the kept rows",
        IGNORED,
        Loss(count=lambda case: np.asarray(case.kept.size, case.x.dtype)),
        targets=INDEX,
    ),
    from_rule(
        "gradient of the sum for mean",
        "the denominator is lost in the backward pass",
        SIBLING + "torch-nll-negative-weight-zero-grad",
        Loss(count=lambda case: np.ones((), case.x.dtype)),
    ),
    from_rule(
        "gradient without weights",
        "p - q'",
        SIBLING + "paddle-weighted-ce-wrong",
        Loss(slope=lambda case, p, c: p - mixed(case)),
        targets=INDEX,
    ),
    from_rule(
        "gradient with the class's weight",
        "w_i (p_i - q'_i)",
        SIBLING + "paddle-weighted-ce-wrong",
        Loss(slope=_row_weights),
    ),
    from_rule(
        "weights twice in the gradient",
        "the row scale holds the weight already",
        SIBLING + "paddle-weighted-ce-wrong",
        Loss(weigh=lambda case, q: case.w * case.w * q),
    ),
    from_rule(
        "gradient without smoothing",
        "only the value is smoothed",
        SIBLING + "liger-flce-label-smoothing-dropped",
        Loss(mix=lambda case: case.q),
    ),
    from_rule(
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
    from_rule(
        "gradient rounded to bfloat16 before the target is subtracted",
        "the softmax buffer is bfloat16",
        "te-ce-bf16-buffer-reuse",
        Loss(prob=Softmax(leave=through(BF16)).p),
        family="confident",
    ),
    from_rule(
        "gradient zero below float16's normal range",
        "subnormal gradients are flushed",
        SIBLING + "onnxruntime-webgpu-f16-softmax-sum",
        Loss(leave_grad=_flushed),
        expect=("float16",),
    ),
    from_rule(
        "gradient 0 where p saturates",
        "clipped probabilities have no derivative",
        "keras-cce-probs-clipped-1e-7",
        Loss(slope=lambda case, p, c: np.where((p < 1e-7) | (p > 1 - 1e-7), 0, slope(case, p, c))),
        family="confident",
    ),
    from_rule(
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
    from_rule(
        "NaN rows get gradient 0",
        "nan_to_num in the backward pass",
        SIBLING + "torch-linear-cross-entropy-masked-row",
        Loss(slope=lambda case, p, c: np.nan_to_num(slope(case, p, c))),
        family="nan_row",
    ),
    from_rule(
        "a NaN row spoils the batch",
        "the gradient is divided by the sum of all losses",
        SIBLING + "torch-linear-cross-entropy-masked-row",
        Loss(leave_grad=lambda z: z + 0 * np.sum(z)),
        family="nan_row",
    ),
    from_rule(
        "p - q' at the target only",
        "the other classes get no gradient",
        SIBLING + "mlpack-logsoftmax-backward",
        Loss(slope=lambda case, p, c: slope(case, p, c) * (case.q > 0)),
        targets=INDEX,
    ),
    from_rule(
        "onehot at the wrong class",
        "the target is subtracted one class further",
        SIBLING + "mlpack-logsoftmax-backward",
        Loss(slope=lambda case, p, c: row_sum(c) * p - np.roll(c, 1, axis=-1)),
    ),
    from_rule(
        "second moment",
        "p - q' is squared",
        SIBLING + "mlpack-logsoftmax-backward",
        Loss(slope=lambda case, p, c: np.square(slope(case, p, c))),
    ),
    from_rule(
        "gradient in random order",
        "rows are scattered into the next ones",
        SIBLING + "torch-cuda-nll2d-backward-int32",
        Loss(leave_grad=lambda z: np.roll(z.reshape(-1, z.shape[-1]), 1, axis=0).reshape(z.shape)),
    ),
)
