"""Allowed error, derived elementwise from the data. The derivation, step by step, is in docs/bounds.md.

No tolerance is chosen here: every constant is a published contract, a count of roundings, or a property of a format
(see ``model``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lossproof.core.batch import Batch, Bools
from lossproof.core.formats import F64, Format
from lossproof.truth.bounds import losses
from lossproof.truth.bounds.error_model import Model, hard_sum, random_sum, t
from lossproof.truth.bounds.softmax import (
    SoftmaxTerms,
    exp_error,
    hvp_log_softmax,
    jvp_log_softmax,
    rescalings,
    softmax_terms,
    tangent_softmax,
    vjp_log_softmax,
)
from lossproof.truth.row_quantities import Rows

# The formulas themselves are evaluated in float64: fewer than 2^12 roundings each, all terms non-negative.
_ROUND_UP = 1.0 + 2.0**-40


@dataclass(frozen=True)
class Allowed:
    """Allowed absolute error of each entry of each output, in the batch's layout; ``unjudged`` (B,) marks means and
    their gradients whose computed denominator may vanish."""

    outputs: dict[str, F64]
    unjudged: Bools


def allow(batch: Batch, rows: Rows, m: Model, *, randomly_ordered: bool = False, online: bool = False) -> Allowed:
    """Allowed error of every output of the batch under a model.

    ``randomly_ordered`` uses the statistical summation constant, for the quality grade only. ``online`` adds the
    rescaling error of kernels that multiply partial sums by ``exp(m_old - m_new)``.
    """
    h = random_sum if randomly_ordered else hard_sum
    unjudged = np.zeros(batch.x.shape[0], dtype=bool)
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        if batch.op == "nll_loss":
            outputs, unjudged = losses.nll_loss(batch, rows, m, h)
        else:
            growth = rescalings(batch, rows) * (exp_error(m) + t(m.u_i)) if online else 0.0
            terms = softmax_terms(rows, m, h(batch.k), growth)
            if batch.op == "cross_entropy":
                outputs, unjudged = losses.cross_entropy(batch, rows, m, terms, h)
            elif batch.op == "softmax":
                outputs = _softmax(batch, rows, m, terms, h(batch.k))
            else:
                outputs = _log_softmax(batch, rows, m, terms, h(batch.k))
    return Allowed({name: _clean(a) for name, a in outputs.items()}, unjudged)


def rounded_back(bound: F64, exact: F64, fmt: Format) -> F64:
    """Error of a gradient that is computed within ``bound`` in a wider format and rounded once to ``fmt``.

    ``exact`` is the magnitude of the exact gradient. Subnormal results may be flushed but in float16.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return _clean(bound + fmt.u * (exact + bound) + fmt.underflow)


def _clean(a: F64) -> F64:
    # NaN only arises as inf - inf or 0 * inf after an overflow of the bound: nothing is promised there.
    return np.where(np.isnan(a), np.inf, a * _ROUND_UP)


def _softmax(batch: Batch, rows: Rows, m: Model, terms: SoftmaxTerms, h: float) -> dict[str, F64]:
    out = {"value": terms.T_p}
    if batch.cot is not None:
        out["vjp"] = tangent_softmax(rows, m, batch.cot, terms.T_p, h)
    if batch.tan is not None:
        out["jvp"] = tangent_softmax(rows, m, batch.tan, terms.T_p, h)
    return out


def _log_softmax(batch: Batch, rows: Rows, m: Model, terms: SoftmaxTerms, h: float) -> dict[str, F64]:
    out = {"value": terms.T_y}
    if batch.cot is not None:
        out["vjp"] = vjp_log_softmax(rows, m, batch.cot, terms, h)
    if batch.tan is not None:
        out["jvp"] = jvp_log_softmax(rows, m, batch.tan, terms, h)
        if batch.cot is not None:
            out["hvp"] = hvp_log_softmax(rows, m, batch.cot, batch.tan, terms, h)
    return out
