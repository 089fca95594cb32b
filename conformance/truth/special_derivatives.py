"""Special values of JVPs, second derivatives and the gradient with respect to probability targets.

Section 4 of the specification speaks of values, logit gradients and d/dq. The other outputs are judged on rows of
finite and masked logits, where section 3 defines them; elsewhere any answer is accepted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lossproof.core.batch import Batch, Bools
from lossproof.core.formats import F64
from lossproof.truth.expected import ANY, NAN, OVERFLOW, Sheet
from lossproof.truth.row_quantities import MASKED, Rows, counted, partial_limit, row_overflow

# Those with rules of their own in ``special_values``.
_OF_SECTION_4 = ("value", "vjp")


def later_derivatives(batch: Batch, rows: Rows, out: dict[str, Sheet]) -> None:
    """Write the rules onto the sheets of the outputs that section 4 does not speak of."""
    for name, sheet in out.items():
        if name not in _OF_SECTION_4:
            _undefined(batch, rows, sheet)
    if "grad_target" in out:
        _target_gradient(batch, rows, out["grad_target"])
    if "jvp_target" in out:
        _target_jvp(batch, rows, out["jvp_target"])


def _undefined(batch: Batch, rows: Rows, sheet: Sheet) -> None:
    odd = (rows.kind > MASKED) & batch.kept if batch.op != "nll_loss" else np.zeros(rows.kind.shape, dtype=bool)
    crowded = row_overflow(batch, rows) & batch.kept
    spread = np.asarray(sum(np.abs(v).sum(-1) for v in (batch.tan, batch.tan_q) if v is not None))
    crowded = crowded | (spread >= partial_limit(batch))
    if batch.is_loss:
        # The sums of a loss have the weights in them, and those of a reduction other rows.
        crowded = crowded | _beyond(batch, spread * np.maximum(1.0, np.abs(rows.c).sum(-1)))
    empty = np.zeros(odd.shape, dtype=bool)
    if batch.is_loss and batch.reduction == "mean":
        empty |= (counted(batch).sum(1) == 0)[:, None]
    _spread(sheet, odd | empty, ANY, 0)
    if batch.n == 0 and batch.reduction == "mean":
        sheet.allow(np.ones(sheet.mid.shape, dtype=bool), ANY, 0)
    if sheet.mid.ndim == 3:
        # As for the gradient row of an ignored row (clause 11).
        sheet.allow(((rows.kind > MASKED) & ~batch.kept)[..., None], NAN, 11)
    _spread(sheet, crowded, OVERFLOW, 7)


def _spread(sheet: Sheet, rows: np.ndarray, accept: int, clause: int) -> None:
    """Apply a rule to rows, or to the one entry that a reduction makes of them."""
    if sheet.mid.ndim == 3:
        sheet.allow(rows[..., None], accept, clause)
    elif sheet.mid.shape == rows.shape:
        sheet.allow(rows, accept, clause)
    else:
        sheet.allow(np.asarray(rows.any(1))[:, None], accept, clause)


def _target_gradient(batch: Batch, rows: Rows, sheet: Sheet) -> None:
    """Clause 5: ``sign(g w_j) inf`` where log p_j = -inf; {0, NaN} where its factor is 0."""
    factor = rows.row_scale[..., None] * (1.0 - batch.eps) * batch.w[:, None, :]
    masked = rows.absent & (rows.kind == MASKED)[..., None]
    sheet.put(masked, np.sign(factor) * np.inf)
    sheet.put(masked & (factor == 0), 0.0, accept=NAN, clause=6)
    # The product of any of them may overflow before the next one, or 1 - eps, scales it down.
    g, w = rows.row_scale[..., None], batch.w[:, None, :]
    products = np.broadcast_arrays(g * rows.log_p, w * rows.log_p, g * w, g * w * rows.log_p)
    sheet.allow(~masked & (_largest(products) >= partial_limit(batch)), OVERFLOW, 7)


def _target_jvp(batch: Batch, rows: Rows, sheet: Sheet) -> None:
    """A direction with mass at masked classes has no finite derivative; one without may meet 0 * inf (clause 6)."""
    # sanity check: the signature asks for it
    assert batch.tan_q is not None
    factor = (1.0 - batch.eps) * batch.w[:, None, :] * batch.tan_q
    masked = rows.absent & (rows.kind == MASKED)[..., None]
    _spread(sheet, (masked & (factor == 0)).any(-1), NAN, 6)
    _spread(sheet, (masked & (factor != 0)).any(-1), ANY, 0)
    # As above, with the direction, whose product with a weight may overflow where log p is 0.
    weighted = batch.w[:, None, :] * batch.tan_q
    products = (batch.tan_q * rows.log_p, weighted, weighted * rows.log_p)
    _spread(sheet, _beyond(batch, _largest(np.broadcast_arrays(*products)).sum(-1)), OVERFLOW, 7)


def _largest(products: Sequence[F64]) -> F64:
    """The largest of some products, entry by entry; one of infinity and 0 is none."""
    return np.asarray(np.fmax.reduce(np.abs(products), axis=0))


def _beyond(batch: Batch, size: F64) -> Bools:
    """The rows (B, N) of a loss whose terms, or whose sum with those of other kept rows, may overflow (clause 7)."""
    limit = partial_limit(batch)
    if batch.reduction == "none":
        return np.asarray(size >= limit)
    total = np.where(batch.kept, size, 0.0).sum(1, keepdims=True)
    return np.asarray((size >= limit) | (batch.kept & (total >= limit)))
