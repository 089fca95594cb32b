"""The kernels under ``F.softmax`` and ``F.log_softmax``, called as compilers and other libraries call them.

The result goes into a tensor that is given, the derivative starts from a result that is given, both in the layout of
the input.
Through autograd results are always dense, so a kernel that takes them for dense is not found there.
"""

from __future__ import annotations

import functools
from typing import Any, Dict, List, Sequence

import torch

from . import layouts
from .given import Given
from .protocol import Problem

OPS = ("softmax", "log_softmax")


def evaluate(p: Problem, g: Given, want: Sequence[str]) -> Dict[str, Any]:
    """Compute value and VJP, both from the input, so that neither shows the defects of the other."""
    kernel, derivative = getattr(torch, "_" + p.op), getattr(torch, "_%s_backward_data" % p.op)
    x = g.x if p.scale == 1.0 else g.x * p.scale
    out = {}
    if "value" in want:
        out["value"] = kernel(x, p.axis, False, out=_laid(p, torch.full_like(x, float("nan"))))
    if "vjp" in want:
        result = _laid(p, kernel(g.x, p.axis, False))
        out["vjp"] = derivative(g.cotangent, result, p.axis, g.x.dtype if _takes_dtype(p.op) else g.x)
    return out


def _laid(p: Problem, t: Any) -> Any:
    plan = layouts.of_problem(p).get("x")
    return t if plan is None else layouts.lay(t.contiguous(), plan)


@functools.lru_cache(maxsize=None)
def _takes_dtype(op: str) -> bool:
    """Tell whether the derivative is told the input's dtype; older releases take the input itself."""
    (schema,) = torch._C._jit_get_schemas_for_operator("aten::_%s_backward_data" % op)[:1]
    return schema.arguments[-1].name == "input_dtype"


def source(p: Problem, want: Sequence[str]) -> List[str]:
    """Write what :func:`evaluate` does as lines of a program."""
    plan = layouts.of_problem(p).get("x")
    lay = "" if plan is None else ".as_strided(%r, %r, %d)" % (plan.shape, plan.strides, plan.offset)
    buffer = (
        "torch.full_like(x, float('nan'))" if plan is None else "x.new_full((%d,), float('nan'))%s" % (plan.size, lay)
    )
    out = [] if p.scale == 1.0 else ["x = x * %r" % p.scale]
    out.append("value = torch._%s(x, %d, False, out=%s)" % (p.op, p.axis, buffer))
    if "vjp" in want:
        last = "x.dtype" if _takes_dtype(p.op) else "x"
        out.append("result = %s.copy_(torch._%s(x, %d, False))" % (buffer, p.op, p.axis))
        out.append("vjp = torch._%s_backward_data(cotangent, result, %d, %s)" % (p.op, p.axis, last))
    return out
