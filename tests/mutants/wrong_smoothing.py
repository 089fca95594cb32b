"""Label smoothing of cross-entropy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .bugs import INDEX, SIBLING, loss_bug
from .loss import Case, Loss, mixed
from .parts import Array
from .wrong_losses import DENSE
from .wrong_weights import WEIGHT, raises

SMOOTH = SIBLING + "ls-formula-variants-in-the-wild"


def _mix(f: Callable[[Case], Array]) -> Loss:
    return Loss(mix=lambda case: f(case).astype(case.x.dtype) if case.eps else case.q)


def _without_ignored_class(case: Case) -> Array:
    q = mixed(case)
    if case.labels is not None and case.ignore_index is not None and 0 <= case.ignore_index < case.k:
        q[..., case.ignore_index] = 0
    return q


def _smoothed_weights(case: Case, q: Array) -> Array:
    w = (1 - case.eps) * case.w + case.eps / case.k if case.weighted and case.eps else case.w
    return w.astype(case.x.dtype) * q


MUTANTS = (
    loss_bug(
        "smoothing dropped by sum",
        "only mean and none know the option",
        SIBLING + "liger-flce-label-smoothing-dropped",
        Loss(mix=lambda case: case.q if case.reduction == "sum" and case.labels is not None else mixed(case)),
        targets=INDEX,
    ),
    loss_bug(
        "smoothing dropped for probability targets without weights",
        "the branch for soft labels reads the option only together with weights",
        SIBLING + "liger-flce-label-smoothing-dropped",
        Loss(mix=lambda case: mixed(case) if case.labels is not None or case.weighted else case.q),
        targets=DENSE,
    ),
    loss_bug(
        "smoothing of the weights", "eps is applied to the weights as well", WEIGHT, Loss(weigh=_smoothed_weights)
    ),
    loss_bug(
        "smoothing over K + 1",
        "the padding class counts",
        SMOOTH,
        _mix(lambda case: (1 - case.eps) * case.q + case.eps / (case.k + 1)),
    ),
    loss_bug(
        "smoothing by eps / 2",
        "two-sided smoothing",
        SMOOTH,
        _mix(lambda case: (1 - case.eps / 2) * case.q + case.eps / 2 / case.k),
    ),
    loss_bug(
        "smoothing weights exchanged",
        "eps q + (1 - eps)/K",
        SMOOTH,
        _mix(lambda case: case.eps * case.q + (1 - case.eps) / case.k),
    ),
    loss_bug(
        "smoothing without an ignored class",
        "a sentinel that is a class gets no share of the uniform part",
        SMOOTH,
        Loss(mix=_without_ignored_class),
        targets=INDEX,
    ),
    loss_bug(
        "smoothing over finite classes",
        "masked classes get no share of the uniform part",
        SMOOTH,
        Loss(mix=lambda case: np.where(np.isneginf(case.x) & (case.q == 0), 0, mixed(case)).astype(case.x.dtype)),
    ),
    loss_bug(
        "smoothing for index targets only",
        "probability targets are not smoothed",
        "SPEC section 2",
        Loss(mix=lambda case: mixed(case) if case.labels is not None else case.q),
    ),
    loss_bug(
        "-log p of the smoothed target only",
        "the loss is -log p_y times the target's share",
        SMOOTH,
        Loss(mix=lambda case: (mixed(case) * (case.q > 0)).astype(case.x.dtype)),
        targets=INDEX,
    ),
    loss_bug(
        "entropy averaged over ignored rows",
        "the uniform part's mean counts padded tokens",
        SMOOTH,
        Loss(
            mean=lambda case, rows: (
                np.sum(rows) / (np.sum(case.scale, dtype=rows.dtype) + case.x.dtype.type(case.eps) * np.sum(~case.kept))
            )
        ),
        targets=INDEX,
    ),
    loss_bug(
        "smoothing cannot be compiled",
        "the meta path raises for label_smoothing > 0",
        "torch-compile-label-smoothing-fails",
        Loss(read=raises(lambda case: case.eps > 0)),
    ),
)
