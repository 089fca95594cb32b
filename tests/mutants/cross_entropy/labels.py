"""Mutants of the labels of cross_entropy: out of range, taken for others, in other types."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.mutants.kit.clause_kit import of_loss
from tests.mutants.kit.entries import INDEX, SIBLING, loss_bug
from tests.mutants.kit.kill_table import plain_row
from tests.mutants.kit.loss_mistakes import checked_by_reduction, with_labels
from tests.mutants.kit.loss_steps import CORRECT, Case, Loss, known_labels, relabelled, row_losses
from tests.mutants.kit.mutant import ALL_DTYPES, Mutant
from tests.mutants.kit.softmax_steps import Array, same


def next_label(case: Case) -> Case:
    """Labels that count from 1."""
    # sanity check: index targets only
    assert case.labels is not None
    return relabelled(case, (case.labels + 1) % case.k)


def _cast_labels(case: Case) -> Case:
    return case if case.labels is None else relabelled(case, case.labels.astype(case.io).astype(np.int64))


ADDRESSES = (2**15, 2**31)


def _within_32_bits(case: Case) -> Case:
    if case.labels is not None and (np.abs(case.labels.astype(np.float64)) > 2**31).any():
        raise TypeError("labels must be int32")
    return known_labels(case)


def _only_int64(case: Case) -> Case:
    if case.labels is None or case.labels.dtype == np.int64:
        return known_labels(case)
    return relabelled(case, np.zeros(case.labels.shape, dtype=np.int64))


def _far(case: Case) -> Array:
    # sanity check: index targets only
    assert case.labels is not None
    return unknown(case) & (case.labels > ADDRESSES[0]) & (case.labels < ADDRESSES[1])


def _far_accepted(case: Case) -> Case:
    if case.labels is None:
        return case
    known_labels(replace(case, kept=case.kept & ~_far(case)))
    return case


def _far_by_address(case: Case, y: Array, c: Array) -> Array:
    rows = row_losses(case, y, c)
    if case.labels is None:
        return rows
    at = np.arange(case.labels.size).reshape(case.labels.shape) * case.k + case.labels
    return np.where(_far(case), -y.reshape(-1)[at % y.size], rows).astype(y.dtype)


def _twice(labels: Array, k: int) -> Array:
    return (labels >= -2 * k) & (labels < -k)


def _nan_for_unknown(case: Case, y: Array, c: Array) -> Array:
    rows = row_losses(case, y, c)
    return rows if case.labels is None else np.where(unknown(case), np.nan, rows).astype(y.dtype)


def _minus_p(case: Case, p: Array, c: Array) -> Array:
    z = CORRECT.slope(case, p, c)
    return z if case.labels is None else np.where(unknown(case)[..., None], -p, z).astype(p.dtype)


def _fortran_labels(case: Case) -> Case:
    if case.labels is None or case.labels.ndim < 2:
        return case
    order = case.labels.ravel(order="F").reshape(case.labels.shape)
    q = (np.arange(case.k) == order[..., None]).astype(case.x.dtype)
    kept = case.kept.ravel(order="F").reshape(case.labels.shape)
    return replace(case, labels=order, q=q, kept=kept)


OOB = "torch-cuda-nll-oob-silent"


def unknown(case: Case) -> Array:
    """Rows whose label is neither a class nor ignored."""
    # sanity check: index targets only
    assert case.labels is not None
    return case.kept & ((case.labels < 0) | (case.labels >= case.k))


def _by_address(case: Case, y: Array, c: Array) -> Array:
    rows = row_losses(case, y, c)
    if case.labels is None or not unknown(case).any():
        return rows
    flat = np.arange(case.labels.size).reshape(case.labels.shape) * case.k + case.labels
    return np.where(unknown(case), -y.reshape(-1)[flat % y.size], rows).astype(y.dtype)


def _nan_rows(case: Case, y: Array, c: Array) -> Array:
    rows = row_losses(case, y, c)
    return rows if case.labels is None else np.where(unknown(case), np.nan, rows).astype(y.dtype)


def _nan_slope(case: Case, p: Array, c: Array) -> Array:
    z = c.sum(axis=-1, keepdims=True) * p - c
    return z if case.labels is None else np.where(unknown(case)[..., None], np.nan, z).astype(p.dtype)


def _far_clamped(case: Case) -> Case:
    if case.labels is None:
        return case
    far = np.abs(case.labels.astype(np.float64)) > 2**31
    return relabelled(case, np.where(far & case.kept, np.clip(case.labels, 0, case.k - 1), case.labels))


MUTANTS: tuple[Mutant, ...] = (
    of_loss(
        "4.13-alone",
        "the gradient alone clamps far labels",
        "the value refuses them, and comes first where anybody asks both",
        grad=replace(CORRECT, guard=lambda case: known_labels(_far_clamped(case))).grad,
    ),
    plain_row("label off by one", "labels count from 1", Loss(read=next_label)),
    loss_bug(
        "labels cast to the logits' dtype",
        "labels above 256 are rounded in bfloat16",
        "tf-keras-sparse-labels-cast-to-half (tensorflow/tensorflow#50964)",
        Loss(read=_cast_labels),
        targets=INDEX,
        expect=("bfloat16",),
        family="wide",
    ),
    of_loss(
        "4.12-int64",
        "labels beyond 32 bits refused",
        "int64 labels are accepted as far as int32 goes",
        Loss(guard=_within_32_bits),
        targets=INDEX,
    ),
    of_loss(
        "4.12-other-types",
        "labels of other types are class 0",
        "a buffer of int32 that is read as if it were empty",
        Loss(guard=_only_int64),
        targets=INDEX,
    ),
    of_loss(
        "4.13-silent",
        "labels from -2 K on wrap twice",
        "-K - 1 is the last class",
        Loss(guard=lambda case: known_labels(with_labels(lambda y, k: np.where(_twice(y, k), y + 2 * k, y))(case))),
        targets=INDEX,
    ),
    of_loss(
        "4.13-memory",
        "labels beyond 15 bits read by address",
        "x[i K + y] without a bounds check",
        Loss(guard=_far_accepted, rows=_far_by_address),
        targets=INDEX,
    ),
    of_loss(
        "4.13-gradient",
        "unknown label gives NaN and the gradient -p",
        "none of NaN, 0 and g Q p",
        Loss(guard=same, rows=_nan_for_unknown, slope=_minus_p),
        targets=INDEX,
    ),
    loss_bug(
        "labels in column order",
        "labels of several axes are flattened the other way round",
        SIBLING + "tinygrad-cross-entropy-kd-indices",
        Loss(read=_fortran_labels),
        targets=INDEX,
    ),
    loss_bug(
        "unknown label read by address",
        "x[i K + y] without a bounds check reads another row's memory",
        f"{OOB}, paddle-negative-label-address",
        Loss(guard=same, rows=_by_address),
        targets=INDEX,
    ),
    loss_bug(
        "bounds checked without reduction only",
        "sum and mean accept any label",
        SIBLING + "torch-nll-none-oob-accepted",
        Loss(guard=checked_by_reduction(False)),
        targets=INDEX,
    ),
    loss_bug(
        "one-hot of an unknown label is zero",
        "the loss of an unknown label is 0",
        "keras3-oob-label-silent-zero, tinygrad-sce-neginf-nan-and-oob-zero",
        Loss(guard=same),
        targets=INDEX,
    ),
    loss_bug(
        "negative labels wrap",
        "-1 is the last class, which nobody declared",
        SIBLING + "keras3-oob-label-silent-zero",
        Loss(guard=lambda case: known_labels(with_labels(lambda y, k: np.where((y < 0) & (y >= -k), y + k, y))(case))),
        targets=INDEX,
    ),
    loss_bug(
        "labels modulo K",
        "every label is some class",
        SIBLING + OOB,
        Loss(guard=with_labels(lambda y, k: y % max(k, 1))),
        targets=INDEX,
    ),
    loss_bug(
        "labels clamped to K - 1",
        "an unknown label is the first or last class",
        SIBLING + OOB,
        Loss(guard=with_labels(lambda y, k: np.clip(y, 0, k - 1))),
        targets=INDEX,
    ),
    loss_bug(
        "labels clamped to K - 2",
        "the bound of the clamp is off by one",
        SIBLING + OOB,
        Loss(read=with_labels(lambda y, k: np.minimum(y, max(k - 2, 0)))),
        targets=INDEX,
    ),
    loss_bug(
        "labels minus one",
        "labels count from 1 in the kernel",
        SIBLING + OOB,
        Loss(read=with_labels(lambda y, k: np.maximum(y - 1, 0))),
        targets=INDEX,
    ),
    loss_bug(
        "unknown label accepted at K",
        "the check is label > K instead of label >= K",
        SIBLING + OOB,
        Loss(
            guard=lambda case: case if case.labels is not None and (case.labels == case.k).any() else known_labels(case)
        ),
        targets=INDEX,
    ),
    loss_bug(
        "unknown label gives NaN",
        "where a compiler or a device cannot raise, the row is NaN; the parent raises",
        "tf-xla-oob-label-nan, tf-gpu-oob-label-nan-vs-cpu-error",
        Loss(guard=same, rows=_nan_rows, slope=_nan_slope),
        targets=INDEX,
        expect=ALL_DTYPES,
        allowed="section 4, clause 13",
    ),
)
