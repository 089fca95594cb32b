"""The Arb oracle: rigorous ball arithmetic at any precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from flint import arb

from lossproof.core.batch import Batch
from lossproof.core.formats import F64
from lossproof.truth.oracle.enclosure import Core, Enclosure
from lossproof.truth.oracle.formulas import evaluate_outputs
from lossproof.truth.oracle.number_systems import Balls, enclose, precision
from lossproof.truth.oracle.variant_formulas import evaluate_variant
from lossproof.truth.row_quantities import Rows

__all__ = ["PRECISIONS", "certify", "enclose", "enclosures_in_balls", "exactly"]
PRECISIONS = (128, 256, 512, 1024, 2048, 4096)


def enclosures_in_balls(batch: Batch, rows: Rows, bits: int = 128) -> Core:
    """Enclose all outputs at a working precision in bits."""
    with precision(bits):
        system = Balls()
        evaluate = evaluate_variant if batch.is_variant else evaluate_outputs
        return {name: Enclosure(*system.split(a)) for name, a in evaluate(system, batch, rows).items()}


def exactly(a: float) -> Any:
    """Turn a float64 into an exact ball."""
    return arb(float(a))


def certify(make: Callable[[int], Core], relative: F64 | float = 2.0**-60) -> Core:
    """Raise the precision until every radius is below ``relative`` times the magnitude, or as small as float64 has."""
    for bits in PRECISIONS:
        result = make(bits)
        if all(_tight(e, relative) for e in result.values()):
            return result
    return result


def _tight(e: Enclosure, relative: F64 | float) -> bool:
    return bool(np.all((e.rad <= 2.0**-1073) | (e.rad <= relative * np.abs(e.mid)) | np.isinf(e.mid)))
