"""PyTorch: ``torch.nn.functional``'s own functions, gradients through autograd."""

from __future__ import annotations

import functools
import os
import platform
from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np
import torch
import torch.autograd.forward_ad as fw
import torch.nn.functional as F  # noqa: N812 (PyTorch's own convention)

from . import layouts, source
from .protocol import LAYOUTS, OUTPUTS, Capabilities, Description, Problem, Support, Tensor, UnsupportedProblem

_DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
# Infinity minus infinity in the shift; the derivative of what is computed, for targets of any sum and for ignored
# rows of nll_loss; "ignore_index is only applicable when the target contains class indices" (documentation).
_CONVENTIONS = {
    ("3", "cross_entropy", "vjp"): "Q p - w q'",
    **{("4", op, output): "nan" for op in ("softmax", "log_softmax", "cross_entropy") for output in ("value", "vjp")},
    ("11", "nll_loss", "vjp"): "limit",
    ("14", "cross_entropy", "value"): "error:bad_option|no effect",
    ("14", "cross_entropy", "vjp"): "no effect",
}


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
        # PyTorch has no negative strides.
        offered = tuple(layout for layout in LAYOUTS if layout != "reversed")
        self._capabilities = Capabilities(
            ops=ops, devices=devices, outputs=OUTPUTS, layouts=offered, conventions=_CONVENTIONS, out_dtypes=True
        )

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
        """Value, gradients through ``torch.autograd.grad``, twice where asked, and the JVP through forward AD."""
        dtype, want = _DTYPES[problem.dtype], _offered(problem)
        missing = _missing_kernel(problem.op, dtype, device)
        if missing:
            raise UnsupportedProblem(missing)

        def put(a: Optional[np.ndarray]) -> Any:
            # Labels keep their own type: whether it is accepted is PyTorch's answer.
            return None if a is None else torch.tensor(a, dtype=dtype if a.dtype.kind == "f" else None, device=device)

        x, target, weight, cotangent = (put(a) for a in (problem.x, problem.target, problem.weight, problem.cotangent))
        if problem.out_dtype is not None and problem.cotangent is not None:
            cotangent = torch.tensor(problem.cotangent, dtype=_DTYPES[problem.out_dtype], device=device)
        if problem.layout != "contiguous":
            plans = layouts.of_problem(problem)
            x = layouts.lay(x, plans["x"])
            cotangent = layouts.lay(cotangent, plans["cotangent"]) if "cotangent" in plans else cotangent
        leaves = [x, target] if "grad_target" in want else [x]
        for leaf in leaves if "vjp" in want else []:
            leaf.requires_grad_()
        value = _apply(problem, x, target, weight)
        out = {"value": value}
        if "vjp" in want:
            twice = "hvp" in want or "mixed" in want
            again = "vjp_again" in want
            grads = torch.autograd.grad(value, leaves, cotangent, retain_graph=twice or again, create_graph=twice)
            out.update(zip(("vjp", "grad_target"), grads))
            if again:
                (out["vjp_again"],) = torch.autograd.grad(value, x, cotangent, retain_graph=twice)
            if "hvp" in want:
                out["hvp"] = _again(grads[0], x, put(problem.tangent), keep="mixed" in want)
            if "mixed" in want:
                (out["mixed"],) = torch.autograd.grad(grads[1], x, put(problem.target_tangent))
        if "jvp" in want:
            out["jvp"] = _forward(lambda x: _apply(problem, x, target, weight), x, put(problem.tangent))
        if "jvp_target" in want:
            direction = put(problem.target_tangent)
            out["jvp_target"] = _forward(lambda q: _apply(problem, x.detach(), q, weight), target, direction)
        return {name: _pull(t) for name, t in out.items() if t is not None}

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
        body = []
        for name, a in source.arrays(problem):
            kind = a.dtype.name if a.dtype.kind in "iu" else problem.dtype
            kind = problem.result_dtype if name == "cotangent" else kind
            body.append("%s = torch.tensor(%s, dtype=torch.%s).reshape(%r)" % (name, source.constant(a), kind, a.shape))
        body += [*layouts.torch_source(problem), *_derivatives(problem)]
        body += ['print("%s", %s.tolist())' % (name, name) for name in _offered(problem)]
        imports = ["import torch", "import torch.nn.functional as F"]
        if {"jvp", "jvp_target"} & set(_offered(problem)):
            imports.insert(1, "import torch.autograd.forward_ad as fw")
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


def _offered(p: Problem) -> Tuple[str, ...]:
    """What is wanted, but for JVPs of expanded inputs: a dual number's tangent has the strides of its primal, and
    ``make_dual`` refuses to copy a tangent into entries that share memory."""
    return p.want if p.layout != "expanded" else tuple(name for name in p.want if name != "jvp")


