"""Programs of PyTorch alone: a problem, on a device, in a mode."""

from __future__ import annotations

from dataclasses import replace
from typing import Callable, Dict, Iterator, List, Sequence

from . import layouts, source, torch_kernels
from .given import batching, ignored_label
from .protocol import Problem


def script(p: Problem, device: str, mode: str, want: Sequence[str]) -> str:
    """Write the whole program; it prints every output."""
    body = [*tensors(p, device), *layouts.torch_source(p), "", *_MODES[mode](p, want)]
    body += ['print("%s", %s.tolist())' % (name, name) for name in want]
    body.append(source.version("torch", "torch"))
    return source.program(source.title(p, "torch") + _SAID.get(mode, ""), imports(body), body)


def imports(body: Sequence[str]) -> List[str]:
    """Write the imports that the lines need."""
    out = ["import torch"]
    if any("F." in line for line in body):
        out.append("import torch.nn.functional as F")
    if any("fw." in line for line in body):
        out.insert(1, "import torch.autograd.forward_ad as fw")
    if any("func." in line for line in body):
        out.append("from torch import func")
    return out


def tensors(p: Problem, device: str) -> Iterator[str]:
    """Write the lines that set the arrays of a problem as tensors."""
    place = "" if device == "cpu" else ', device="%s"' % device
    for name, a, entries in source.constants(p):
        kind = a.dtype.name if a.dtype.kind in "iu" else p.dtype_of_input(name)
        text = "%s = torch.tensor(%s, dtype=torch.%s%s).reshape(%r)"
        yield text % (name, entries, kind, place, a.shape)


_SAID = {
    "compile": " Compiled for these shapes.",
    "dynamic": " Compiled for all shapes.",
    "vmap": " Batched by torch.func.vmap.",
    "functional": " Through torch.func.",
    "kernels": " The kernels themselves, their results laid out as the input.",
    "double-backward": " Gradients that can be differentiated again.",
    "tf32": " TF32 allowed.",
    "deterministic": " Deterministic algorithms.",
    "autocast": " Under autocast.",
    "reverse-over-forward": " Second derivatives by reverse mode over forward mode.",
}


def _function(p: Problem) -> List[str]:
    scaled = [] if p.scale == 1.0 else ["    x = x * %r" % p.scale]
    head = "def f(x, target):" if p.is_loss else "def f(x, target=None):"
    return [head, *scaled, "    return %s" % call(p), "", ""]


def call(p: Problem) -> str:
    """Write the expression of a value: the call of PyTorch's function."""
    if not p.is_loss:
        kind = "" if p.out_dtype is None else ", dtype=torch.%s" % p.out_dtype
        return "F.%s(x, dim=%d%s)" % (p.op, p.axis, kind)
    dim = min(1, p.x.ndim - 1)
    move = "" if p.axis % p.x.ndim == dim else ".movedim(%d, %d)" % (p.axis, dim)
    kind = "" if p.out_dtype is None else ".to(torch.%s)" % p.out_dtype
    args = ["x" + kind + move, "target" + (move if p.has_probability_target else "")]
    if p.weight is not None:
        args.append("weight=weight")
    if p.omit:
        return "F.%s(%s)" % (p.op, ", ".join(args))
    args.append("ignore_index=%d" % ignored_label(p))
    args.append('reduction="%s"' % p.reduction)
    if p.op == "cross_entropy":
        args.append("label_smoothing=%r" % p.label_smoothing)
    return "F.%s(%s)" % (p.op, ", ".join(args))


def _given(p: Problem) -> str:
    return "x, target" if p.is_loss else "x"


def _backward(p: Problem, want: Sequence[str], *, graph: bool = False) -> List[str]:
    leaves = "[x, target]" if "grad_target" in want else "[x]"
    names = "vjp, grad_target" if "grad_target" in want else "vjp,"
    out = ["for leaf in %s:" % leaves, "    leaf.requires_grad_()"] if "vjp" in want else []
    out.append("value = f(%s)" % _given(p))
    if "vjp" in want:
        twice = ", create_graph=True" if graph or "hvp" in want or "mixed" in want else ""
        keep = ", retain_graph=True" if "vjp_again" in want else ""
        out.append("(%s) = torch.autograd.grad(value, %s, cotangent%s%s)" % (names, leaves, keep, twice))
        if "vjp_again" in want:
            keep = (", retain_graph=True" if twice else "") + (", create_graph=True" if graph else "")
            out.append("(vjp_again,) = torch.autograd.grad(value, x, cotangent%s)" % keep)
    if "hvp" in want:
        keep = ", retain_graph=True" if "mixed" in want else ""
        if p.op == "nll_loss":
            out.append("hvp = torch.zeros_like(x)  # the gradient has no graph: it does not depend on x")
        else:
            out.append("(hvp,) = torch.autograd.grad(vjp, x, tangent%s)" % keep)
    if "mixed" in want:
        out.append("(mixed,) = torch.autograd.grad(grad_target, x, target_tangent)")
    return out


_DIRECTIONS = {"jvp": ("x", "tangent"), "jvp_target": ("target", "target_tangent")}


def _eager(p: Problem, want: Sequence[str]) -> List[str]:
    return [*_function(p), *uses(p, want)]


