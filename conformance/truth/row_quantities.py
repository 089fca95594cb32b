"""Row quantities of a batch in float64, and the class of every row (specification, section 4).

These are what bounds, special values and the fast oracle share. Rows with NaN, or with nothing but -inf, are
computed as if their logits were 0, rows with +inf as the limit; their results are replaced by ``special_values``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lossproof.adapters.normalised import sums_to_one
from lossproof.core.batch import Batch, Bools
from lossproof.core.formats import F64

FINITE, MASKED, ALL_NEG, ONE_POS, MANY_POS, HAS_NAN = range(6)


@dataclass(frozen=True)
class Rows:
    """The quantities that all computations on the rows of a batch share, in the letters of docs/bounds.md.

    ``kind``         (B, N) one of ``FINITE`` to ``HAS_NAN``
    ``absent``       (B, N, K) classes without a part: the -inf entries of a masked row, and all but the +inf entries
                     of a row that has them; there ``shifted``, ``p`` and ``log_p`` are 0
    ``shifted``      (B, N, K) d: the logits less their maximum
    ``log_s``        (B, N, 1) log of the normaliser
    ``p``            (B, N, K) p: softmax
    ``log_p``        (B, N, K) y: log-softmax, of ``nll_loss`` the log-probabilities that are its input
    ``c``            (B, N, K) c = w q': the loss coefficients, 0 in ignored rows and for ops that are no loss
    ``Q``            (B, N, 1) Q: their sum
    ``row_loss``     (B, N) l: the loss before the reduction, 0 in rows that are not regular
    ``denominator``  (B, 1) W: what the mean divides by, 1 for ops that are no loss
    ``row_scale``    (B, N) g: the cotangent of a row, over the denominator under mean, times the weight of
                     the row if it has one, 0 in ignored rows; 1 where there
                     is no cotangent of a loss (specification, section 3)
    ``either``       (B, N) rows whose gradient may be ``Q p - w q'`` or ``p - w q'``
    """

    kind: NDArray[np.int8]
    absent: Bools
    shifted: F64
    log_s: F64
    p: F64
    log_p: F64
    c: F64
    Q: F64
    row_loss: F64
    denominator: F64
    row_scale: F64
    either: Bools


def analyse(batch: Batch) -> Rows:
    """Compute all row quantities in one pass."""
    x = batch.x
    kind = classify(batch)
    regular = (kind == FINITE) | (kind == MASKED)
    if batch.op == "nll_loss":
        regular = np.ones_like(regular)
    absent = np.isneginf(x) & (kind == MASKED)[..., None]
    if batch.op != "nll_loss":
        # The limit of a row with +inf: every other class vanishes.
        absent |= ~np.isposinf(x) & ((kind == ONE_POS) | (kind == MANY_POS))[..., None]
    safe = np.where(regular[..., None] & np.isfinite(x), x, 0.0)
    with np.errstate(over="ignore", under="ignore"):
        maximum = np.max(np.where(absent, -np.inf, safe), axis=-1, keepdims=True, initial=-np.inf)
        top = np.finfo(np.float64).max
        shifted = np.maximum(np.where(absent, 0.0, safe - np.where(np.isfinite(maximum), maximum, 0.0)), -top)
        if batch.low is not None and batch.k:
            shifted = _refined(shifted, np.where(regular[..., None] & ~absent, batch.low, 0.0), absent)
        e = np.where(absent, 0.0, np.exp(shifted))
        # The largest term is exactly 1: summing the others alone keeps log s accurate near 0.
        first = np.argmax(np.where(absent, -np.inf, shifted), axis=-1)[..., None]
        rest = e.copy()
        np.put_along_axis(rest, first, 0.0, axis=-1)
        others = rest.sum(axis=-1, keepdims=True)
        log_s = np.log1p(others)
        p = e / (1.0 + others)
        log_p = np.where(absent, 0.0, np.maximum(shifted - log_s, -top))
    if batch.op == "nll_loss":
        log_p = safe
    with np.errstate(over="ignore", invalid="ignore"):
        c = _coefficients(batch)
        row_loss = np.where(regular, -np.sum(np.where(c == 0, 0.0, c * log_p), axis=-1), 0.0)
    denominator, row_scale = scales(batch)
    return Rows(
        kind=kind,
        absent=absent,
        shifted=shifted,
        log_s=log_s,
        p=p,
        log_p=log_p,
        c=c,
        Q=c.sum(axis=-1, keepdims=True),
        row_loss=row_loss,
        denominator=denominator,
        row_scale=row_scale,
        either=either_gradient(batch),
    )


def largest_at(high: F64, low: F64) -> NDArray[np.intp]:
    """The place of the largest ``high + low`` in each row (..., 1)."""
    ties = high == high.max(axis=-1, keepdims=True)
    return np.asarray(np.argmax(np.where(ties, low, -np.inf), axis=-1))[..., None]


def _refined(shifted: F64, low: F64, absent: Bools) -> F64:
    """The differences from the maximum of numbers ``high + low``, from those of ``high``."""
    at = largest_at(np.where(absent, -np.inf, shifted), low)
    return np.where(absent, 0.0, np.minimum(shifted + (low - np.take_along_axis(low, at, axis=-1)), 0.0))


def classify(batch: Batch) -> NDArray[np.int8]:
    """Classify each row by its NaN and infinities (B, N): specification, section 4."""
    x = batch.x
    neg, pos = np.isneginf(x).sum(-1), np.isposinf(x).sum(-1)
    kind = np.zeros(x.shape[:2], dtype=np.int8)
    kind[neg > 0] = MASKED
    kind[neg == x.shape[-1]] = ALL_NEG
    kind[pos == 1] = ONE_POS
    kind[pos > 1] = MANY_POS
    kind[np.isnan(x).any(-1)] = HAS_NAN
    return kind


def _coefficients(batch: Batch) -> F64:
    if not batch.is_loss:
        return np.zeros_like(batch.x)
    w = batch.w[:, None, :]
    if batch.q is not None:
        c = w * ((1.0 - batch.eps) * batch.q + batch.eps / batch.k)
    else:
        # sanity check: a loss without probabilities has labels
        assert batch.y is not None
        onehot = np.arange(batch.k) == batch.y[..., None]
        c = w * ((1.0 - batch.eps) * onehot + batch.eps / batch.k)
    return np.where(batch.kept[..., None], c, 0.0)


def either_gradient(batch: Batch) -> Bools:
    """(B, N) rows in which the specification, section 3, accepts two gradients.

    Targets that do not sum to 1, whatever the weights. Those that sum to 1 but for rounding have one gradient; without
    weights the two differ by that rounding alone, and an implementation may take the sum for 1. With one class the
    gradient is 0 whatever the target (clause 8).
    """
    if batch.q is None or batch.k == 1:
        return np.zeros(batch.x.shape[:2], dtype=bool)
    unit = (batch.w == 1.0).all(axis=-1)[:, None]
    if unit.all():
        return np.asarray(batch.q.sum(axis=-1) != 1.0)
    # Two halves of a subnormal spacing, or numerator, quotient and output below the smallest normal number.
    lost = batch.fmt.min_subnormal if batch.fmt.gradual_underflow else 3 * batch.fmt.min_normal
    return np.where(unit, batch.q.sum(axis=-1) != 1.0, ~sums_to_one(batch.q, batch.fmt.u, lost))


def label_weights(batch: Batch) -> F64:
    """The weight of each row's label (B, N): 0 in ignored rows, 1 for probability targets."""
    if batch.y is None:
        return np.ones(batch.x.shape[:2])
    return np.where(batch.kept, np.take_along_axis(batch.w, batch.y, axis=1), 0.0)