def _apply(p: Problem, x: torch.Tensor, target: Optional[torch.Tensor], weight: Optional[torch.Tensor]) -> torch.Tensor:
    if p.op == "softmax":
        return F.softmax(x, dim=p.axis, dtype=_DTYPES.get(p.out_dtype or ""))
    if p.op == "log_softmax":
        return F.log_softmax(x, dim=p.axis, dtype=_DTYPES.get(p.out_dtype or ""))
    # sanity check: losses have targets
    assert target is not None
    if x.dim() > 2 or p.axis % x.dim() == 0:
        to = min(1, x.dim() - 1)
        x = x.movedim(p.axis, to)
        target = target.movedim(p.axis, to) if p.has_probability_target else target
    ignore = _ignored_label(p)
    if p.op == "nll_loss":
        return F.nll_loss(x, target, weight, ignore_index=ignore, reduction=p.reduction)
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


def _forward(f: Callable[[Any], Any], at: torch.Tensor, direction: torch.Tensor) -> Optional[torch.Tensor]:
    """The JVP through forward AD, or None where a release has no forward rule for one of the operations."""
    try:
        with torch.no_grad(), fw.dual_level():
            return fw.unpack_dual(f(fw.make_dual(at.detach(), direction))).tangent
    except NotImplementedError:
        return None


@functools.lru_cache(maxsize=None)
def _missing_kernel(op: str, dtype: torch.dtype, device: str) -> str:
    """What a release says that has no kernel of an op for a dtype on a device (float16 on the CPU); empty if it has."""
    x = torch.zeros((1, 2), dtype=dtype, device=device, requires_grad=True)
    labels = torch.zeros(1, dtype=torch.int64, device=device)
    try:
        value = (
            getattr(F, op)(x, 1) if op in ("softmax", "log_softmax") else getattr(F, op)(x, labels, reduction="none")
        )
        torch.autograd.grad(value, x, torch.ones_like(value))
    except RuntimeError as error:
        text = str(error)
        if "not implemented for" in text:
            return "no kernel for %s of %s on %s: %s" % (op, _NAMES[dtype], device, text.splitlines()[0])
        raise
    return ""


def _again(gradient: torch.Tensor, x: torch.Tensor, direction: torch.Tensor, *, keep: bool) -> torch.Tensor:
    """The second derivative. A gradient without a graph does not depend on the input (``nll_loss`` is linear), which
    ``torch.autograd.grad`` refuses and ``torch.autograd.functional.hvp`` answers with 0."""
    if not gradient.requires_grad:
        return torch.zeros_like(x)
    return torch.autograd.grad(gradient, x, direction, retain_graph=keep)[0]


def _derivatives(p: Problem) -> List[str]:
    """Every output that is asked for, line by line."""
    want = _offered(p)
    leaves = "[x, target]" if "grad_target" in want else "[x]"
    names = "vjp, grad_target" if "grad_target" in want else "vjp,"
    out = ["for leaf in %s:" % leaves, "    leaf.requires_grad_()"] if "vjp" in want else []
    out.append("value = " + _source(p, "x"))
    if "vjp" in want:
        twice = ", create_graph=True" if "hvp" in want or "mixed" in want else ""
        keep = ", retain_graph=True" if "vjp_again" in want else ""
        out.append("(%s) = torch.autograd.grad(value, %s, cotangent%s%s)" % (names, leaves, keep, twice))
        if "vjp_again" in want:
            keep = ", retain_graph=True" if twice else ""
            out.append("(vjp_again,) = torch.autograd.grad(value, x, cotangent%s)" % keep)
    if "hvp" in want:
        keep = ", retain_graph=True" if "mixed" in want else ""
        if p.op == "nll_loss":
            out.append("hvp = torch.zeros_like(x)  # the gradient has no graph: it does not depend on x")
        else:
            out.append("(hvp,) = torch.autograd.grad(vjp, x, tangent%s)" % keep)
    if "mixed" in want:
        out.append("(mixed,) = torch.autograd.grad(grad_target, x, target_tangent)")
    if "jvp" in want:
        out += ["with torch.no_grad(), fw.dual_level():", "    dual = fw.make_dual(x.detach(), tangent)"]
        out.append("    jvp = fw.unpack_dual(%s).tangent" % _source(p, "dual"))
    if "jvp_target" in want:
        call = _source(p, "x.detach()").replace("target", "dual", 1)
        out += ["with torch.no_grad(), fw.dual_level():", "    dual = fw.make_dual(target.detach(), target_tangent)"]
        out.append("    jvp_target = fw.unpack_dual(%s).tangent" % call)
    return out


def _source(p: Problem, x: str) -> str:
    if not p.is_loss:
        kind = "" if p.out_dtype is None else ", dtype=torch.%s" % p.out_dtype
        return "F.%s(%s, dim=%d%s)" % (p.op, x, p.axis, kind)
    dim = min(1, p.x.ndim - 1)
    move = "" if p.axis % p.x.ndim == dim else ".movedim(%d, %d)" % (p.axis, dim)
    args = [x + move, "target" + (move if p.has_probability_target else "")]
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
