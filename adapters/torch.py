"""PyTorch: ``torch.nn.functional``'s own functions, gradients through autograd."""

from __future__ import annotations

import os
import platform
from typing import Any, Dict

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (PyTorch's own convention)

from . import source
from .protocol import Capabilities, Description, Problem, Support, Tensor

_DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


class TorchAdapter:
    """``F.softmax``, ``F.log_softmax``, ``F.nll_loss`` and ``F.cross_entropy``."""

    name = "torch"

    def __init__(self) -> None:
        cuda = ["cuda:%d" % i for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
        ops = {
            "softmax": Support("native"),
            "log_softmax": Support("native"),
            "nll_loss": Support("native", ("index",)),
            "cross_entropy": Support("native"),
        }
        devices = ("cpu", *(["cuda"] if cuda else []), *cuda)
        self._capabilities = Capabilities(ops=ops, devices=devices)

    def describe(self) -> Description:
        """Versions, threads, instruction set and the flags that can change bits."""
        versions = {"torch": torch.__version__, "numpy": np.__version__, "python": platform.python_version()}
        facts = {
            "threads": str(torch.get_num_threads()),
            "mkldnn": str(torch.backends.mkldnn.is_available()),
            "deterministic": str(torch.are_deterministic_algorithms_enabled()),
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", ""),
        }
        cpu = getattr(torch.backends, "cpu", None)
        if cpu is not None:
            facts["cpu"] = cpu.get_cpu_capability()
        if torch.cuda.is_available():
            facts["cuda"] = "%s, %s" % (torch.version.cuda, torch.cuda.get_device_name())
        return Description(versions, facts)

    def capabilities(self) -> Capabilities:
        """Everything native, in four dtypes, on the CPU and on CUDA devices that are present."""
        return self._capabilities

    def evaluate(self, problem: Problem, device: str, mode: str) -> Dict[str, Any]:
        """Value, and VJP through ``torch.autograd.grad`` where a cotangent is given."""
        dtype = _DTYPES[problem.dtype]
        cotangent = problem.cotangent
        x = torch.tensor(problem.x, dtype=dtype, device=device, requires_grad=cotangent is not None)
        value = _apply(problem, x, dtype, device)
        out = {"value": _pull(value)}
        if cotangent is not None:
            (vjp,) = torch.autograd.grad(value, x, torch.tensor(cotangent, dtype=dtype, device=device))
            out["vjp"] = _pull(vjp)
        return out

    def error_kind(self, error: Exception) -> str:
        """By exception type first, then by the words of PyTorch's messages."""
        text = str(error)
        if isinstance(error, IndexError):
            return "bad_label" if text.startswith("Target ") else "bad_shape"
        if isinstance(error, NotImplementedError):
            return "bad_dtype" if "not implemented for" in text else "unsupported"
        if isinstance(error, (ValueError, RuntimeError)):
            return next((kind for words, kind in _MESSAGES if words in text), "internal")
        return "internal"

    def script(self, problem: Problem) -> str:
        """The call as a program of PyTorch alone."""
        dtype = "torch." + problem.dtype
        body = []
        for name, a in source.arrays(problem):
            kind = "torch.int64" if a.dtype.kind in "iu" else dtype
            body.append("%s = torch.tensor(%s, dtype=%s).reshape(%r)" % (name, source.constant(a), kind, a.shape))
        if problem.cotangent is not None:
            body.append("x.requires_grad_()")
        body += ["value = " + _source(problem), 'print("value", value.tolist())']
        if problem.cotangent is not None:
            body += ["(vjp,) = torch.autograd.grad(value, x, cotangent)", 'print("vjp", vjp.tolist())']
        imports = ["import torch", "import torch.nn.functional as F"]
        return source.program(source.title(problem, "torch"), imports, body)


_MESSAGES = (
    ("out of memory", "resource"),
    ("can't allocate memory", "resource"),
    ("label_smoothing", "bad_option"),
    ("valid value for reduction", "bad_option"),
    ("ignore_index", "bad_option"),
    ("out of bounds", "bad_label"),
    ("expected target dtype", "bad_dtype"),
    ("expected scalar type", "bad_dtype"),
    ("floating point", "bad_dtype"),
    ("batch_size", "bad_shape"),
    ("weight tensor should be defined", "bad_shape"),
    ("shape", "bad_shape"),
    ("size", "bad_shape"),
    ("dimension", "bad_shape"),
)


def _apply(p: Problem, x: torch.Tensor, dtype: torch.dtype, device: str) -> torch.Tensor:
    if p.op == "softmax":
        return F.softmax(x, dim=p.axis)
    if p.op == "log_softmax":
        return F.log_softmax(x, dim=p.axis)
    # sanity check: losses have targets
    assert p.target is not None
    if x.dim() > 2 or p.axis % x.dim() == 0:
        x = x.movedim(p.axis, min(1, x.dim() - 1))
    weight = None if p.weight is None else torch.tensor(p.weight, dtype=dtype, device=device)
    ignore = _ignored_label(p)
    if p.op == "nll_loss":
        target = torch.tensor(p.target, device=device)
        return F.nll_loss(x, target, weight, ignore_index=ignore, reduction=p.reduction)
    if not p.has_probability_target:
        target = torch.tensor(p.target, device=device)
        return F.cross_entropy(
            x, target, weight, ignore_index=ignore, reduction=p.reduction, label_smoothing=p.label_smoothing
        )
    target = torch.tensor(p.target, dtype=dtype, device=device)
    if x.dim() > 2 or p.axis % x.dim() == 0:
        target = target.movedim(p.axis, min(1, x.dim() - 1))
    return F.cross_entropy(
        x, target, weight, ignore_index=ignore, reduction=p.reduction, label_smoothing=p.label_smoothing
    )


def _ignored_label(p: Problem) -> int:
    """PyTorch cannot be told to ignore nothing: absent means a value that no label takes."""
    if p.ignore_index is not None:
        return p.ignore_index
    if p.has_probability_target or p.target is None:
        return -100
    return min(-100, int(p.target.min(initial=0)) - 1)


def _source(p: Problem) -> str:
    if not p.is_loss:
        return "F.%s(x, dim=%d)" % (p.op, p.axis)
    dim = min(1, p.x.ndim - 1)
    move = "" if p.axis % p.x.ndim == dim else ".movedim(%d, %d)" % (p.axis, dim)
    args = ["x" + move, "target" + (move if p.has_probability_target else "")]
    if p.weight is not None:
        args.append("weight=weight")
    args.append("ignore_index=%d" % _ignored_label(p))
    args.append('reduction="%s"' % p.reduction)
    if p.op == "cross_entropy":
        args.append("label_smoothing=%r" % p.label_smoothing)
    return "F.%s(%s)" % (p.op, ", ".join(args))


def _pull(t: torch.Tensor) -> Tensor:
    return Tensor(t.detach().double().cpu().numpy(), _NAMES.get(t.dtype, str(t.dtype)))


ADAPTER = TorchAdapter()
