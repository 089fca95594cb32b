"""Mutants of cross_entropy in which ignored rows leave a trace, in the value or in its denominator."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.mutants.kit.clause_kit import of_loss
from tests.mutants.kit.entries import INDEX, SIBLING, loss_bug
from tests.mutants.kit.kill_table import weighted_row
from tests.mutants.kit.loss_mistakes import all_rows, denominator, nothing_kept, weights_at
from tests.mutants.kit.loss_steps import CORRECT, Case, Loss, relabelled, sum_of_weights, zero_ignored
from tests.mutants.kit.mutant import Mutant
from tests.mutants.kit.softmax_steps import PLAIN, Array


def _label_weights_with_ignored(case: Case) -> Array:
    # sanity check: index targets only
    assert case.labels is not None
    return np.sum(weights_at(case, case.labels), dtype=case.x.dtype)


def _ignored_counted(case: Case, rows: Array) -> Array:
    # The raw label of an ignored row is clipped into range, as a kernel without the mask would read it.
    # sanity check: index targets only
    assert case.labels is not None
    safe = np.clip(case.labels, 0, case.k - 1)
    losses = -weights_at(case, safe) * np.take_along_axis(PLAIN.y(case.x), safe[..., None], axis=-1)[..., 0]
    return np.sum(losses) / np.sum(case.scale, dtype=case.x.dtype)


def _stale(when: Callable[[Case], bool]) -> Callable[[Case, Array], Array]:
    return lambda case, rows: np.where(case.kept, rows, 1.5 if when(case) else 0).astype(rows.dtype)


def _without_ignored_class(case: Case, rows: Array) -> Array:
    inside = case.ignore_index is not None and 0 <= case.ignore_index < case.k
    if case.labels is None or not inside or case.eps:
        return rows
    x = case.x.copy()
    x[..., case.ignore_index] = -np.inf
    y = np.take_along_axis(PLAIN.y(x), case.safe[..., None], axis=-1)[..., 0]
    return np.where(case.kept, -case.w[case.safe] * y, 0).astype(rows.dtype)


def _unless_sentinel_positive(case: Case) -> Array:
    inside = case.ignore_index is None or case.ignore_index >= 0
    return np.sum(case.scale, dtype=case.x.dtype) if inside else all_rows(case)


def _neighbours(case: Case, rows: Array) -> Array:
    if case.labels is None or case.ignore_index is None:
        return rows
    flat = np.arange(case.labels.size) * case.k + case.labels.reshape(-1)
    read = -PLAIN.y(case.x).reshape(-1)[flat % case.x.size].reshape(rows.shape)
    return np.where(case.kept, rows, read)


def _first_class_for_ignored(case: Case) -> Case:
    return case if case.labels is None else relabelled(case, case.safe)


def _finite_kept(case: Case, rows: Array) -> Array:
    kept = case.kept | ((case.reduction == "sum") & np.isfinite(rows))
    return np.where(kept, rows, 0).astype(rows.dtype)


def _infinite_mean(case: Case, rows: Array) -> Array:
    mean = np.sum(rows, dtype=rows.dtype) / sum_of_weights(case)
    return np.asarray(np.inf if nothing_kept(case) else mean, rows.dtype)


def _multiplied(reduction: str) -> Loss:
    """Ignored rows are multiplied by 0 under one reduction."""
    return Loss(mask=lambda case, rows: rows * case.kept if case.reduction == reduction else zero_ignored(case, rows))


_ROW_COUNT = denominator(lambda case: case.kept.size)


MUTANTS: tuple[Mutant, ...] = (
    weighted_row(
        "sum(w) incl. ignored", "weights of ignored rows are counted", Loss(denominator=_label_weights_with_ignored)
    ),
    weighted_row("ignored rows not masked", "ignored rows are in the numerator", Loss(mean=_ignored_counted)),
    loss_bug(
        "none leaves ignored rows unwritten",
        "stale memory in the output of ignored rows",
        "torch-nll-none-uninitialised-ignored (pytorch/pytorch#20406)",
        Loss(mask=_stale(lambda case: case.reduction == "none")),
        targets=INDEX,
    ),
    loss_bug(
        "row buffer not zeroed",
        "stale memory of ignored rows enters sum and mean",
        "liger-compile-ignored-rows (linkedin/Liger-Kernel#1338)",
        Loss(mask=_stale(lambda case: case.reduction != "none")),
        targets=INDEX,
    ),
    loss_bug(
        "ignored class not in the denominator",
        "the column of ignore_index is dropped from the row sum",
        "torch-ignore-index-class-in-denominator (pytorch/pytorch#63004)",
        Loss(mask=_without_ignored_class),
        targets=INDEX,
    ),
    loss_bug(
        "ignored rows in the count for negative sentinels",
        "the count is right only for an ignore_index in range",
        "paddle-mean-counts-ignored (PaddlePaddle/Paddle#23708)",
        Loss(denominator=_unless_sentinel_positive),
        targets=INDEX,
    ),
    loss_bug(
        "ignored label used as an address",
        "the loss of an ignored row is read from another row",
        "paddle-negative-label-address (PaddlePaddle/Paddle#36891)",
        Loss(mask=_neighbours),
        targets=INDEX,
    ),
    of_loss(
        "2-ignored-numerator",
        "ignored rows of finite loss in the sum",
        "ignored rows are dropped by nan_to_num, not by their label",
        Loss(read=_first_class_for_ignored, mask=_finite_kept),
        grad=CORRECT.grad,
        targets=INDEX,
    ),
    of_loss(
        "4.10-ignored-mean",
        "+inf for the mean over no row",
        "a fill value",
        Loss(mean=_infinite_mean),
        targets=INDEX,
    ),
    of_loss(
        "4.11-none", "ignored rows multiplied by 0: none", "0 times NaN is NaN", _multiplied("none"), targets=INDEX
    ),
    of_loss("4.11-sum", "ignored rows multiplied by 0: sum", "0 times NaN is NaN", _multiplied("sum"), targets=INDEX),
    of_loss(
        "4.11-mean", "ignored rows multiplied by 0: mean", "0 times NaN is NaN", _multiplied("mean"), targets=INDEX
    ),
    loss_bug(
        "mask by multiplication",
        "0 times the NaN or infinity of an ignored row",
        SIBLING + "torch-refs-nll-ignore-index-gather",
        Loss(mask=lambda case, rows: rows * case.kept),
        targets=INDEX,
        family="ignored_garbage",
    ),
    loss_bug(
        "normalize not honoured",
        "mean over the batch size with ignored labels present",
        "chainerx-sce-normalize-ignored",
        _ROW_COUNT,
        takes=frozenset({"axis", "ignore_index", "reduction"}),
        targets=INDEX,
    ),
    loss_bug(
        "label weights of the sentinel counted",
        "the weight of a clamped sentinel is in the denominator",
        SIBLING + "burn-pad-tokens-in-denominator",
        Loss(
            denominator=lambda case: (
                np.sum(case.scale, dtype=case.x.dtype)
                if case.labels is None
                else np.sum(weights_at(case, case.labels), dtype=case.x.dtype)
            )
        ),
        targets=INDEX,
    ),
)
