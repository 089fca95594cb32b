"""Mutants of cross_entropy that ignore other labels than ``ignore_index``, or cast labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from tests.mutants.kit.entries import INDEX, SIBLING, loss_bug
from tests.mutants.kit.loss_mistakes import ignored_by_flat_index, ignoring, with_labels
from tests.mutants.kit.loss_steps import Case, Loss, known_labels, relabelled
from tests.mutants.kit.mutant import ONE_OF_EACH, Mutant
from tests.mutants.kit.softmax_steps import BF16, Array


def _n_minus_ignored(case: Case) -> Array:
    return np.sum(case.scale) + (np.sum(~case.kept) if case.ignore_index == -1 else 0)


def _raw_gather(case: Case) -> Case:
    if case.weighted and case.eps > 0 and case.labels is not None and case.reduction == "mean":
        case.w[case.labels]
    return case


def _strict_labels(when: Callable[[Case], bool]) -> Callable[[Case], Case]:
    def read(case: Case) -> Case:
        if case.labels is not None and when(case) and ((case.labels < 0) | (case.labels >= case.k)).any():
            raise ValueError("label out of range")
        return case

    return read


def _unignored(when: Callable[[int], bool]) -> Callable[[Case], Case]:
    """ignore_index is not honoured; the sentinel wraps around."""

    def read(case: Case) -> Case:
        if case.labels is None or case.ignore_index is None or not when(case.ignore_index):
            return case
        return replace(relabelled(case, case.labels % case.k), kept=np.ones_like(case.kept))

    return read


SENTINEL = SIBLING + "flaggems-default-ignore-not-ignored"
CAST = SIBLING + "tf-keras-sparse-labels-cast-to-half"


def _as(fmt: Any) -> Callable[[Case], Case]:
    return with_labels(lambda labels, k: labels.astype(fmt).astype(np.int64))


def _checked(read: Callable[[Case], Case]) -> Callable[[Case], Case]:
    return lambda case: known_labels(read(case))


def _narrowed(fmt: Any) -> Callable[[Array, int | None, int], Array]:
    def rule(labels: Array, ignore: int | None, k: int) -> Array:
        if ignore is None:
            return np.ones(labels.shape, dtype=bool)
        with np.errstate(all="ignore"):
            return labels.astype(fmt) != np.asarray(ignore).astype(fmt)

    return rule


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
            Loss(guard=ignoring(_narrowed(fmt))),
            targets=INDEX,
        )
    for name, float_ in (("float16", np.float16), ("bfloat16", BF16), ("float32", np.float32), ("float64", np.float64)):
        yield loss_bug(
            f"ignore_index compared as {name}",
            "labels and sentinel are rounded before they are compared",
            SENTINEL,
            Loss(guard=ignoring(_narrowed(float_))),
            targets=INDEX,
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


def _default_too(sentinel: int) -> Callable[[Array, int | None, int], Array]:
    return lambda labels, ignore, k: (labels != sentinel) & (labels != (sentinel if ignore is None else ignore))


def _flat_only(case: Case) -> Case:
    if case.labels is not None and case.ignore_index is not None and case.labels.ndim > 1:
        raise ValueError("shapes do not match")
    return case


def _without_column(case: Case) -> Array:
    if case.labels is not None or case.ignore_index is None:
        return case.q
    return np.where(np.arange(case.k) == case.ignore_index, 0, case.q).astype(case.x.dtype)


MUTANTS: tuple[Mutant, ...] = (
    loss_bug(
        "sentinels marked by flat index",
        "label K is marked where class 0 of the next row is: a row of class 0 after it is ignored",
        SENTINEL,
        replace(Loss(), guard=ignored_by_flat_index),
        op="cross_entropy",
        targets=INDEX,
    ),
    loss_bug(
        "sentinel -1 means off for the count",
        "rows labelled -1 are left out of the sum and counted in the mean",
        "tinygrad-ignore-index-minus-one-sentinel",
        Loss(denominator=_n_minus_ignored),
        targets=INDEX,
    ),
    loss_bug(
        "index error with weight and smoothing",
        "weights are gathered at the raw sentinel",
        "torch-ls-weight-ignore-indexerror (pytorch/pytorch#69339)",
        Loss(read=_raw_gather),
    ),
    loss_bug(
        "negative sentinel wraps",
        "the mask is optimised away for ignore_index < 0 and the label wraps around",
        "torch-inductor-nll-decomp-ignore (pytorch/pytorch#95794)",
        Loss(read=_unignored(lambda i: i < 0)),
        targets=INDEX,
    ),
    loss_bug(
        "default sentinel not ignored",
        "ignore_index is applied only when it is not -100",
        "flaggems-default-ignore-not-ignored (flagos-ai/FlagGems#73)",
        Loss(read=_unignored(lambda i: i == -100)),
        targets=INDEX,
    ),
    loss_bug(
        "bounds checked before ignoring",
        "a sentinel outside the classes is an error",
        "paddle-ignore-index-cpu-not-applied (PaddlePaddle/Paddle#17961)",
        Loss(read=_strict_labels(lambda case: True)),
        targets=INDEX,
    ),
    loss_bug(
        "one-hot before masking",
        "with smoothing, a sentinel outside the classes is an error",
        "paddle-label-smoothing-with-ignore-raises",
        Loss(read=_strict_labels(lambda case: case.eps > 0)),
        targets=INDEX,
    ),
    *_casts(),
    loss_bug(
        "in-range ignore_index not honoured",
        "only a sentinel that is no class is ignored",
        SENTINEL,
        Loss(
            guard=ignoring(lambda y, i, k: np.ones(y.shape, bool) if i is None or 0 <= i < k else y != i),
        ),
        targets=INDEX,
    ),
    loss_bug(
        "ignore_index 0 is off",
        "if ignore_index: the falsy sentinel is not applied",
        SENTINEL,
        Loss(guard=ignoring(lambda y, i, k: y != i if i else np.ones(y.shape, bool))),
        targets=INDEX,
    ),
    loss_bug(
        "negative labels always ignored",
        "the mask is label >= 0, whatever the sentinel",
        SENTINEL,
        Loss(guard=ignoring(lambda y, i, k: (y >= 0) & (y != (-1 if i is None else i)))),
        targets=INDEX,
    ),
    loss_bug(
        "-100 ignored without being asked",
        "a default sentinel where none was given",
        SENTINEL,
        Loss(guard=ignoring(_default_too(-100))),
        targets=INDEX,
    ),
    loss_bug(
        "255 ignored without being asked",
        "the void label of segmentation masks",
        SENTINEL,
        Loss(guard=ignoring(_default_too(255))),
        targets=INDEX,
    ),
    loss_bug(
        "labels from the sentinel on ignored",
        "the mask is label < ignore_index for a sentinel that is a class",
        SENTINEL,
        Loss(guard=ignoring(lambda y, i, k: y != i if i is None or not 0 <= i < k else y < i)),
        targets=INDEX,
    ),
    loss_bug(
        "ignore_index applies to probability targets",
        "rows whose likeliest class is the sentinel are dropped",
        "specification section 4, clause 14",
        Loss(
            read=lambda case: (
                case
                if case.labels is not None or case.ignore_index is None
                else replace(case, q=np.where((np.argmax(case.q, -1) == case.ignore_index)[..., None], 0, case.q))
            )
        ),
        targets=("probability",),
    ),
    loss_bug(
        "class of ignore_index dropped from probability targets",
        "its column is set to 0",
        "specification section 4, clause 14",
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
)
