"""The vectorised oracle for float32, bfloat16 and float16: float64 evaluation with a certified radius.

The evaluation is itself a profile-W implementation in float64, so its radius is the bound that ``bounds`` derives for
float64 with the published contracts of exp and log. The tests audit every radius against Arb.
"""

from __future__ import annotations

from lossproof.core.batch import Batch
from lossproof.core.formats import FLOAT64, Format
from lossproof.truth.bounds.error_model import Model
from lossproof.truth.oracle.certified import evaluate
from lossproof.truth.oracle.enclosure import Core
from lossproof.truth.oracle.number_systems import Float64
from lossproof.truth.row_quantities import Rows

FLOAT64_MODEL = Model(FLOAT64, "W")
# The evaluation loses less to underflow than it is said to: 3 * 2^-700 is far below what any format loses here, and
# arithmetic on radii of float64's own underflow, which are no normal numbers, takes many times as long.
ORACLE_MODEL = Model(Format("float64, evaluated", FLOAT64.precision, -700, FLOAT64.emax, FLOAT64.bits), "W")


def enclosures_in_float64(batch: Batch, rows: Rows) -> Core:
    """Enclose all outputs of a batch."""
    return evaluate(Float64(), ORACLE_MODEL, batch, rows)
