"""Oracles whose radius is the derived error bound of their own evaluation."""

from __future__ import annotations

import numpy as np

from lossproof.batch import Batch
from lossproof.bounds import allow
from lossproof.model import Model
from lossproof.oracle.enclosure import Core, Enclosure
from lossproof.oracle.formulas import outputs
from lossproof.oracle.numbers import Numbers
from lossproof.rows import Rows


def evaluate(system: Numbers, model: Model, batch: Batch, rows: Rows) -> Core:
    """Enclosures of all outputs: the formulas in a number system, and the bound of the model that it realises."""
    radius = allow(batch, rows, model).outputs
    with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
        found = outputs(system, batch, rows)
    # An alternative formula (``vjp:other``) has the bound of its output, which covers both.
    return {name: Enclosure(*system.split(a)[:2], radius[name.split(":")[0]]) for name, a in found.items()}
