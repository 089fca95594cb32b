"""The vectorised oracle for float32, bfloat16 and float16: float64 evaluation with a certified radius.

The evaluation is itself a profile-W implementation in float64, so its radius is the bound that ``bounds`` derives for
float64 with the published contracts of exp and log. The tests audit every radius against Arb.
"""

from __future__ import annotations

import numpy as np

from lossproof.batch import Batch
from lossproof.bounds import allow
from lossproof.floats import FLOAT64
from lossproof.model import Model
from lossproof.oracle.enclosure import Core, Enclosure
from lossproof.oracle.formulas import outputs
from lossproof.oracle.numbers import Float64
from lossproof.rows import Rows

_MODEL = Model(FLOAT64, "W")


def core(batch: Batch, rows: Rows) -> Core:
    """Enclosures of all outputs."""
    radius = allow(batch, rows, _MODEL).outputs
    with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
        found = outputs(Float64(), batch, rows)
    return {name: Enclosure(a, np.zeros_like(a), radius[name.split(":")[0]]) for name, a in found.items()}
