"""Options of exploration: targets, weights, sentinels, cotangents and directions.

What is drawn is one choice each (:class:`Drawn`), made in the same order whatever the call: hypothesis then shrinks
every one of them by itself. The numbers come from a picker.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Flag, auto
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossproof.adapters.protocol import LOSSES
from lossproof.cases.call_maker import quotients
from lossproof.cases.family import Family
from lossproof.cases.picker import Picker
from lossproof.cases.signature import NOTHING, Uses
from lossproof.core.formats import F64, Format
from lossproof.core.operations import OPERATIONS


class Wanted(Flag):
    """The derivatives that a call wants beside its value.

    ``GRADIENT`` is that with respect to the logits, ``TANGENT`` a direction in them, ``TARGET_GRADIENT`` the gradient
    with respect to the targets, ``TARGET_TANGENT`` a direction in these.
    """

    GRADIENT = auto()
    TANGENT = auto()
    TARGET_GRADIENT = auto()
    TARGET_TANGENT = auto()


NOTHING_WANTED = Wanted(0)
_SMOOTHED, _WEIGHTED, _IGNORED = Uses.SMOOTHING, Uses.WEIGHT, Uses.IGNORE_INDEX
# In all combinations, the simplest first.
_USES = (
    NOTHING,
    _SMOOTHED,
    _WEIGHTED,
    _IGNORED,
    _SMOOTHED | _WEIGHTED,
    _SMOOTHED | _IGNORED,
    _WEIGHTED | _IGNORED,
    _SMOOTHED | _WEIGHTED | _IGNORED,
)
_USES_LARGE = (*(NOTHING,) * 7, *_USES)
_WEIGHTS = ("positive", "signed", "zeros", "dominant", "hidden", "signed", "signed", "hidden", "negative")
_SMOOTHING = (0.1, 0.5, 2.0**-10, 1.0, 0.3, 1 / 3)
_SENTINELS = ("-100", "-1", "label", "label", "next", "next", "next", "alias", "K", "255", "far")
_FAR = (-(2**63), 2**63 - 1, -(2**31) - 1, 2**31, 2**32, -(2**15) - 1)
_LABELS = ("any", "any", "top", "odd", "strange")
# Where labels lose bits: the ends of 7, 8, 15 and 16-bit integers, of the integers of bfloat16 and float16.
_ODD = (0, 127, 128, 255, 256, 257, 259, 2047, 2049, 4097, 32767, 32768, 65_519, 65_520, 65_535, 65_536)
_PROBABILITIES = ("one-hot", "normalised", "few", "any", "quotients")
_GRADIENT, _OF_TARGETS = Wanted.GRADIENT, Wanted.GRADIENT | Wanted.TARGET_GRADIENT
_WANTED = (
    NOTHING_WANTED,
    _GRADIENT,
    _GRADIENT,
    _GRADIENT,
    _GRADIENT | Wanted.TANGENT,
    Wanted.TANGENT,
    _OF_TARGETS,
    _OF_TARGETS | Wanted.TARGET_TANGENT,
    _OF_TARGETS | Wanted.TARGET_TANGENT | Wanted.TANGENT,
)
# Second derivatives cost most on large inputs.
_WANTED_LARGE = (_GRADIENT, _GRADIENT, NOTHING_WANTED, Wanted.TANGENT)


@dataclass(frozen=True)
class Drawn:
    """The drawn choices of a call, each by the name of its kind; an empty one is the option's absence."""

    reduction: str
    weights: str
    smoothing: float
    dense: bool
    probabilities: str
    labels: str
    sentinel: str
    ignored: str
    cotangent: str
    wanted: Wanted


def draw(pick: Picker, op: str, *, large: bool, sums: bool) -> Drawn:
    """Draw all choices of a call. Half of the large calls have no options beside a reduction."""
    loss = op in LOSSES
    reduction = pick.choice(("sum", "mean", "mean") if sums else ("none", "sum", "mean", "mean")) if loss else "mean"
    uses = pick.choice(_USES_LARGE if large else _USES)
    weights, smoothing = pick.choice(_WEIGHTS), pick.choice(_SMOOTHING)
    dense, probabilities = pick.choice((False, False, True)), pick.choice(_PROBABILITIES)
    labels, sentinel = pick.choice(_LABELS), pick.choice(_SENTINELS)
    return Drawn(
        reduction,
        weights if Uses.WEIGHT in uses else "",
        smoothing if Uses.SMOOTHING in uses and op == "cross_entropy" else 0.0,
        dense and "probability" in OPERATIONS[op].targets,
        probabilities,
        labels,
        sentinel if Uses.IGNORE_INDEX in uses else "",
        pick.choice(("some", "first", "last", "all", "odd")),
        pick.choice(("ones", "signed", "zeros")),
        pick.choice(_WANTED_LARGE if large else _WANTED),
    )


def of_loss(pick: Picker, fmt: Format, family: Family, rows: F64, drawn: Drawn) -> dict[str, Any]:
    """Draw the fields of a loss's problem, in the layout of rows: target ``(n, k)`` or ``(n,)``, weight ``(k,)``."""
    n, k = rows.shape
    out: dict[str, Any] = {"reduction": drawn.reduction, "label_smoothing": drawn.smoothing}
    if drawn.weights:
        out["weight"] = _weights(pick, fmt, rows, drawn.weights)
    if drawn.dense:
        return out | {"target": _probabilities(pick, fmt, n, k, drawn.probabilities)}
    labels = _labels(pick, family, rows, drawn.labels)
    if drawn.sentinel:
        ignore = _sentinel(pick, labels, k, drawn.sentinel)
        out["ignore_index"] = ignore
        labels = np.where(_ignored(pick, family, rows, drawn.ignored), ignore, labels)
    return out | {"target": labels}


