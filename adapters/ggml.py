"""ggml: its softmax and its cross-entropy of probabilities, with the kernels of their gradients, on the CPU.

Each is a graph of one node, computed by one thread. What is wrong with a tensor ends the process in ggml: such problems
are not asked.
"""

from __future__ import annotations

from typing import Any, Dict

import ggml

from .program_adapter import ProgramAdapter
from .protocol import Capabilities, Description, Problem, Support

_IMPORTS = (
    "import ggml",
    "from ggml.utils import from_numpy, to_numpy",
    "",
    "def computed(build, *arrays):",
    "    memory = 2**21 + 16 * sum(a.nbytes for a in arrays)",
    "    context = ggml.ggml_init(ggml.ggml_init_params(mem_size=memory))",
    "    result = build(context, *(from_numpy(np.ascontiguousarray(a), context) for a in arrays))",
    "    graph = ggml.ggml_new_graph(context)",
    "    ggml.ggml_build_forward_expand(graph, result)",
    "    status = ggml.ggml_graph_compute_with_ctx(context, graph, 1)",
    "    found = to_numpy(result).copy()",
    "    ggml.ggml_free(context)",
    "    if status != ggml.GGML_STATUS_SUCCESS:",
    '        raise RuntimeError("ggml returns the status %d" % status)',
    "    return found",
)
_LOSS = "computed(ggml.ggml_cross_entropy_loss, rows({x}, {axis}), rows(target, {axis})).reshape(())"
_SOFTMAX = "back(computed(ggml.ggml_soft_max, rows({x}, {axis})), {x}, {axis})"
# The classes are on the first axis of ggml, which is the last of NumPy.
_AXES = (
    "",
    "def rows(a, axis):",
    "    return np.moveaxis(a, axis, -1)",
    "",
    # Of the first axes those of length 1 are lost.
    "def back(a, x, axis):",
    "    return np.moveaxis(a.reshape(rows(x, axis).shape), -1, axis)",
)
_GRADIENTS = {
    "softmax": "kernel = lambda c, d, y: ggml.ggml_soft_max_ext_back(c, d, y, 1.0, 0.0)\n"
    "vjp = back(computed(kernel, rows(cotangent, {axis}), rows(value, {axis})), x, {axis})",
    "cross_entropy": "arrays = cotangent.reshape(1), rows(x, {axis}), rows(target, {axis})\n"
    "vjp = back(computed(ggml.ggml_cross_entropy_loss_back, *arrays), x, {axis})",
}


def _refused(p: Problem, mode: str) -> str:
    """Say what ggml has not, or why it would end the process; an empty text if it does neither."""
    if p.weight is not None or p.label_smoothing:
        return "ggml has neither class weights nor label smoothing"
    if not p.x.size:
        return "ggml has no tensors without entries"
    if p.target is not None and p.target.shape != p.x.shape:
        return "ggml ends the process where shapes differ"
    return ""


class GgmlAdapter:
    """Adapters of its operations, of which each has a kernel of its own for the gradient."""

    name = "ggml"

    def __init__(self) -> None:
        supports = {"softmax": Support("native"), "cross_entropy": Support("native", ("probability",))}
        texts = {"softmax": _SOFTMAX, "cross_entropy": _LOSS}
        shared: Dict[str, Any] = {"dtypes": ("float32",), "ranks": (1, 2, 3, 4), "reductions": ("mean",)}
        self._by_op = {
            op: ProgramAdapter(
                "ggml",
                Capabilities({op: supports[op]}, **shared),
                imports=(*_IMPORTS, *_AXES),
                functions={op: _text(texts[op])},
                derivatives={"vjp": _GRADIENTS[op]},
                pull="{t}",
                packages=("ggml-python",),
                refuse=_refused,
            )
            for op in supports
        }
        self._capabilities = Capabilities(supports, outputs=("value", "vjp"), **shared)

    def describe(self) -> Description:
        """Report the versions of the binding, and of ggml in it."""
        described = self._by_op["softmax"].describe()
        return Description(described.versions, {"ggml": ggml.ggml_version().decode()})

    def capabilities(self) -> Capabilities:
        """Offer both operations in float32."""
        return self._capabilities

    def evaluate(self, problem: Problem, device: str, mode: str) -> Dict[str, Any]:
        """Compute the graph of the operation, and that of its gradient."""
        return self._by_op[problem.op].evaluate(problem, device, mode)

    def error_kind(self, error: Exception) -> str:
        """Classify an exception by its type."""
        return self._by_op["softmax"].error_kind(error)

    def script(self, problem: Problem, device: str, mode: str) -> str:
        """Write the same computation as a program of ggml's binding alone."""
        return self._by_op[problem.op].script(problem, device, mode)


def _text(template: str) -> Any:
    return lambda p, mode: template.format(x="x", axis=p.axis)


ADAPTER = GgmlAdapter()