def counted(batch: Batch) -> F64:
    """The share of each row in the denominator of the mean (B, N): its label's weight, times its own if rows have
    weights, or 1 in means of other names."""
    if batch.mean == "mean":
        return label_weights(batch) * (1.0 if batch.row_weight is None else batch.row_weight)
    return np.ones(batch.kept.shape) if batch.mean == "mean_over_rows" else batch.kept.astype(np.float64)


def scales(batch: Batch) -> tuple[F64, F64]:
    """The denominator of the mean W (B, 1), and the row scale of the gradient g (B, N)."""
    denominator = counted(batch).sum(axis=1, keepdims=True) if batch.is_loss else np.ones((batch.x.shape[0], 1))
    if batch.cot is None or not batch.is_loss:
        return denominator, np.ones(batch.x.shape[:2])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        g = batch.cot / denominator if batch.reduction == "mean" else batch.cot
        g = g if batch.row_weight is None else g * batch.row_weight
    return denominator, np.where(batch.kept, np.nan_to_num(g, nan=0.0, posinf=0.0, neginf=0.0), 0.0)


def row_overflow(batch: Batch, rows: Rows, used: Bools | None = None) -> Bools:
    """The rows (B, N) in which some d_j or log p_j, of the ``used`` classes, overflows the IO format (clause 7)."""
    if batch.op == "nll_loss":
        return np.zeros(batch.x.shape[:2], dtype=bool)
    size = np.maximum(np.abs(rows.shifted), np.abs(rows.log_p))
    spread = (size if used is None else np.where(used, size, 0.0)).max(-1, initial=0.0)
    return spread >= batch.fmt.max * (1 - 2 * batch.fmt.u)


def partial_limit(batch: Batch) -> float:
    """The size at which partial sums may overflow (clause 7): that of the IO format, or of accumulators where their
    range is wider."""
    fmt = batch.fmt.sums if batch.fmt.sums.emax > batch.fmt.emax else batch.fmt
    return fmt.max * (1 - 2 * fmt.u)
