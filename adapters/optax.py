"""optax: all of its cross-entropies, compiled by ``jax.jit``, differentiated by JAX.

The mode ``jit`` takes labels to ``softmax_cross_entropy_with_integer_labels`` and probabilities to
``softmax_cross_entropy``; ``safe`` is ``safe_softmax_cross_entropy``, ``poly`` ``poly_loss_cross_entropy`` without its
polynomial term. In ``where`` the classes with a logit of -inf are left out by ``where=``; in ``axes`` the classes lie
on two axes.
"""

from __future__ import annotations

import numpy as np

from .program_adapter import ProgramAdapter, jitted
from .protocol import Capabilities, Problem, Support, UnsupportedProblem

_OF_PROBABILITIES = {"safe": "safe_softmax_cross_entropy", "poly": "poly_loss_cross_entropy"}
_REDUCED = {"none": "%s", "mean": "jnp.mean(%s)", "sum": "jnp.sum(%s)"}


def _loss(p: Problem, mode: str) -> str:
    """Write the call. Raises UnsupportedProblem for what optax has no option for, and ValueError for no reduction."""
    axis, k = p.axis % p.x.ndim, p.x.shape[p.axis]
    if p.weight is not None or p.ignore_index is not None:
        raise UnsupportedProblem("optax's cross-entropies have no class weights and ignore no label")
    if p.reduction not in _REDUCED:
        raise ValueError("unknown reduction %r" % p.reduction)
    x, target = "x", "target"
    labels = not p.has_probability_target
    if p.label_smoothing:
        if labels or axis != p.x.ndim - 1:
            raise UnsupportedProblem("optax.smooth_labels takes probabilities with the classes on the last axis only")
        target = "optax.smooth_labels(target, %r)" % p.label_smoothing
    name = (
        "softmax_cross_entropy_with_integer_labels" if labels else _OF_PROBABILITIES.get(mode, "softmax_cross_entropy")
    )
    options = "axis=%d" % axis
    if mode == "poly":
        options += ", epsilon=0.0"
    if mode == "safe":
        if axis != p.x.ndim - 1:
            raise UnsupportedProblem("optax.losses.safe_softmax_cross_entropy takes classes on the last axis only")
        options = ""
    if mode == "axes":
        shape = (*p.x.shape[:axis], *((k // 2, 2) if k % 2 == 0 else (k, 1)), *p.x.shape[axis + 1 :])
        x, options = "x.reshape(%r)" % (shape,), "axis=(%d, %d)" % (axis, axis + 1)
        target = target if labels else "(%s).reshape(%r)" % (target, shape)
    if mode == "where":
        _check_left_out(p)
        x, options = "jnp.where(x == -jnp.inf, jnp.finfo(x.dtype).max, x)", options + ", where=x != -jnp.inf"
    return _REDUCED[p.reduction] % "optax.losses.%s(%s)" % (name, ", ".join(filter(None, (x, target, options))))


def _check_left_out(p: Problem) -> None:
    """Raise UnsupportedProblem where leaving classes out means another result than a logit of -inf."""
    left = p.x != -np.inf
    if not left.any(axis=p.axis).all() or not np.isfinite(p.x[left]).all():
        raise UnsupportedProblem("what where= leaves out is nothing, also in a row that has no result")
    if p.label_smoothing and not left.all():
        raise UnsupportedProblem("what where= leaves out has no share of the smoothing")
    # sanity check: a loss has a target
    assert p.target is not None
    if p.has_probability_target:
        used = p.target != 0.0
    else:
        used = np.moveaxis(p.target[..., None] == np.arange(p.x.shape[p.axis]), -1, p.axis)
    if (used & ~left).any():
        raise UnsupportedProblem("a class with a share of the loss is left out by where=")


ADAPTER = ProgramAdapter(
    "optax",
    Capabilities(
        ops={"cross_entropy": Support("native")},
        modes=("jit", "safe", "poly", "where", "axes"),
        wraps_negative_labels=True,
        compile_cost="cheap",
        by_mode={mode: {"ops": {"cross_entropy": Support("native", ("probability",))}} for mode in _OF_PROBABILITIES},
    ),
    imports=(
        "import jax",
        "import jax.numpy as jnp",
        "import optax",
        'jax.config.update("jax_enable_x64", True)',
    ),
    functions={"cross_entropy": _loss},
    derivatives={
        "vjp": "value, pull_back = jax.vjp(f, x)\nvjp, = pull_back(cotangent)",
        "jvp": "_, jvp = jax.jvp(f, (x,), (tangent,))",
        "hvp": "_, hvp = jax.jvp(lambda x: jax.vjp(f, x)[1](cotangent)[0], (x,), (tangent,))",
        "grad_target": "grad_target, = jax.vjp(lambda q: of_target(x, q), target)[1](cotangent)",
        "mixed": "mixed, = jax.vjp(lambda x: jax.vjp(lambda q: of_target(x, q), target)[1](cotangent)[0], x)[1]"
        "(target_tangent)",
        "jvp_target": "_, jvp_target = jax.jvp(lambda q: of_target(x, q), (target,), (target_tangent,))",
    },
    put="jnp.asarray({a})",
    packages=("optax", "jax", "jaxlib"),
    compiled=jitted("jax.jit"),
)
