"""Problems as models of ONNX with one node, in the versions of its operators."""

from __future__ import annotations

from typing import Dict, Mapping

from .protocol import LOSSES, Problem, UnsupportedProblem

OPERATORS = {
    "softmax": "Softmax",
    "log_softmax": "LogSoftmax",
    "nll_loss": "NegativeLogLikelihoodLoss",
    "cross_entropy": "SoftmaxCrossEntropyLoss",
}
# Operator sets that changed these operators, with the version of the format that each needs. Set 11 has no losses, and
# up to set 12 the softmaxes take all axes from theirs on as one.
OPSETS = {"opset11": (11, 6), "opset12": (12, 7), "opset13": (13, 7), "opset22": (22, 10)}
_OTHERS = (18, 8)
_TYPES = {
    "float64": "double",
    "float32": "float",
    "bfloat16": "bfloat16",
    "float16": "float16",
    "int64": "int64",
    "int32": "int32",
}


def kinds_of(p: Problem) -> Dict[str, str]:
    """Return the dtypes of a model's inputs, which bear the names of the problem's arrays."""
    kinds = {}
    for name in ("x", "target", "weight"):
        a = getattr(p, name)
        if a is not None:
            kinds[name] = a.dtype.name if a.dtype.kind in "iu" else p.dtype
    return kinds


def model(p: Problem, mode: str, kinds: Mapping[str, str]) -> str:
    """Write the model of a problem in ONNX's own syntax; in a mode of ``OPSETS`` in that operator set, else in 18.

    Raises UnsupportedProblem for what the operators have no option for.
    """
    opset, ir = OPSETS.get(mode, _OTHERS)
    if p.op in LOSSES and opset < 12:
        raise UnsupportedProblem("ONNX has no %s before opset 12" % OPERATORS[p.op])
    if p.is_loss and (p.x.ndim < 2 or p.axis % p.x.ndim != 1):
        raise UnsupportedProblem("ONNX's losses take classes on axis 1 only")
    if p.label_smoothing:
        raise UnsupportedProblem("ONNX's losses have no label smoothing")
    if not p.is_loss and opset < 13 and p.axis % p.x.ndim != p.x.ndim - 1:
        raise UnsupportedProblem("before opset 13 %s takes all axes from its own on as one" % OPERATORS[p.op])
    given = ", ".join("%s%r %s" % (_TYPES.get(kind, kind), list(getattr(p, n).shape), n) for n, kind in kinds.items())
    if p.is_loss:
        options = 'reduction="%s"' % p.reduction
        if p.ignore_index is not None:
            options += ", ignore_index=%d" % p.ignore_index
    else:
        options = "axis=%d" % p.axis
    result = "%s%r value" % (_TYPES[p.dtype], list(p.shape_of("value")))
    node = "value = %s<%s>(%s)" % (OPERATORS[p.op], options, ", ".join(kinds))
    return '<ir_version: %d, opset_import: ["" : %d]>\ng (%s) => (%s) { %s }' % (ir, opset, given, result, node)