def moderate(pick: Picker, fmt: Format, shape: tuple[int, ...], kind: str) -> F64:
    """Draw numbers between 1/16 and 16, or 0 (section 4, clause 9: no product with them is subnormal by itself).

    Of few significant bits or of all that the format has; ``positive``, ``signed``, or signed with ``zeros``.
    """
    raw = pick.bits(16, shape)
    fine = pick.bits(32, shape) * 2.0**-32 if pick.integer(0, 1) else 0.0
    v = np.ldexp(1 + (raw % 16 + fine) / 16, np.array([0, 1, 2, 3, -1, -2, -3, -4])[raw // 16 % 8])
    if kind != "positive":
        v = np.where(raw // 128 % 2 == 1, -v, v)
    if kind == "zeros":
        v = np.where(raw // 256 % 4 == 1, 0.0, v)
    return fmt.round(v)


def cotangent(pick: Picker, fmt: Format, shape: tuple[int, ...], kind: str) -> F64:
    """Draw a cotangent of ones, or of :func:`moderate` numbers."""
    return np.ones(shape) if kind == "ones" else moderate(pick, fmt, shape, kind)


def _weights(pick: Picker, fmt: Format, rows: F64, kind: str) -> F64:
    """Of one or both signs, one far above the others, or ``hidden``: 0 for the classes with NaN or infinite logits."""
    k = rows.shape[1]
    w = moderate(pick, fmt, (k,), "zeros" if kind in ("signed", "zeros") else "positive")
    if kind == "dominant":
        w[pick.integer(0, k - 1)] = 1024.0
    if kind == "hidden":
        return np.where(np.isfinite(rows).all(axis=0), w, 0.0)
    return -w if kind == "negative" else np.abs(w) if kind == "zeros" else w


def _probabilities(pick: Picker, fmt: Format, n: int, k: int, kind: str) -> F64:
    """Multiples of 1/128: one-hot, with sum exactly 1 (over all classes or a few), or with any sum, 0 among them; or
    with all the bits of the format, as a softmax has them."""
    if kind == "quotients":
        return fmt.round(quotients(pick, n, k))
    if kind == "any":
        return pick.bits(7, (n, k)) * np.array([1.0, 0.5, 2.0, 0.0])[pick.bits(2, (n, 1))] / 128.0
    first = pick.bits(16, (n, 1)) * k >> 16
    if kind == "one-hot":
        return (np.arange(k) == first).astype(np.float64)
    parts = min(k, 4) if kind == "few" else k
    cuts = np.sort(pick.bits(7, (n, parts - 1)), axis=1)
    q = np.zeros((n, k))
    np.put_along_axis(q, (first + np.arange(parts)) % k, np.diff(cuts, axis=1, prepend=0, append=128) / 128.0, axis=1)
    return q


def _labels(pick: Picker, family: Family, rows: F64, kind: str) -> NDArray[np.int64]:
    """Any class, mostly the likeliest one, one whose number loses bits, or one whose logit is not finite.

    Unmasked ones where the family says so.
    """
    n, k = rows.shape
    labels = pick.bits(32, (n,)) * k >> 32
    if kind == "odd":
        numbers = np.array([v for v in (k - 1, *_ODD) if v < k])
        labels = numbers[pick.bits(16, (n,)) * len(numbers) >> 16]
    if kind == "strange" and n:
        odd = ~np.isfinite(rows)
        labels = np.where(odd.any(axis=1), np.argmax(odd, axis=1), labels)
    best = np.argmax(rows, axis=1) if n else labels
    if kind == "top" or family.labels == "top":
        labels = np.where(pick.bits(2, (n,)) > 0, best, labels)
    if family.labels == "unmasked":
        labels = np.where(np.isneginf(rows[np.arange(n), labels]), best, labels)
    return labels.astype(np.int64)


def _sentinel(pick: Picker, labels: NDArray[np.int64], k: int, kind: str) -> int:
    """A value to ignore: ``next`` is beside a label, ``alias`` equals one in its lower 8, 16 or 32 bits."""
    label = int(labels[pick.integer(0, len(labels) - 1)]) if len(labels) else 0
    if kind == "next":
        return label + pick.choice((1, -1, 2, -2))
    if kind == "alias":
        return label + pick.choice((2**8, 2**16, 2**32, -(2**8), -(2**16), -(2**32)))
    if kind == "far":
        return pick.choice(_FAR)
    return {"label": label, "K": k}[kind] if kind in ("label", "K") else int(kind)


def _ignored(pick: Picker, family: Family, rows: F64, kind: str) -> NDArray[np.bool_]:
    """Which rows are ignored; ``odd`` ones are those that hold something else than finite logits."""
    n = len(rows)
    if kind == "odd" or family.labels == "ignored":
        return np.asarray(~np.isfinite(rows).all(axis=1))
    if kind in ("first", "last"):
        return np.asarray(np.arange(n) == (0 if kind == "first" else n - 1))
    return np.full(n, True) if kind == "all" else np.asarray(pick.bits(2, (n,)) == 1)
