"""Mutants of the value of cross-entropy: plain, smoothed and weighted mean; the kill table's rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .log_softmax import log_of, x_minus_lse
from .loss import Case, Loss, relabelled, row_losses
from .mutant import WIDE_DTYPES, Mutant
from .parts import BF16, F16, PLAIN, Array, Softmax, one_by_one, tf32, through, times

F32_BELOW = ("float64",)


def _plain(name: str, why: str, of: Loss, *, expect: tuple[str, ...] = WIDE_DTYPES, family: str = "") -> Mutant:
    return _row("ce_mean", name, why, of, frozenset({"axis"}), expect, family)


def _smooth(name: str, why: str, of: Loss, *, expect: tuple[str, ...] = WIDE_DTYPES, family: str = "") -> Mutant:
    return _row("smooth_mean", name, why, of, frozenset({"axis", "label_smoothing"}), expect, family)


def _weighted(name: str, why: str, of: Loss, *, expect: tuple[str, ...] = WIDE_DTYPES, family: str = "") -> Mutant:
    return _row("wce_mean", name, why, of, frozenset({"axis", "weight", "ignore_index"}), expect, family)


def _row(
    row: str, name: str, why: str, of: Loss, takes: frozenset[str], expect: tuple[str, ...], family: str
) -> Mutant:
    return Mutant(
        name, "cross_entropy", row, why, of.value, expect=expect, options=takes, targets=("index",), family=family
    )


def counted(case: Case, n: int) -> Array:
    """A number as a denominator."""
    return np.asarray(n, case.x.dtype)


def batch_sum(fmt: np.dtype[Any]) -> Loss:
    """The losses of the batch are summed one after the other in a format."""
    return Loss(total=lambda rows: one_by_one(fmt)(rows.reshape(-1))[0])


def next_label(case: Case) -> Case:
    """Labels that count from 1."""
    # sanity check: index targets only
    assert case.labels is not None
    return relabelled(case, (case.labels + 1) % case.k)


def _without_last(case: Case, rows: Array) -> Array:
    flat = rows.reshape(-1)
    return np.asarray(np.mean(flat[:-1] if flat.size > 1 else flat, dtype=flat.dtype))


def over_k_minus_1(case: Case) -> Array:
    """The smoothing mass goes to the other K - 1 classes."""
    other = case.eps / max(case.k - 1, 1)
    return np.where(case.q == 1, 1 - case.eps, other).astype(case.x.dtype)


def unnormalised(case: Case) -> Array:
    """The target keeps 1 - eps and gets no share of the uniform part."""
    return np.where(case.q == 1, 1 - case.eps, case.eps / case.k).astype(case.x.dtype)


def _added(case: Case) -> Array:
    return (case.q + case.eps / case.k).astype(case.x.dtype)


def _by_sum(case: Case) -> Array:
    return ((1 - case.eps) * case.q + case.eps).astype(case.x.dtype)


def _rounded_eps(case: Case) -> Case:
    return replace(case, eps=float(BF16.type(case.eps)))


def _kl(case: Case, y: Array, c: Array) -> Array:
    entropy = np.where(c == 0, 0, c * np.log(np.where(c == 0, 1, c)))
    return (row_losses(case, y, c) + entropy.sum(axis=-1)).astype(y.dtype)


def weights_at(case: Case, labels: Array) -> Array:
    """Weights of labels, as a numerator's rows."""
    return case.w[np.clip(labels, 0, case.k - 1)]


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


def _predicted(case: Case, rows: Array) -> Array:
    w = np.where(case.kept, weights_at(case, np.argmax(case.x, axis=-1)), 0)
    y = np.take_along_axis(PLAIN.y(case.x), case.safe[..., None], axis=-1)[..., 0]
    return np.sum(np.where(case.kept, -w * y, 0)) / np.sum(w, dtype=case.x.dtype)


def _weights(change) -> Loss:  # type: ignore[no-untyped-def]
    return Loss(read=lambda case: replace(case, w=change(case.w).astype(case.x.dtype)))


def _denominator_plus(a: float) -> Loss:
    return Loss(denominator=lambda case: np.sum(case.scale, dtype=case.x.dtype) + case.x.dtype.type(a))


def _scaled_numerator(case: Case, q: Array) -> Array:
    return (case.w * (case.k / case.w.sum()) * q).astype(case.x.dtype)


