"""ONNX: its reference evaluator, which computes in NumPy; each operator set is a mode."""

from __future__ import annotations

from .onnx_models import OPERATORS, OPSETS, kinds_of, model
from .program_adapter import ProgramAdapter
from .protocol import LOSSES, Capabilities, Problem, Support


def _run(p: Problem, mode: str) -> str:
    kinds = kinds_of(p)
    feeds = ", ".join('"%s": %s' % (name, name) for name in kinds)
    return "evaluated('''%s''', {%s})" % (model(p, mode, kinds), feeds)


ADAPTER = ProgramAdapter(
    "onnx",
    Capabilities(
        ops={
            op: Support("native", ("index",) if op in LOSSES else ("index", "probability"), name)
            for op, name in OPERATORS.items()
        },
        modes=tuple(sorted(OPSETS, reverse=True)),
        # The body of the losses gathers, and NumPy's indices count from the end where they are negative.
        wraps_negative_labels=True,
    ),
    imports=(
        "import onnx.parser",
        "from onnx.reference import ReferenceEvaluator",
        "",
        "def evaluated(model, feeds):",
        "    return ReferenceEvaluator(onnx.parser.parse_model(model)).run(None, feeds)[0]",
    ),
    functions=dict.fromkeys(OPERATORS, _run),
)
