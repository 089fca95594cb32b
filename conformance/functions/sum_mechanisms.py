"""The mechanisms behind wrong sums over classes: a sum that is carried from chunk to chunk and not rescaled, one along
another axis, one that is left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from lossproof.adapters.protocol import Problem
from lossproof.core.formats import F64
from lossproof.functions.variant_mechanisms import Instead, kept_rows, weights_of_labels

# Chunks of so many classes are tried.
_CHUNKS = (1, 2, 3, 4, 5, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
# An answer is nearer than this to what comes of a chunk, since there are several that may fit by chance.
_CLOSE = 0.01


@dataclass(frozen=True)
class Plain:
    """A mistake gives these numbers, which are computed plainly in float64, in the place of what is asked."""

    words: str
    result: F64


def plainly(p: Problem, output: str) -> Iterator[Plain]:
    """Yield what softmax and log_softmax are with a wrong sum over classes."""
    if p.op not in ("softmax", "log_softmax") or p.scale != 1.0:
        return
    axis = p.axis % p.x.ndim
    others = [other for other in range(p.x.ndim) if other != axis]
    for other in others:
        along = _result(replace(p, axis=other), output)
        if along is not None:
            yield Plain(f"it is taken along axis {other}, not {axis}", along)
    log_p = p.x - _log_sum(p)
    if output == "vjp" and p.cotangent is not None:
        g, prob = p.cotangent, np.exp(log_p)
        term, factor, base = (p.cotangent * prob, prob, prob * g) if p.op == "softmax" else (g, prob, g)
        yield Plain("the gradient lacks its sum over classes", base if p.op == "softmax" else base - prob * g)
        for other in others:
            words = f"the sum in the gradient is taken along axis {other}, not {axis}"
            yield Plain(words, base - factor * term.sum(axis=other, keepdims=True))
    if output == "value":
        for words, excess in _carried(p):
            less = log_p - excess
            yield Plain(words, np.exp(less) if p.op == "softmax" else less)


def of_chunks(p: Problem, output: str) -> Iterator[Instead]:
    """Yield what losses of labels are where a sum that is carried from chunk to chunk is not rescaled."""
    if p.has_probability_target or p.target is None or p.label_smoothing or p.op != "cross_entropy":
        return
    if p.variant_parts or p.scale != 1.0:
        return
    for words, excess in _carried(p):
        if output == "value":
            # A row's log-sum-exp is in its loss as often as its label weighs: a negative log-likelihood adds the rest.
            rest = replace(p, op="nll_loss", x=np.broadcast_to(-excess, p.x.shape).copy())
            yield Instead(words, p, plus=((rest, 1.0),), near=_CLOSE)
        elif output == "vjp" and p.cotangent is not None:
            kept, ratio = kept_rows(p), np.exp(-excess).reshape(kept_rows(p).shape)
            total = float(np.sum(weights_of_labels(p) * kept)) if p.reduction == "mean" else 1.0
            if not total:
                return
            share = np.broadcast_to(p.cotangent / total, kept.shape)
            rows = replace(p, reduction="none", cotangent=share * ratio)
            labels = replace(p, op="nll_loss", x=np.zeros_like(p.x), reduction="none", cotangent=share * (1 - ratio))
            yield Instead(words, rows, plus=((labels, 1.0),), near=_CLOSE)


def _carried(p: Problem) -> Iterator[tuple[str, F64]]:
    """How much too large the logarithm of each row's sum is, by the chunk that is summed at a time."""
    right, seen = _log_sum(p), np.moveaxis(p.x, p.axis, -1)
    for size in (size for size in _CHUNKS if size < seen.shape[-1]):
        top, total = np.full(seen.shape[:-1], -np.inf), np.zeros(seen.shape[:-1])
        for i in range(0, seen.shape[-1], size):
            chunk = seen[..., i : i + size]
            top = np.maximum(top, chunk.max(axis=-1))
            total = total + np.exp(chunk - np.where(np.isfinite(top), top, 0.0)[..., None]).sum(axis=-1)
        excess = np.expand_dims(np.log(total) + top, p.axis % p.x.ndim) - right
        if np.any(excess[np.isfinite(excess)] > 0):
            yield (
                f"the running sum is not rescaled when the maximum grows: chunks of {size} "
                f"{'class is' if size == 1 else 'classes are'} added up, each relative to the maximum so far",
                excess,
            )


def _result(p: Problem, output: str) -> F64 | None:
    log_p = p.x - _log_sum(p)
    prob, g = np.exp(log_p), p.cotangent
    if output == "value":
        return prob if p.op == "softmax" else log_p
    if output != "vjp" or g is None:
        return None
    if p.op == "softmax":
        return np.asarray(prob * (g - (prob * g).sum(axis=p.axis, keepdims=True)))
    return np.asarray(g - prob * g.sum(axis=p.axis, keepdims=True))


def _log_sum(p: Problem) -> F64:
    top = p.x.max(axis=p.axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    found: F64 = np.log(np.exp(p.x - top).sum(axis=p.axis, keepdims=True)) + top
    return found
