"""The modes of PyTorch: an output is computed through autograd, through ``torch.func``, or batched.

A driver takes the value as a function of input and target, the tensors of a problem, and the names of what is wanted.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Dict, Sequence, Tuple

import torch
import torch.autograd.forward_ad as fw

from .given import Given, batching, value_and_gradients
from .protocol import Problem

Value = Callable[[Any, Any], Any]
Outputs = Dict[str, Any]


def backward(f: Value, g: Given, want: Sequence[str], *, differentiable: bool = False) -> Outputs:
    """Compute value, gradients and second derivatives through ``torch.autograd.grad``.

    ``differentiable`` asks for gradients that have a graph also where nothing is derived from them.
    """
    leaves = (g.x, g.target) if "grad_target" in want else (g.x,)
    for leaf in leaves if "vjp" in want else ():
        leaf.requires_grad_()
    value = f(g.x, g.target)
    out = {"value": value} if "value" in want else {}
    if "vjp" not in want:
        return out
    twice = differentiable or "hvp" in want or "mixed" in want
    again = "vjp_again" in want
    grads = torch.autograd.grad(value, leaves, g.cotangent, retain_graph=twice or again, create_graph=twice)
    out.update(zip(("vjp", "grad_target"), grads))
    if again:
        (out["vjp_again"],) = torch.autograd.grad(
            value, g.x, g.cotangent, retain_graph=twice, create_graph=differentiable
        )
    if "hvp" in want:
        out["hvp"] = _second(grads[0], g.x, g.tangent, keep="mixed" in want)
    if "mixed" in want:
        (out["mixed"],) = torch.autograd.grad(grads[1], g.x, g.target_tangent)
    return out


def _second(gradient: Any, x: Any, direction: Any, *, keep: bool) -> Any:
    """Compute the second derivative in a direction.

    A gradient without a graph does not depend on the input (``nll_loss`` is linear), which ``torch.autograd.grad``
    refuses and ``torch.autograd.functional.hvp`` answers with 0.
    """
    if not gradient.requires_grad:
        return torch.zeros_like(x)
    return torch.autograd.grad(gradient, x, direction, retain_graph=keep)[0]


def forward_ad(f: Value, g: Given, want: Sequence[str]) -> Outputs:
    """Compute directional derivatives by dual numbers; none where a release has no forward rule for an operation."""
    out = {}
    if "jvp" in want:
        out["jvp"] = _dual(lambda x: f(x, g.target), g.x, g.tangent)
    if "jvp_target" in want:
        x = g.x.detach()
        out["jvp_target"] = _dual(lambda q: f(x, q), g.target, g.target_tangent)
    return {name: t for name, t in out.items() if t is not None}


def _dual(f: Callable[[Any], Any], at: Any, direction: Any) -> Any:
    try:
        with torch.no_grad(), fw.dual_level():
            return fw.unpack_dual(f(fw.make_dual(at.detach(), direction))).tangent
    except NotImplementedError:
        return None


def double_backward(f: Value, g: Given, want: Sequence[str]) -> Outputs:
    """Compute every gradient with a graph; directional derivatives are gradients of gradients in their cotangents."""
    out = backward(f, g, want, differentiable=True)
    for name, leaf, direction in (("jvp", g.x, g.tangent), ("jvp_target", g.target, g.target_tangent)):
        if name in want:
            leaf = leaf.detach().requires_grad_()
            value = f(leaf, g.target) if name == "jvp" else f(g.x.detach(), leaf)
            cotangent = torch.ones_like(value, requires_grad=True)
            (gradient,) = torch.autograd.grad(value, leaf, cotangent, create_graph=True)
            (out[name],) = torch.autograd.grad(gradient, cotangent, direction)
    return out


def reverse_over_forward(f: Value, g: Given, want: Sequence[str]) -> Outputs:
    """Compute second derivatives as gradients of directional derivatives, what forward mode gives inside reverse mode.

    What raises is the answer of the second derivative alone.
    """
    out = backward(f, g, [name for name in want if name in ("value", "vjp")])
    if "hvp" in want:
        x = g.x.detach().requires_grad_()
        try:
            with fw.dual_level():
                slope = fw.unpack_dual(f(fw.make_dual(x, g.tangent), g.target)).tangent
                out["hvp"] = _second(slope, x, g.cotangent, keep=False)
        except RuntimeError as error:
            out["hvp"] = error
    return out


def functional(f: Value, g: Given, want: Sequence[str]) -> Outputs:
    """Compute everything by ``torch.func``: reverse mode, forward mode, forward over reverse, reverse over reverse."""
    from torch.func import jvp, vjp

    def of_x(x: Any) -> Any:
        return f(x, g.target)

    def of_target(q: Any) -> Any:
        return f(g.x, q)

    out = value_and_gradients(vjp, of_x, g, want)
    if "jvp" in want:
        out["jvp"] = jvp(of_x, (g.x,), (g.tangent,))[1]
    if "hvp" in want:
        out["hvp"] = jvp(lambda x: vjp(of_x, x)[1](g.cotangent)[0], (g.x,), (g.tangent,))[1]
    if "grad_target" in want:
        (out["grad_target"],) = vjp(of_target, g.target)[1](g.cotangent)
    if "mixed" in want:
        pull_back = vjp(lambda x: vjp(lambda q: f(x, q), g.target)[1](g.cotangent)[0], g.x)[1]
        (out["mixed"],) = pull_back(g.target_tangent)
    if "jvp_target" in want:
        out["jvp_target"] = jvp(of_target, (g.target,), (g.target_tangent,))[1]
    return out


def batched(value_of: Callable[[Problem], Value], p: Problem, g: Given, want: Sequence[str]) -> Outputs:
    """Compute what ``functional`` does under ``torch.func.vmap``."""
    batch = batching(p)
    f = value_of(batch.inside)
    if batch.rows is None:
        pair = torch.stack([g.x, g.x.flip(p.axis)])
        both = torch.func.vmap(lambda x: _in_order(functional(f, replace(g, x=x), want), want))(pair)
        return dict(zip(want, (t[0] for t in both)))
    places = batch.in_dims(p)

    def row(*tensors: Any) -> Tuple[Any, ...]:
        return _in_order(functional(f, Given(weight=g.weight, **dict(zip(places, tensors))), want), want)

    mapped = torch.func.vmap(row, tuple(places.values()), batch.out_dims(p, want))
    results = mapped(*(getattr(g, name) for name in places))
    return dict(zip(want, results))


def _in_order(out: Outputs, want: Sequence[str]) -> Tuple[Any, ...]:
    return tuple(out[name] for name in want)
