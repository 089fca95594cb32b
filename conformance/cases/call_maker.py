"""The call maker adds to a family's logits what a signature has: targets, weights, smoothing, cotangents, tangents."""

from __future__ import annotations

import math

import numpy as np

from lossproof.adapters.protocol import Problem
from lossproof.cases.family import Family
from lossproof.cases.picker import Picker, bell, fraction, full_bell
from lossproof.cases.signature import Signature, Uses
from lossproof.core.call import Call, rows_back, rows_first
from lossproof.core.formats import F64, Format

_SIDES = np.iinfo(np.int64)


def make_call(
    pick: Picker,
    f: Family,
    signature: Signature,
    *,
    shape: tuple[int, ...],
    fmt: Format,
    provenance: str,
    tier: str = "full",
) -> Call:
    """Make one call of a family: logits by the family, options, cotangent and directions by the signature."""
    uses = signature.uses
    axis = signature.axis % len(shape)
    k = shape[axis]
    rest = shape[:axis] + shape[axis + 1 :]
    n = math.prod(rest)
    rows = f.make(pick, fmt, n, k)
    if signature.op == "nll_loss":
        rows = -np.abs(rows)
    if signature.layout == "expanded":
        rows = np.broadcast_to(rows[:1], rows.shape).copy()
    target: np.ndarray | None = None
    weight, ignore, eps = None, None, 0.0
    if signature.is_loss:
        target, ignore = _targets(pick, f, signature, rows, fmt)
        weight = _weights(pick, fmt, k, full=f.full) if Uses.WEIGHT in uses else None
        eps = _smoothing(pick, full=f.full) if Uses.SMOOTHING in uses else 0.0

    def back(a: F64) -> F64:
        return rows_back(a, shape, axis).copy()

    if target is not None:
        target = back(target) if signature.has_probability_target else target.reshape(rest).copy()
    cotangent = _cotangent(pick, signature, fmt, shape, rest, full=f.full)
    if signature.layout == "expanded" and not signature.is_loss:
        cotangent = back(np.broadcast_to(rows_first(cotangent, axis)[:1], (n, k)))
    problem = Problem(
        op=signature.op,
        dtype=fmt.name,
        x=back(rows),
        target=target,
        weight=weight,
        cotangent=cotangent,
        axis=signature.axis if signature.axis != len(shape) - 1 else -1,
        reduction=signature.reduction if signature.is_loss else "mean",
        ignore_index=ignore,
        label_smoothing=eps,
        tangent=direction(pick, fmt, shape, full=f.full) if Uses.TANGENT in uses else None,
        wrt_target=Uses.TARGET_GRADIENT in uses,
        target_tangent=direction(pick, fmt, shape, full=f.full) if Uses.TARGET_TANGENT in uses else None,
        layout=signature.layout,
    )
    return Call(problem, f.name, provenance, f.random_order, tier)


def _smoothing(pick: Picker, *, full: bool) -> float:
    if full:
        return pick.choice((0.1, 1 / 3, float(fraction(pick, (1,))[0])))
    return pick.choice((0.1, 0.1, 0.3, 0.0009765625, 1.0))


def _targets(pick: Picker, f: Family, signature: Signature, rows: F64, fmt: Format) -> tuple[np.ndarray, int | None]:
    n, k = rows.shape
    if signature.has_probability_target:
        q = fmt.round(quotients(pick, n, k)) if f.full else _probabilities(pick, n, k)
        # Any sum: 0 makes a row without a target.
        return (q * np.array([0.0, 0.5, 1.0, 2.0])[pick.bits(2, (n, 1))] if Uses.ANY_SUM in signature.uses else q), None
    labels = pick.bits(16, (n,)) * k >> 16
    if f.labels == "top":
        labels = np.where(pick.bits(2, (n,)) > 0, np.argmax(rows, axis=1), labels)
    elif f.labels == "unmasked":
        hidden = np.isneginf(rows[np.arange(n), labels])
        labels = np.where(hidden, np.argmax(rows, axis=1), labels)
    if Uses.IGNORE_INDEX not in signature.uses:
        return labels, None
    ignore = pick.choice((-100, -1, 255, 0, k - 1, k, int(_SIDES.min), int(_SIDES.max), -(2**31) - 1, 2**32))
    dropped = _dropped(pick, f, rows)
    if f.labels == "any" and pick.integer(0, 3) == 0:
        # Class 0 next to ignored rows: what is written there by mistake is often a 0.
        labels = np.where(np.roll(dropped, 1) | np.roll(dropped, -1), 0, labels)
    return np.where(dropped, ignore, labels), ignore


