"""Libraries with the array API of the Python consortium: operations and losses in its functions alone.

The standard has no softmax: what a user writes is the shift by the maximum, exponentials, and a sum.
"""

from __future__ import annotations

from typing import Sequence

from .program_adapter import ProgramAdapter
from .protocol import COMPOSED, Capabilities, Support
from .traced import numpy_like

_SHIFTED = "{x} - xp.max({x}, axis={axis}, keepdims=True)"
_EXP = "xp.exp(%s)" % _SHIFTED
_SUM = "xp.sum(%s, axis={axis}, keepdims=True)" % _EXP


def array_api_adapter(name: str, module: str, *, imports: Sequence[str] = (), put: str, cast: str) -> ProgramAdapter:
    """Return the adapter of a library by its module; ``cast`` is the template of a cast, which not all have alike."""
    return ProgramAdapter(
        name,
        Capabilities(
            ops={"softmax": Support("composed"), "log_softmax": Support("composed"), **COMPOSED},
            dtypes=("float64", "float32"),
        ),
        imports=("import %s as xp" % module, *imports),
        functions={
            "softmax": "%s / %s" % (_EXP, _SUM),
            "log_softmax": "%s - xp.log(%s)" % (_SHIFTED, _SUM),
            **numpy_like("xp", cast=cast),
        },
        put=put,
    )
