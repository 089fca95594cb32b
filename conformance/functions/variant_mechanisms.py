"""The mechanisms behind wrong numbers of variants (docs/variants.md): what is computed instead, in exact results of
other problems."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from lossproof.adapters.protocol import Problem
from lossproof.core.formats import F64

_UNWEIGHTED = (
    "the mean's denominator lacks the weights of rows (mean='mean_over_rows' or 'mean_over_kept' declares that it is a "
    "number of rows)"
)


@dataclass(frozen=True)
class Instead:
    """A mistake computes the result of another problem, times a factor, in the place of the one that is asked, with the
    results of some more, each times its factor, added.

    An answer is recognised that is nearer to it than the share ``near`` of the way to the right one.
    """

    words: str
    problem: Problem
    factor: float = 1.0
    plus: tuple[tuple[Problem, float], ...] = ()
    near: float = 0.05


def instead_of_variant(p: Problem, output: str) -> Iterator[Instead]:
    """Yield what functions compute instead of a variant."""
    is_gradient = output == "vjp"
    what = "gradient" if is_gradient else "value"
    if p.logit_scale != 1.0:
        yield Instead("the scale of the logits is not applied", replace(p, logit_scale=1.0))
        if is_gradient:
            yield Instead("the scale of the logits is missing in the gradient (chain rule)", p, 1 / p.logit_scale)
        if p.softcap and p.logit_scale > 0:
            after = replace(p, softcap=p.softcap * p.logit_scale)
            yield Instead("the scale is applied after the soft-capping, not before it", after)
    if p.softcap:
        yield Instead("the logits are not soft-capped", replace(p, softcap=0.0))
        if is_gradient:
            z = p.softcap * np.tanh(p.x * p.logit_scale / p.softcap)
            inner = replace(p, x=np.where(np.isnan(p.x), np.nan, z), softcap=0.0, logit_scale=1.0)
            words = "the gradient lacks the derivative of the soft-capping, 1 - tanh^2 (chain rule)"
            yield Instead(words, inner, p.logit_scale)
            yield Instead("the gradient lacks the derivatives of soft-capping and scale (chain rule)", inner)
        scaled = p.x * p.logit_scale
        less = scaled - np.max(scaled, axis=p.axis, keepdims=True)
        words = "the maximum is subtracted before the soft-capping, which is no shift of the capped logits"
        yield Instead(words, replace(p, x=less, logit_scale=1.0))
    if p.is_loss:
        if p.sample_weight is not None:
            yield from _of_weights(p)
        if p.z_loss:
            yield from _of_z_loss(p, what)


def _of_weights(p: Problem) -> Iterator[Instead]:
    yield Instead("the weights of rows are not applied", replace(p, sample_weight=np.ones_like(_given(p))))
    if p.reduction != "mean":
        return
    kept = kept_rows(p)
    for words, total in (
        (_UNWEIGHTED, float(np.sum(weights_of_labels(p) * kept))),
        ("the mean divides by the number of kept rows (mean='mean_over_kept' declares that)", float(kept.sum())),
        ("the mean divides by the number of all rows (mean='mean_over_rows' declares that)", float(kept.size)),
        ("the mean's denominator counts the weights of ignored rows", float(np.sum(_given(p) * weights_of_labels(p)))),
    ):
        if total:
            yield Instead(words, replace(p, reduction="sum"), 1 / total)


def _of_z_loss(p: Problem, what: str) -> Iterator[Instead]:
    plain, kept, weight = replace(p, z_loss=0.0), kept_rows(p), _given(p)
    yield Instead(f"the z-loss is not in the {what}", plain)
    if what == "gradient":
        yield Instead("the gradient of the z-loss lacks a factor of 2", replace(p, z_loss=p.z_loss / 2))
    own = 1.0
    if p.reduction == "mean":
        total = float(np.sum(kept * weights_of_labels(p) * weight))
        if not total:
            return
        own = 1 / total
    ignored = ~kept
    if ignored.any():
        yield Instead("ignored rows have a z-loss, too", p, plus=((_squared(p, ignored * weight), own),))
    if p.softcap or p.logit_scale != 1.0:
        bare = replace(_squared(p, kept * weight), softcap=0.0, logit_scale=1.0)
        before = "soft-capping" if p.softcap else "scale"
        yield Instead(
            f"the log-sum-exp of the z-loss is that of the logits before the {before}", plain, plus=((bare, own),)
        )
    if p.weight is not None:
        by_class = _squared(p, kept * weight * weights_of_labels(p))
        yield Instead("class weights multiply the z-loss", plain, plus=((by_class, own),))
    if p.sample_weight is not None:
        yield Instead("weights of rows do not multiply the z-loss", plain, plus=((_squared(p, kept * 1.0), own),))
    if p.reduction == "mean":
        for words, count in (("all rows", kept.size), ("the kept rows", int(kept.sum()))):
            term = (_squared(p, kept * weight), 1 / max(1, count))
            yield Instead(
                f"the z-loss is divided by the number of {words}, not by the mean's denominator", plain, plus=(term,)
            )


def _squared(p: Problem, weight: F64) -> Problem:
    """The problem of the z-losses alone, with weights of rows."""
    reduction = "sum" if p.reduction == "mean" else p.reduction
    nothing = np.zeros_like(p.x)
    return replace(
        p,
        target=nothing,
        weight=None,
        ignore_index=None,
        label_smoothing=0.0,
        reduction=reduction,
        sample_weight=np.asarray(weight, dtype=np.float64),
    )


def _given(p: Problem) -> F64:
    return np.ones(p.row_shape) if p.sample_weight is None else p.sample_weight


def kept_rows(p: Problem) -> np.ndarray:
    """Say which rows are not ignored."""
    if p.ignore_index is None or p.has_probability_target or p.target is None:
        return np.ones(p.row_shape, dtype=bool)
    return np.asarray(p.target != p.ignore_index)


def weights_of_labels(p: Problem) -> F64:
    """Return the weight of each row's label, of ignored rows that of label 0."""
    if p.weight is None or p.has_probability_target or p.target is None:
        return np.ones(p.row_shape)
    found: F64 = p.weight[np.where(kept_rows(p), p.target, 0)]
    return found