def _dropped(pick: Picker, f: Family, rows: F64) -> np.ndarray:
    """Which rows are ignored: some, the first, the last, all; of ``garbage`` families exactly those that hold it."""
    n = len(rows)
    if f.labels == "ignored":
        return np.asarray(~np.isfinite(rows).all(axis=1))
    kind = pick.integer(0, 7)
    drop = pick.bits(2, (n,)) == 0
    if kind == 0:
        return np.full(n, True)
    if kind <= 2:
        drop = np.zeros(n, dtype=bool)
        drop[0 if kind == 1 else n - 1] = True
    return drop


def _probabilities(pick: Picker, n: int, k: int) -> F64:
    """Rows of multiples of 1/128 that sum to exactly 1; zeros and one-hot rows among them."""
    parts = min(k, 6) if pick.integer(0, 3) else 1
    cuts = np.sort(pick.bits(7, (n, parts - 1)), axis=1) if parts > 1 else np.zeros((n, 0), dtype=np.int64)
    ends = np.concatenate([np.zeros((n, 1), np.int64), cuts, np.full((n, 1), 128)], axis=1)
    first = pick.bits(16, (n, 1)) * k >> 16
    q = np.zeros((n, k))
    np.put_along_axis(q, (first + np.arange(parts) * max(1, k // parts)) % k, np.diff(ends, axis=1) / 128, axis=1)
    return q


def quotients(pick: Picker, n: int, k: int) -> F64:
    """Draw rows of probabilities as a softmax has them, some of them 0: of any bits, with a sum that is 1 but for
    rounding."""
    # Cubes of integers below 2^15: sums of them are exact, in whatever order.
    parts = (pick.bits(15, (n, k)) + 1) ** 3
    small = (parts * 512 < parts.sum(axis=1, keepdims=True)) & (parts < parts.max(axis=1, keepdims=True))
    # Clause 9: what is not 0 is far from the underflow range.
    parts = np.where(small, 0, parts)
    return parts / parts.sum(axis=1, keepdims=True)


def _weights(pick: Picker, fmt: Format, k: int, *, full: bool) -> F64:
    """Positive weights between 1/16 and 8, with few significant bits or with all that the format has; among them, by
    turns: none else, a zero, one that dominates, a negative one, a negative total."""
    fine = fraction(pick, (k,)) if full else pick.bits(32, (k,)) * (2.0**-32 * pick.integer(0, 1))
    w = fmt.round(np.ldexp(1 + pick.bits(4, (k,)) + fine, pick.bits(2, (k,)) - 4))
    kind, at = pick.integer(0, 9), pick.integer(0, k - 1)
    if k > 1:
        if kind <= 1:
            w[at] = 0.0
        elif kind == 2:
            w[at] = 1024.0
        elif kind == 3:
            w[at] = -w[at]
        elif kind == 4:
            w = -w
    return w


def _cotangent(
    pick: Picker, signature: Signature, fmt: Format, shape: tuple[int, ...], rest: tuple[int, ...], *, full: bool
) -> F64:
    if not signature.is_loss:
        kind = pick.integer(0, 3)
        return np.ones(shape) if kind == 0 and not full else direction(pick, fmt, shape, full=full)
    if signature.reduction != "none":
        if full:
            return fmt.round((1 + fraction(pick, ())) * pick.choice((1.0, -0.5)))
        return np.asarray(pick.choice((1.0, 1.0, -1.0, 0.375, 3.0)))
    v = direction(pick, fmt, rest, full=full)
    if v.size > 1 and pick.integer(0, 1):
        v.reshape(-1)[0] = 0.0
    return v


def direction(pick: Picker, fmt: Format, shape: tuple[int, ...], *, full: bool = False) -> F64:
    """Draw a direction or a cotangent of a shape, with as many bits as the format and the draw have."""
    # Clause 9: cotangents and directions in the deck are 0 or far from the underflow range.
    v = full_bell(pick, shape) if full else bell(pick, shape)
    return fmt.round(np.where(np.abs(v) < 2.0**-6, 0.0, v))
