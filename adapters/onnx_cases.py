"""The cases of ONNX's backend tests for the four operators of the family: nodes, their inputs, and expected outputs.

The installed package makes them when its modules of cases are imported, from a fixed seed: each calls ``expect`` once
for a case. The same case written out as a graph of other operators has the same numbers, and is not made here.
"""

from __future__ import annotations

import importlib
from typing import Any, Dict, Iterator, List, Sequence, Tuple

import numpy as np
import onnx
from onnx.backend.test.case import node as registry

from .peers import PeerCase
from .protocol import DTYPES, Problem, Tensor

PACKAGE = "onnx"
_MODULES = ("softmax", "logsoftmax", "negativeloglikelihoodloss", "softmax_cross_entropy_loss")
_OPS = {
    "Softmax": "softmax",
    "LogSoftmax": "log_softmax",
    "NegativeLogLikelihoodLoss": "nll_loss",
    "SoftmaxCrossEntropyLoss": "cross_entropy",
}
# Before it the softmaxes took their input for a matrix, and an axis was where that is cut.
_OPSET = 13
_Told = Tuple[Any, Sequence[Any], Sequence[Any], str]


def cases() -> Iterator[PeerCase]:
    """Yield the cases, in the order in which the package makes them. Raises ImportError where it has none."""
    for node, inputs, outputs, name in _told():
        yield from _of_node(node, inputs, outputs, name)


def _told() -> List[_Told]:
    """What the modules of cases tell ``expect``, which makes a model of it otherwise."""
    found: List[_Told] = []

    def heard(node_op: Any, inputs: Sequence[Any], outputs: Sequence[Any], name: str, **_: Any) -> None:
        found.append((node_op, inputs, outputs, name))

    registry.expect = heard
    for module in _MODULES:
        importlib.import_module("%s.%s" % (registry.__name__, module))
    return found


def _of_node(node: Any, inputs: Sequence[Any], outputs: Sequence[Any], name: str) -> Iterator[PeerCase]:
    given = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    reason = _reason(node, inputs)
    if reason:
        yield PeerCase(name, None, reason=reason)
        return
    x, axis = inputs[0], given.get("axis", -1)
    dtype = x.dtype.name
    if len(inputs) == 1:
        problem = Problem(_OPS[node.op_type], dtype, _exact(x), axis=axis)
        yield PeerCase(name, problem, _tensor(outputs[0]))
        return
    options: Dict[str, Any] = {"axis": 1, "reduction": given.get("reduction", b"mean").decode()}
    weight = _exact(inputs[2]) if len(inputs) > 2 else None
    ignored = given.get("ignore_index")
    loss = Problem(_OPS[node.op_type], dtype, _exact(x), inputs[1], weight, ignore_index=ignored, **options)
    yield PeerCase(name, loss, _tensor(outputs[0]))
    if len(outputs) > 1:
        # The operator returns the logarithms of the probabilities, too.
        yield PeerCase(name + "/log_prob", Problem("log_softmax", dtype, _exact(x), axis=1), _tensor(outputs[1]))


def _reason(node: Any, inputs: Sequence[Any]) -> str:
    """Why no problem says what a node does; nothing where one does."""
    if node.op_type not in _OPS:
        return "its operator is %s" % node.op_type
    if onnx.defs.onnx_opset_version() < _OPSET:
        return "onnx %s has the softmaxes of matrices" % onnx.__version__
    dtype = getattr(inputs[0], "dtype", None)
    if dtype is None or dtype.name not in DTYPES:
        return "its dtype is none of %s" % ", ".join(DTYPES)
    return ""


def _exact(a: Any) -> np.ndarray:
    return np.asarray(a).astype(np.float64)


def _tensor(a: Any) -> Tensor:
    return Tensor(_exact(a), np.asarray(a).dtype.name)
