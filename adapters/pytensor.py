"""PyTensor: ``special.softmax`` and ``log_softmax`` as compiled functions, in C, by Numba or by JAX."""

from __future__ import annotations

import importlib.util
from typing import List, Sequence

from .program_adapter import ProgramAdapter
from .protocol import Capabilities, Problem, Support

# Of each mode PyTensor's own name, and what it needs besides.
_MODES = {"c": ("FAST_RUN", "pytensor"), "numba": ("NUMBA", "numba"), "jax": ("JAX", "jax")}


def _compiled(p: Problem, mode: str, given: Sequence[str], lines: Sequence[str], outputs: Sequence[str]) -> List[str]:
    """Write a function that makes symbols for the arrays, the graph, and what is compiled of it, and call it.

    Symbols have the names of the arrays, which the program still takes: they are the function's own.
    """
    symbols = ['%s = pt.tensor("%s", dtype="%s", shape=%r)' % (n, n, p.dtype, (None,) * p.x.ndim) for n in given]
    arguments = '[%s], [%s], mode="%s"' % (", ".join(given), ", ".join(outputs), _MODES[mode][0])
    graph = [*symbols, *lines, 'return pytensor.function(%s, on_unused_input="ignore")' % arguments]
    return ["def graph():", *("    " + line for line in graph), "", "program = graph()"]


ADAPTER = ProgramAdapter(
    "pytensor",
    Capabilities(
        ops={"softmax": Support("native"), "log_softmax": Support("native")},
        dtypes=("float64", "float32"),
        modes=tuple(mode for mode, (_, needs) in _MODES.items() if importlib.util.find_spec(needs)),
        compile_cost="cheap",
        by_mode={mode: {"compile_cost": "dear"} for mode in ("numba", "jax")},
    ),
    imports=("import pytensor", "import pytensor.tensor as pt"),
    functions={op: "pt.special.%s({x}, axis={axis})" % op for op in ("softmax", "log_softmax")},
    derivatives={
        "vjp": "vjp = pytensor.grad(None, x, known_grads={value: cotangent})",
        "jvp": "jvp = pytensor.gradient.pushforward(value, x, tangent)",
        "hvp": "hvp = pytensor.gradient.pushforward(vjp, x, tangent)",
    },
    compiled=_compiled,
)
