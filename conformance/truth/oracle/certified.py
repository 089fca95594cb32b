"""Oracles whose radius is the derived error bound of their own evaluation."""

from __future__ import annotations

import numpy as np

from lossproof.core.batch import Batch
from lossproof.truth.bounds.allowed import allow
from lossproof.truth.bounds.error_model import Model
from lossproof.truth.oracle.enclosure import Core, Enclosure
from lossproof.truth.oracle.formulas import evaluate_outputs
from lossproof.truth.oracle.number_systems import Numbers
from lossproof.truth.row_quantities import Rows


def evaluate(system: Numbers, model: Model, batch: Batch, rows: Rows) -> Core:
    """Enclose all outputs: the formulas in a number system, within the bound of the model that it realises.

    docs/bounds.md, section 8.
    """
    radius = allow(batch, rows, model).outputs
    with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
        found = evaluate_outputs(system, batch, rows)
    # An alternative formula (``vjp:other``) has the bound of its output, which covers both.
    return {name: Enclosure(*system.split(a)[:2], radius[name.split(":")[0]]) for name, a in found.items()}
