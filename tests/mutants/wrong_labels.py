"""Labels out of range and labels that are taken for others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .bugs import INDEX, SIBLING, loss_bug
from .loss import NLL, Case, Loss, known_labels, row_losses
from .mutant import ALL_DTYPES
from .parts import PLAIN, Array, same
from .wrong_sentinels import with_labels

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


def _only(reduced: bool) -> Callable[[Case], Case]:
    return lambda case: known_labels(case) if (case.reduction != "none") == reduced else case


def _wrapped_rows(y: Array) -> Array:
    flat = y.reshape(-1, y.shape[-1])
    offset = (np.arange(len(flat)) * y.shape[-1]) % 2**16 // max(y.shape[-1], 1)
    return flat[offset].reshape(y.shape)


MUTANTS = (
    loss_bug(
        "unknown label read by address",
        "x[i K + y] without a bounds check reads another row's memory",
        f"{OOB}, paddle-negative-label-address",
        Loss(guard=same, rows=_by_address),
        targets=INDEX,
    ),
    loss_bug(
        "bounds checked in the reduced branch only",
        "reduction none accepts any label",
        "torch-nll-none-oob-accepted",
        replace(NLL, guard=_only(True)),
        op="nll_loss",
    ),
    loss_bug(
        "bounds checked without reduction only",
        "sum and mean accept any label",
        SIBLING + "torch-nll-none-oob-accepted",
        Loss(guard=_only(False)),
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
    loss_bug(
        "row offset in 16 bits",
        "the row's offset i K is held in 16 bits and wraps at 65536: an index overflow scaled down",
        SIBLING + "torch-cuda-softmax-over-2^32, torch-cuda-nll2d-backward-int32, paddle-softmax-ce-int32-overflow",
        Loss(logp=lambda x: _wrapped_rows(PLAIN.y(x)), prob=lambda x: _wrapped_rows(PLAIN.p(x))),
        targets=INDEX,
        expect=("float16",),
    ),
)
