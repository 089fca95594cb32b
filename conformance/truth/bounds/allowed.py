"""The allowed error of every output, derived elementwise from the data as docs/bounds.md says.

No tolerance is chosen here: every constant is a published contract, a count of roundings, or a property of a format
(see ``error_model``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lossproof.core.batch import Batch, Bools
from lossproof.core.formats import F64, Format
from lossproof.truth.bounds import losses, variants
from lossproof.truth.bounds.error_model import Model
from lossproof.truth.bounds.softmax import (
    SoftmaxTerms,
    hvp_log_softmax,
    jvp_log_softmax,
    softmax_terms,
    tangent_softmax,
    vjp_log_softmax,
)
from lossproof.truth.row_quantities import Rows

# bounds.md section 8: the formulas are evaluated in float64, in fewer than 2^12 roundings each, of non-negative terms.
ROUND_UP = 1.0 + 2.0**-40


@dataclass(frozen=True)
class Allowed:
    """The allowed absolute error of each entry of each output, in the batch's layout.

    ``outputs`` holds one array for each output by name; ``unjudged`` (B,) marks the problems whose mean nobody can
    judge, because the computed denominator may vanish (docs/bounds.md, section 5).
    """

    outputs: dict[str, F64]
    unjudged: Bools


def allow(batch: Batch, rows: Rows, model: Model) -> Allowed:
    """Derive the allowed error of every output of the batch under a model."""
    unjudged = np.zeros(batch.x.shape[0], dtype=bool)
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        if batch.is_variant:
            outputs, unjudged = variants.variant(batch, rows, model)
        elif batch.op == "nll_loss":
            outputs, unjudged = losses.nll_loss(batch, rows, model)
        else:
            softmax = softmax_terms(batch, rows, model)
            if batch.op == "cross_entropy":
                outputs, unjudged = losses.cross_entropy(batch, rows, model, softmax)
            elif batch.op == "softmax":
                outputs = _softmax(batch, rows, model, softmax)
            else:
                outputs = _log_softmax(batch, rows, model, softmax)
    return Allowed({name: _clean(a) for name, a in outputs.items()}, unjudged)


def rounded_back(bound: F64, exact: F64, fmt: Format) -> F64:
    """The error of a gradient that is computed within ``bound`` in a wider format and rounded once to ``fmt``.

    T_narrow of docs/bounds.md, section 6, wider outputs; ``exact`` is the magnitude of the exact gradient.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return _clean(bound + fmt.u * (exact + bound) + fmt.underflow)


def _clean(a: F64) -> F64:
    # NaN only arises as inf - inf or 0 * inf after an overflow of the bound: nothing is promised there.
    return np.where(np.isnan(a), np.inf, a * ROUND_UP)


def _softmax(batch: Batch, rows: Rows, model: Model, softmax: SoftmaxTerms) -> dict[str, F64]:
    out = {"value": softmax.T_softmax}
    if batch.cot is not None:
        out["vjp"] = tangent_softmax(rows, model, batch.cot, softmax.T_softmax)
    if batch.tan is not None:
        out["jvp"] = tangent_softmax(rows, model, batch.tan, softmax.T_softmax)
    return out


def _log_softmax(batch: Batch, rows: Rows, model: Model, softmax: SoftmaxTerms) -> dict[str, F64]:
    out = {"value": softmax.T_lsm}
    if batch.cot is not None:
        out["vjp"] = vjp_log_softmax(rows, model, batch.cot, softmax)
    if batch.tan is not None:
        out["jvp"] = jvp_log_softmax(rows, model, batch.tan, softmax)
        if batch.cot is not None:
            out["hvp"] = hvp_log_softmax(rows, model, batch.cot, batch.tan, softmax)
    return out
