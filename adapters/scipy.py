"""SciPy: ``scipy.special.softmax`` and ``log_softmax``, which differentiate nothing."""

from __future__ import annotations

from .program_adapter import ProgramAdapter
from .protocol import Capabilities, Support

ADAPTER = ProgramAdapter(
    "scipy",
    Capabilities(
        ops={"softmax": Support("native"), "log_softmax": Support("native")}, dtypes=("float64", "float32", "float16")
    ),
    imports=("from scipy import special",),
    functions={op: "special.%s({x}, axis={axis})" % op for op in ("softmax", "log_softmax")},
)
