"""Special values: what section 4 of the specification requires or accepts, entry by entry, on top of regular rows.

The centre of an entry is what the clause requires, or the limit where the clause leaves a choice; ``accept`` holds
the other accepted outcomes; ``clause`` names the may-clause, so that the choice shown is recorded as a convention.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lossproof.core.batch import Batch, Bools
from lossproof.core.formats import F64
from lossproof.truth.expected import ANY, NAN, NINF, OVERFLOW, PINF, ZERO, Codes, Expected, Sheet
from lossproof.truth.oracle.enclosure import Core
from lossproof.truth.row_quantities import (
    ALL_NEG,
    FINITE,
    HAS_NAN,
    MANY_POS,
    ONE_POS,
    Rows,
    counted,
    label_weights,
    partial_limit,
    row_overflow,
)
from lossproof.truth.special_derivatives import later_derivatives


def overlay(batch: Batch, rows: Rows, core: Core, unjudged: NDArray[np.bool_]) -> dict[str, Expected]:
    """Put special values onto the enclosures of regular rows: the expected results of every output of the batch."""
    out = {name: Sheet(enclosure) for name, enclosure in core.items() if ":" not in name}
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        if not batch.is_loss:
            _softmax_family(batch, rows, out)
        else:
            row = _nll_rows(batch) if batch.op == "nll_loss" else _cross_entropy_rows(batch, rows)
            _loss_value(batch, rows, out["value"], *row)
            if "vjp" in out:
                _loss_gradient(batch, rows, out["vjp"])
        later_derivatives(batch, rows, out)
        if unjudged.any():
            for sheet in out.values():
                sheet.allow(unjudged.reshape(-1, *[1] * (sheet.mid.ndim - 1)), ANY, 10)
    expected = {name: sheet.done() for name, sheet in out.items()}
    return {
        name: replace(e, other=core[f"{name}:other"]) if f"{name}:other" in core else e for name, e in expected.items()
    }


def _at(rows: Rows, kind: int) -> Bools:
    return (rows.kind == kind)[..., None]


def _softmax_family(batch: Batch, rows: Rows, out: dict[str, Sheet]) -> None:
    x, log = batch.x, batch.op == "log_softmax"
    none, one = (-np.inf, 0.0) if log else (0.0, 1.0)
    pos = np.isposinf(x)
    value = out["value"]
    value.put(rows.absent, none)
    alone = _alone(batch, rows)[..., None]
    value.put(alone, one)
    overflow = row_overflow(batch, rows)[..., None]
    value.allow(overflow, OVERFLOW, 7)
    value.put(_at(rows, ALL_NEG) | _at(rows, HAS_NAN), np.nan)
    value.put(_at(rows, ONE_POS), np.where(pos, one, none), accept=NAN, clause=4)
    value.put(_at(rows, MANY_POS) & ~pos, none, accept=NAN, clause=4)
    value.put(_at(rows, MANY_POS) & pos, np.nan)
    if "vjp" not in out or batch.cot is None:
        return
    vjp, v = out["vjp"], batch.cot
    vjp.put(alone, 0.0)
    spread = np.abs(v).sum(-1, keepdims=True) * (1.0 if log else 2.0)
    vjp.allow(overflow | (spread >= partial_limit(batch)), OVERFLOW, 7)
    if not log:
        vjp.put(rows.absent, 0.0)
    vjp.put(_at(rows, ALL_NEG) | _at(rows, HAS_NAN), np.nan)
    vjp.allow(_at(rows, ONE_POS) | (_at(rows, MANY_POS) & ~pos), NAN, 4)
    vjp.put(_at(rows, MANY_POS) & pos, np.nan)


def _alone(batch: Batch, rows: Rows) -> Bools:
    """(B, N) rows of one class with a finite logit: p is 1, log p and the gradient are 0, exactly (clause 8)."""
    return (rows.kind == FINITE) & (batch.k == 1) & (batch.z_loss == 0.0)


def _nll_rows(batch: Batch) -> tuple[F64, Bools, Codes]:
    """Per row: the special loss, where it replaces the regular one, and what else is accepted."""
    # sanity check: nll_loss has labels
    assert batch.y is not None
    picked = np.take_along_axis(batch.x, batch.y[..., None], axis=-1)[..., 0]
    w = label_weights(batch)
    base = -w * picked
    accept = np.zeros(base.shape, dtype=np.uint8)
    weightless = np.isinf(picked) & (w == 0)
    base = np.where(weightless, 0.0, base)
    accept[weightless] = NAN
    special = ~np.isfinite(picked) & batch.kept
    return base, special, np.where(special, accept, 0).astype(np.uint8)


def _cross_entropy_rows(batch: Batch, rows: Rows) -> tuple[F64, Bools, Codes]:
    # With one or more +inf, every other class of the row tends to log p = -inf, as a masked class has it.
    pos = np.isposinf(batch.x)
    dominated = (_at(rows, ONE_POS) | _at(rows, MANY_POS)) & ~pos
    gone = rows.absent | dominated
    base = np.where((gone & (rows.c > 0)).any(-1), np.inf, _held(rows))
    negative = (gone & (rows.c < 0)).any(-1)
    base = np.where(negative, np.where(np.isposinf(base), np.nan, -np.inf), base)
    accept = np.zeros(base.shape, dtype=np.uint8)
    accept[(gone & _vanishing(batch, rows)).any(-1)] |= NAN
    infinite = (rows.kind == ONE_POS) | (rows.kind == MANY_POS)
    base = np.where(infinite & np.isfinite(base), 0.0, base)
    accept[infinite] |= NAN
    undefined = (_at(rows, MANY_POS) & pos & (rows.c != 0)).any(-1)
    undefined |= (rows.kind == ALL_NEG) | (rows.kind == HAS_NAN)
    base = np.where(undefined, np.nan, base)
    accept[undefined] = 0
    special = (~np.isfinite(base) | infinite | (accept > 0)) & batch.kept
    # A class that a label gives no part in the loss contributes 0, also where its log p overflows (clause 6).
    overflow = row_overflow(batch, rows, rows.c != 0 if batch.hard else None)
    overflow = overflow | (np.abs(rows.row_loss) >= partial_limit(batch))
    accept = np.where(batch.kept & overflow, accept | OVERFLOW, accept).astype(np.uint8)
    return base, special, np.where(batch.kept, accept, 0).astype(np.uint8)


def _held(rows: Rows) -> F64:
    """The loss of each row, where float64 cannot hold it the largest number: it is not infinite, and what a mean makes
    of it may be held."""
    largest = np.finfo(np.float64).max
    return np.clip(rows.row_loss, -largest, largest)


def _vanishing(batch: Batch, rows: Rows) -> Bools:
    """Entries whose product ``c_j log p_j`` may be 0 or NaN where log p_j = -inf (clause 6)."""
    if batch.q is not None:
        return rows.c == 0
    # sanity check: a loss without probabilities has labels
    assert batch.y is not None
    targeted = (np.arange(batch.k) == batch.y[..., None]) | (batch.eps > 0)
    return (rows.c == 0) & targeted


def _loss_value(batch: Batch, rows: Rows, sheet: Sheet, base: F64, special: Bools, accept: Codes) -> None:
    clause = np.where(accept & OVERFLOW == OVERFLOW, 7, np.where((rows.kind >= ONE_POS), 4, 6)).astype(np.uint8)
    clause = np.where(accept > 0, clause, 0).astype(np.uint8)
    alone = _alone(batch, rows) if batch.op == "cross_entropy" else np.zeros(rows.kind.shape, dtype=bool)
    sheet.put(alone if batch.reduction == "none" else np.asarray((alone | ~batch.kept).all(1))[:, None], 0.0)
    if batch.reduction == "none":
        sheet.put(special & ((base != _held(rows)) | (rows.kind >= ONE_POS)), base)
        sheet.put(~batch.kept, 0.0)
        sheet.accept |= accept
        sheet.clause[:] = clause
        return
    total = np.where(special & ~np.isfinite(base), base, 0.0).sum(1, keepdims=True)
    infinite = ~np.isfinite(total)
    mean = batch.reduction == "mean"
    sheet.put(infinite, total / rows.denominator if mean else total)
    pulled = np.bitwise_or.reduce(accept, axis=1)[:, None] if batch.n else np.zeros(sheet.mid.shape, dtype=np.uint8)
    sheet.accept |= np.where(np.isnan(total), 0, pulled).astype(np.uint8)
    sheet.clause[:] = np.where(sheet.accept > 0, clause.max(axis=1, initial=0)[:, None], 0)
    # A row loss that is infinite here is one that float64 cannot hold: special ones are 0.
    size = np.nan_to_num(np.abs(rows.row_loss), nan=np.inf, posinf=np.inf).sum(1, keepdims=True)
    weights = np.abs(counted(batch)).sum(1, keepdims=True)
    crowded = (size >= partial_limit(batch)) | (np.full(weights.shape, mean) & (weights >= partial_limit(batch)))
    sheet.allow(crowded & ~np.isnan(total), OVERFLOW, 7)
    if mean:
        _empty_mean(batch, rows, sheet, weights)


def _empty_mean(batch: Batch, rows: Rows, sheet: Sheet, weights: F64) -> None:
    if batch.n == 0:
        sheet.put(np.ones(sheet.mid.shape, dtype=bool), np.nan)
        return
    no_row = ~np.asarray(batch.kept.any(1))[:, None] & (weights == 0)
    empty = (weights == 0) & ~no_row
    # Clauses 1 and 3 come first: there the sum of the rows is NaN, and nothing else is accepted.
    undefined = np.isnan(sheet.mid) & (sheet.accept == 0)
    sheet.put(empty & ~undefined, np.nan, accept=ZERO | PINF | NINF, clause=10)
    if batch.op == "cross_entropy":
        # So does clause 4: a row loss that may be NaN or infinite over 0 is one of these.
        infinite = (((rows.kind == ONE_POS) | (rows.kind == MANY_POS)) & batch.kept).any(1, keepdims=True)
        sheet.put(empty & infinite & ~undefined, np.nan, accept=PINF | NINF, clause=4)
    sheet.put(no_row, np.nan, accept=ZERO, clause=10)


def _loss_gradient(batch: Batch, rows: Rows, sheet: Sheet) -> None:
    # sanity check: a gradient was asked for
    assert batch.cot is not None
    pos = np.isposinf(batch.x)
    kept = batch.kept[..., None]
    if batch.op == "cross_entropy":
        sheet.put(kept & _alone(batch, rows)[..., None], 0.0)
        sheet.allow(kept & row_overflow(batch, rows)[..., None], OVERFLOW, 7)
        sheet.allow(kept & (_at(rows, ONE_POS) | (_at(rows, MANY_POS) & ~pos)), NAN, 4)
        sheet.put(kept & _at(rows, MANY_POS) & pos, np.nan)
        sheet.put(kept & (_at(rows, ALL_NEG) | _at(rows, HAS_NAN)), np.nan)
    else:
        # The loss does not depend on the other entries (section 3).
        sheet.put(kept & (rows.c == 0), 0.0)
    scale = np.abs(rows.row_scale)[..., None] * np.maximum(1.0, np.abs(rows.c).sum(-1, keepdims=True))
    sheet.allow(kept & (scale >= partial_limit(batch)), OVERFLOW | ZERO, 10)
    sheet.put(~kept, 0.0)
    sheet.put(~kept & (rows.kind >= ALL_NEG)[..., None], 0.0, accept=NAN, clause=11)
    if batch.reduction == "mean" and batch.n:
        weights = np.abs(counted(batch)).sum(1)[:, None, None]
        no_row = ~np.asarray(batch.kept.any(1))[:, None, None] & (weights == 0)
        sheet.allow(weights >= partial_limit(batch), OVERFLOW, 7)
        _empty_mean_gradient(batch, rows, sheet, (weights == 0) & ~no_row)
        sheet.put(no_row, 0.0, accept=NAN, clause=10)


def _empty_mean_gradient(batch: Batch, rows: Rows, sheet: Sheet, empty: Bools) -> None:
    """Clause 10 where the weights of all kept labels are 0, after clauses 11, 1, 4 and 3."""
    kept = batch.kept[..., None]
    sheet.put(empty & ~(~kept & (rows.kind >= ALL_NEG)[..., None]), np.nan, accept=ZERO | PINF | NINF, clause=10)
    if batch.op == "cross_entropy":
        pos = np.isposinf(batch.x)
        infinite = _at(rows, ONE_POS) | (_at(rows, MANY_POS) & ~pos)
        sheet.put(empty & kept & infinite, np.nan, accept=PINF | NINF, clause=4)
        undefined = _at(rows, ALL_NEG) | _at(rows, HAS_NAN) | (_at(rows, MANY_POS) & pos)
        sheet.put(empty & kept & undefined, np.nan)
