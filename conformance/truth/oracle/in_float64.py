"""The vectorised oracle for float32, bfloat16 and float16: float64 evaluation with a certified radius.

The evaluation is itself a profile-W implementation in float64, so its radius is the bound that ``bounds`` derives for
float64 with the published contracts of exp and log. The tests audit every radius against Arb.
"""

from __future__ import annotations

from lossproof.core.batch import Batch
from lossproof.core.formats import FLOAT64
from lossproof.truth.bounds.error_model import Model
from lossproof.truth.oracle.certified import evaluate
from lossproof.truth.oracle.enclosure import Core
from lossproof.truth.oracle.number_systems import Float64
from lossproof.truth.row_quantities import Rows

FLOAT64_MODEL = Model(FLOAT64, "W")


def enclosures_in_float64(batch: Batch, rows: Rows) -> Core:
    """Enclose all outputs of a batch."""
    return evaluate(Float64(), FLOAT64_MODEL, batch, rows)