MUTANTS = (
    _plain(
        "log(softmax)", "the log of an underflowed probability is -inf", Loss(logp=log_of(lambda p: p)), family="spread"
    ),
    _plain(
        "log(clip(p,1e-7))",
        "an epsilon: the loss is never above 16.1",
        Loss(logp=log_of(lambda p: np.maximum(p, p.dtype.type(1e-7)))),
        family="spread",
    ),
    _plain(
        "log(p+1e-8)",
        "an epsilon: the loss is never above 18.4",
        Loss(logp=log_of(lambda p: p + p.dtype.type(1e-8))),
        family="spread",
    ),
    _plain(
        "x-(max+log sum)", "the log of the sum is absorbed by a large maximum", Loss(logp=x_minus_lse), family="offset"
    ),
    _plain("sum not mean", "mean is not divided", Loss(denominator=lambda case: counted(case, 1))),
    _plain(
        "mean over N*K", "the mean of the one-hot products", Loss(denominator=lambda case: counted(case, case.x.size))
    ),
    _plain(
        "mean over N-1", "Bessel's correction", Loss(denominator=lambda case: counted(case, max(case.kept.size - 1, 1)))
    ),
    _plain("fp16 batch accumulator", "the batch is summed in float16", batch_sum(F16), family="long_batch"),
    _plain("bf16 batch accumulator", "the batch is summed in bfloat16", batch_sum(BF16), family="long_batch"),
    _plain("label off by one", "labels count from 1", Loss(read=next_label)),
    _plain("result*(1+0.0001)", "a systematic error", Loss(leave=times(1 + 1e-4))),
    _plain("result*(1+1e-05)", "a systematic error", Loss(leave=times(1 + 1e-5))),
    _plain("result*(1+1e-06)", "a systematic error of 8 ulp in float32", Loss(leave=times(1 + 1e-6)), expect=F32_BELOW),
    _plain("logits tf32", "a matrix unit's input format", Loss(logp=Softmax(enter=tf32).y)),
    _plain("logits bf16", "an autocast of the logits", Loss(logp=Softmax(enter=through(BF16)).y)),
    _plain("base-2 log", "log2 of the sum instead of its natural logarithm", Loss(logp=Softmax(log=np.log2).y)),
    _plain("dropped last sample", "the batch loop stops one row short", Loss(mean=_without_last)),
    _smooth("eps/(K-1)", "the smoothing mass goes to the other K - 1 classes", Loss(mix=over_k_minus_1)),
    _smooth("unnormalised q (1-eps, eps/K)", "the target gets no share of the uniform part", Loss(mix=unnormalised)),
    _smooth("no smoothing", "the option is dropped", Loss(mix=lambda case: case.q)),
    _smooth("smoothing added not mixed", "the one-hot part is not scaled by 1 - eps", Loss(mix=_added)),
    _smooth("KL instead of CE (entropy subtracted)", "the divergence is another function", Loss(rows=_kl)),
    _smooth("eps=0.1 -> bf16(0.1)", "eps rounded to bfloat16", Loss(read=_rounded_eps)),
    _smooth("result*(1+0.0001)", "a systematic error", Loss(leave=times(1 + 1e-4))),
    _smooth("result*(1+1e-05)", "a systematic error", Loss(leave=times(1 + 1e-5))),
    _smooth("uniform part by sum not mean", "eps instead of eps/K for each class", Loss(mix=_by_sum)),
    _weighted("mean over N", "divides by all rows", Loss(denominator=lambda case: counted(case, case.kept.size))),
    _weighted(
        "mean over non-ignored count",
        "divides by the number of kept rows, not by their weights",
        Loss(denominator=lambda case: counted(case, int(case.kept.sum()))),
    ),
    _weighted(
        "sum(w) incl. ignored", "weights of ignored rows are counted", Loss(denominator=_label_weights_with_ignored)
    ),
    _weighted("ignored rows not masked", "ignored rows are in the numerator", Loss(mean=_ignored_counted)),
    _weighted("weight of predicted class", "weight[argmax x] instead of weight[label]", Loss(mean=_predicted)),
    _weighted("unweighted", "weights are dropped", _weights(np.ones_like)),
    _weighted("sum(w)+1e-8", "a guard below float32's roundoff of the sum", _denominator_plus(1e-8), expect=F32_BELOW),
    _weighted("sum(w)+1e-5", "a guard against division by zero", _denominator_plus(1e-5)),
    _weighted(
        "w normalised to sum K over classes",
        "weights are normalised in the numerator only",
        Loss(weigh=_scaled_numerator),
    ),
    _weighted("w^2", "weights are applied twice", _weights(np.square)),
    _weighted("fp16 weights", "weights are stored in float16", _weights(through(F16))),
    _weighted(
        "fp16 sum(w)",
        "the denominator is summed in float16",
        Loss(denominator=lambda case: one_by_one(F16)(case.scale.reshape(-1))[0]),
    ),
)
