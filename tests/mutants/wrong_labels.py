"""Labels out of range, labels and sentinels that lose bits, and sentinels taken for something else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from .bugs import INDEX, loss_bug
from .loss import NLL, Case, Loss, known_labels, relabelled, row_losses
from .mutant import ALL_DTYPES, ONE_OF_EACH, Mutant
from .parts import BF16, PLAIN, Array, same

SIBLING = "sibling of "
OOB = "torch-cuda-nll-oob-silent"
SENTINEL = SIBLING + "flaggems-default-ignore-not-ignored"
CAST = SIBLING + "tf-keras-sparse-labels-cast-to-half"


def unknown(case: Case) -> Array:
    """Rows whose label is neither a class nor ignored."""
    # sanity check: index targets only
    assert case.labels is not None
    return case.kept & ((case.labels < 0) | (case.labels >= case.k))


def _relabel(change: Callable[[Array, int], Array]) -> Callable[[Case], Case]:
    def read(case: Case) -> Case:
        return case if case.labels is None else relabelled(case, change(case.labels, case.k))

    return read


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


def _as(fmt: type | np.dtype) -> Callable[[Case], Case]:  # type: ignore[type-arg]
    return _relabel(lambda labels, k: labels.astype(fmt).astype(np.int64))


def _checked(read: Callable[[Case], Case]) -> Callable[[Case], Case]:
    return lambda case: known_labels(read(case))


def _ignoring(rule: Callable[[Array, int | None, int], Array]) -> Callable[[Case], Case]:
    """Kept rows by another rule; an unknown label that is kept is an error."""

    def guard(case: Case) -> Case:
        if case.labels is None:
            return case
        return known_labels(replace(case, kept=rule(case.labels, case.ignore_index, case.k)))

    return guard


def _narrowed(fmt: type | np.dtype) -> Callable[[Array, int | None, int], Array]:  # type: ignore[type-arg]
    def rule(labels: Array, ignore: int | None, k: int) -> Array:
        if ignore is None:
            return np.ones(labels.shape, dtype=bool)
        with np.errstate(all="ignore"):
            return labels.astype(fmt) != np.asarray(ignore).astype(fmt)

    return rule


# What would show it: an unknown label that is not the sentinel and rounds to it.
_UNSEEN = {
    "float16": "no label 2049 with ignore_index 2048",
    "float32": "no label 2^24 + 1 with ignore_index 2^24",
    "float64": "no label 2^53 + 1 with ignore_index 2^53",
}


def _casts() -> Iterator[Mutant]:
    for fmt in (np.int8, np.uint8, np.int16, np.int32):
        yield loss_bug(
            f"labels cast to {fmt.__name__}",
            "the upper bits of a label are lost before it is compared or used",
            CAST,
            Loss(guard=_checked(_as(fmt))),
            targets=INDEX,
        )
        yield loss_bug(
            f"ignore_index compared as {fmt.__name__}",
            "a class whose lower bits equal the sentinel's is ignored, or another label is taken for it",
            SENTINEL,
            Loss(guard=_ignoring(_narrowed(fmt))),
            targets=INDEX,
        )
    for name, float_ in (("float16", np.float16), ("bfloat16", BF16), ("float32", np.float32), ("float64", np.float64)):
        yield loss_bug(
            f"ignore_index compared as {name}",
            "labels and sentinel are rounded before they are compared",
            SENTINEL,
            Loss(guard=_ignoring(_narrowed(float_))),
            targets=INDEX,
            gap=_UNSEEN.get(name, ""),
        )
    for name, half in (("float16", np.float16), ("bfloat16", BF16)):
        yield loss_bug(
            f"labels cast to {name}",
            "labels above 2048 (bfloat16: 256) are rounded",
            CAST,
            Loss(read=_as(half)),
            targets=INDEX,
            # Labels above 2048 need as many classes, which the deck has in 16 bit only.
            expect=("bfloat16", "float16") if name == "float16" else ONE_OF_EACH,
        )


def _no_sentinel(labels: Array, ignore: int | None, k: int) -> Array:
    return np.ones(labels.shape, dtype=bool)


def _default_too(sentinel: int) -> Callable[[Array, int | None, int], Array]:
    return lambda labels, ignore, k: (labels != sentinel) & (labels != (sentinel if ignore is None else ignore))


MUTANTS = (
    *_casts(),
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
        Loss(guard=lambda case: known_labels(_relabel(lambda y, k: np.where((y < 0) & (y >= -k), y + k, y))(case))),
        targets=INDEX,
    ),
    loss_bug(
        "labels modulo K",
        "every label is some class",
        SIBLING + OOB,
        Loss(guard=_relabel(lambda y, k: y % max(k, 1))),
        targets=INDEX,
    ),
    loss_bug(
        "labels clamped to K - 1",
        "an unknown label is the first or last class",
        SIBLING + OOB,
        Loss(guard=_relabel(lambda y, k: np.clip(y, 0, k - 1))),
        targets=INDEX,
    ),
    loss_bug(
        "labels clamped to K - 2",
        "the bound of the clamp is off by one",
        SIBLING + OOB,
        Loss(read=_relabel(lambda y, k: np.minimum(y, max(k - 2, 0)))),
        targets=INDEX,
    ),
    loss_bug(
        "labels minus one",
        "labels count from 1 in the kernel",
        SIBLING + OOB,
        Loss(read=_relabel(lambda y, k: np.maximum(y - 1, 0))),
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
        "gather without ignore_index",
        "the batching rule does not know the option: a sentinel out of range is an error",
        "torch-vmap-ignore-index",
        replace(NLL, guard=_ignoring(_no_sentinel)),
        op="nll_loss",
    ),
    loss_bug(
        "in-range ignore_index not honoured",
        "only a sentinel that is no class is ignored",
        SENTINEL,
        Loss(
            guard=_ignoring(lambda y, i, k: np.ones(y.shape, bool) if i is None or 0 <= i < k else y != i),
        ),
        targets=INDEX,
    ),
    loss_bug(
        "ignore_index 0 is off",
        "if ignore_index: the falsy sentinel is not applied",
        SENTINEL,
        Loss(guard=_ignoring(lambda y, i, k: y != i if i else np.ones(y.shape, bool))),
        targets=INDEX,
    ),
    loss_bug(
        "negative labels always ignored",
        "the mask is label >= 0, whatever the sentinel",
        SENTINEL,
        Loss(guard=_ignoring(lambda y, i, k: (y >= 0) & (y != (-1 if i is None else i)))),
        targets=INDEX,
    ),
    loss_bug(
        "-100 ignored without being asked",
        "a default sentinel where none was given",
        SENTINEL,
        Loss(guard=_ignoring(_default_too(-100))),
        targets=INDEX,
        gap="no label -100 without ignore_index",
    ),
    loss_bug(
        "255 ignored without being asked",
        "the void label of segmentation masks",
        SENTINEL,
        Loss(guard=_ignoring(_default_too(255))),
        targets=INDEX,
        gap="no label 255 without ignore_index",
    ),
    loss_bug(
        "labels from the sentinel on ignored",
        "the mask is label < ignore_index for a sentinel that is a class",
        SENTINEL,
        Loss(guard=_ignoring(lambda y, i, k: y != i if i is None or not 0 <= i < k else y < i)),
        targets=INDEX,
    ),
    loss_bug(
        "ignore_index applies to probability targets",
        "rows whose likeliest class is the sentinel are dropped",
        "SPEC section 4, clause 14",
        Loss(
            read=lambda case: (
                case
                if case.labels is not None or case.ignore_index is None
                else replace(case, q=np.where((np.argmax(case.q, -1) == case.ignore_index)[..., None], 0, case.q))
            )
        ),
        targets=("probability",),
        gap="no ignore_index that is the likeliest class of probability targets",
    ),
    loss_bug(
        "class of ignore_index dropped from probability targets",
        "its column is set to 0",
        "SPEC section 4, clause 14",
        Loss(read=lambda case: replace(case, q=_without_column(case))),
        targets=("probability",),
    ),
    loss_bug(
        "error for labels of more axes with ignore_index",
        "labels are squeezed only where no class is ignored",
        "keras3-sparse-ignore-class-trailing-dim",
        Loss(guard=lambda case: _flat_only(known_labels(case))),
        targets=INDEX,
    ),
    loss_bug(
        "row offset in 16 bits",
        "the row's offset i K is held in 16 bits and wraps at 65536: an index overflow scaled down",
        SIBLING + "torch-cuda-softmax-over-2^32, torch-cuda-nll2d-backward-int32, paddle-softmax-ce-int32-overflow",
        Loss(logp=lambda x: _wrapped_rows(PLAIN.y(x)), prob=lambda x: _wrapped_rows(PLAIN.p(x))),
        targets=INDEX,
        expect=("bfloat16", "float16"),
    ),
)


def _flat_only(case: Case) -> Case:
    if case.labels is not None and case.ignore_index is not None and case.labels.ndim > 1:
        raise ValueError("shapes do not match")
    return case


def _without_column(case: Case) -> Array:
    if case.labels is not None or case.ignore_index is None:
        return case.q
    return np.where(np.arange(case.k) == case.ignore_index, 0, case.q).astype(case.x.dtype)


def _wrapped_rows(y: Array) -> Array:
    flat = y.reshape(-1, y.shape[-1])
    offset = (np.arange(len(flat)) * y.shape[-1]) % 2**16 // max(y.shape[-1], 1)
    return flat[offset].reshape(y.shape)
