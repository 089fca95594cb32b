"""The vectorised oracle for float32, bfloat16 and float16: float64 evaluation with a certified radius.

The evaluation below is itself a profile-W implementation in float64, so its radius is the bound that ``bounds``
derives for float64 with the published contracts of exp and log. The tests audit every radius against Arb.
"""

from __future__ import annotations

import numpy as np

from lossproof.batch import Batch
from lossproof.bounds import Model, allow
from lossproof.floats import F64, FLOAT64
from lossproof.oracle.enclosure import Core, Enclosure
from lossproof.rows import Rows

_MODEL = Model(FLOAT64, "W")


def core(batch: Batch, rows: Rows) -> Core:
    """Enclosures of all outputs."""
    radius = allow(batch, rows, _MODEL)
    value = Enclosure(values(batch, rows), np.zeros_like(radius.value), radius.value)
    if radius.vjp is None:
        return Core(value, None)
    gradient = gradients(batch, rows)
    return Core(value, Enclosure(gradient, np.zeros_like(gradient), radius.vjp))


def values(batch: Batch, rows: Rows) -> F64:
    """The value in float64."""
    if batch.op == "softmax":
        return rows.p
    if batch.op == "log_softmax":
        return rows.y
    if batch.reduction == "none":
        return rows.row
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        total = rows.row.sum(axis=1, keepdims=True)
        return total / rows.W if batch.reduction == "mean" else total


def gradients(batch: Batch, rows: Rows) -> F64:
    """The VJP in float64."""
    # sanity check: the signature asks for a gradient
    assert batch.cot is not None
    if batch.op == "softmax":
        return rows.p * (batch.cot - np.sum(rows.p * batch.cot, axis=-1, keepdims=True))
    if batch.op == "log_softmax":
        return np.where(rows.absent, batch.cot, batch.cot - rows.p * batch.cot.sum(axis=-1, keepdims=True))
    g = rows.g[..., None]
    return -g * rows.c if batch.op == "nll_loss" else g * (rows.Q * rows.p - rows.c)