def uses(p: Problem, want: Sequence[str]) -> List[str]:
    """Write the calls that compute every output of ``f``, through autograd and dual numbers."""
    out = _backward(p, want)
    for name, (leaf, direction) in _DIRECTIONS.items():
        if name in want:
            given = _given(p).replace("x", "x.detach()") if leaf == "target" else _given(p)
            out.append("with torch.no_grad(), fw.dual_level():")
            out.append("    dual = fw.make_dual(%s.detach(), %s)" % (leaf, direction))
            out.append("    %s = fw.unpack_dual(f(%s)).tangent" % (name, _swapped(given, leaf)))
    return out


def _swapped(given: str, leaf: str, other: str = "dual") -> str:
    return ", ".join(other if part == leaf else part for part in given.split(", "))


def _double_backward(p: Problem, want: Sequence[str]) -> List[str]:
    out = [*_function(p), *_backward(p, want, graph=True)]
    for name, (leaf, direction) in _DIRECTIONS.items():
        if name in want:
            out.append("leaf = %s.detach().requires_grad_()" % leaf)
            out.append("value_again = f(%s)" % _swapped(_given(p), leaf, "leaf"))
            out.append("u = torch.ones_like(value_again, requires_grad=True)")
            out.append("(slope,) = torch.autograd.grad(value_again, leaf, u, create_graph=True)")
            out.append("(%s,) = torch.autograd.grad(slope, u, %s)" % (name, direction))
    return out


def _compiled(dynamic: bool) -> Callable[[Problem, Sequence[str]], List[str]]:
    def lines(p: Problem, want: Sequence[str]) -> List[str]:
        how = "f = torch.compile(f, fullgraph=True, dynamic=%s)" % dynamic
        return [*_function(p), how, *_backward(p, want)]

    return lines


def _functional(p: Problem, want: Sequence[str]) -> List[str]:
    return [*_function(p), *_transforms(p, want, _given(p))]


def _transforms(p: Problem, want: Sequence[str], given: str) -> List[str]:
    """Write ``torch.func`` applied to ``f``; what is named like a transformation ends in an underscore."""
    of_x = "lambda x: f(%s)" % given
    out = ["value = f(%s)" % given]
    if "vjp" in want:
        out = ["value, pull_back = func.vjp(%s, x)" % of_x, "(vjp,) = pull_back(cotangent)"]
    if "vjp_again" in want:
        out.append("(vjp_again,) = pull_back(cotangent)")
    if "jvp" in want:
        out.append("_, jvp = func.jvp(%s, (x,), (tangent,))" % of_x)
    if "hvp" in want:
        out.append("_, hvp = func.jvp(lambda x: func.vjp(%s, x)[1](cotangent)[0], (x,), (tangent,))" % of_x)
    inner = "func.vjp(lambda target: f(x, target), target)[1](cotangent)[0]"
    if "grad_target" in want:
        out.append("grad_target = %s" % inner)
    if "mixed" in want:
        out.append("(mixed,) = func.vjp(lambda x: %s, x)[1](target_tangent)" % inner)
    if "jvp_target" in want:
        out.append("_, jvp_target = func.jvp(lambda target: f(x, target), (target,), (target_tangent,))")
    return out


def _vmap(p: Problem, want: Sequence[str]) -> List[str]:
    batch = batching(p)
    places = {"x": 0} if batch.rows is None else batch.in_dims(p)
    names, result = ", ".join(places), ", ".join(want) + ","
    out = [*_function(batch.inside), "def row(%s):" % names]
    out += ["    " + line for line in _transforms(p, want, _given(p))]
    out += ["    return %s" % result, "", ""]
    if batch.rows is None:
        out.append("both = func.vmap(row)(torch.stack([x, x.flip(%d)]))" % p.axis)
        return [*out, "%s = (t[0] for t in both)" % result]
    mapped = "func.vmap(row, %r, %r)(%s)" % (tuple(places.values()), batch.out_dims(p, want), names)
    return [*out, "%s = %s" % (result, mapped)]


def _tf32(p: Problem, want: Sequence[str]) -> List[str]:
    return ["torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True", *_eager(p, want)]


def _deterministic(p: Problem, want: Sequence[str]) -> List[str]:
    return ["torch.use_deterministic_algorithms(True)", *_eager(p, want)]


def _autocast(p: Problem, want: Sequence[str]) -> List[str]:
    narrow = p.dtype if p.dtype in ("bfloat16", "float16") else "bfloat16"
    body = _eager(replace(p, out_dtype=None), want)
    return ["with torch.autocast(x.device.type, dtype=torch.%s):" % narrow, *("    " + line for line in body if line)]


def _reverse_over_forward(p: Problem, want: Sequence[str]) -> List[str]:
    out = [*_function(p), *_backward(p, [name for name in want if name != "hvp"])]
    if "hvp" in want:
        out += ["x = x.detach().requires_grad_()", "with fw.dual_level():"]
        out.append("    slope = fw.unpack_dual(f(%s)).tangent" % _swapped(_given(p), "x", "fw.make_dual(x, tangent)"))
        if p.op == "nll_loss":
            out.append("    hvp = torch.zeros_like(x)  # the slope does not depend on x")
        else:
            out.append("    (hvp,) = torch.autograd.grad(slope, x, cotangent)")
    return out


_MODES: Dict[str, Callable[[Problem, Sequence[str]], List[str]]] = {
    "eager": _eager,
    "compile": _compiled(False),
    "dynamic": _compiled(True),
    "vmap": _vmap,
    "functional": _functional,
    "double-backward": _double_backward,
    "kernels": torch_kernels.source,
    "tf32": _tf32,
    "deterministic": _deterministic,
    "autocast": _autocast,
    "reverse-over-forward": _reverse_over_forward,
}
