"""The modes of JAX: outputs come op by op, in one program, batched, compiled inside, or masked by ``where=``."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any, Callable, Dict, Sequence, Tuple

import jax
import jax.numpy as jnp
import numpy as np

from . import compose
from .given import Given, batching, value_and_gradients
from .programs import Programs, metered, seen_by_compiler
from .protocol import ARRAYS, DTYPES, Meter, Problem, Tensor, UnsupportedProblem
from .watch import seen

TYPES = {name: jnp.dtype(name) for name in DTYPES}
JAX = compose.Namespace(
    cast=lambda a, dtype: a.astype(TYPES[dtype]),
    to_last=lambda a, axis: a if axis in (-1, a.ndim - 1) else jnp.moveaxis(a, axis, -1),
    softmax=jax.nn.softmax,
    log_softmax=jax.nn.log_softmax,
    one_hot=lambda labels, k: jax.nn.one_hot(labels, k, dtype=bool),
    where=jnp.where,
    sum=lambda a, last: jnp.sum(a, axis=-1 if last else None),
    mean=jnp.mean,
)
Outputs = Dict[str, Any]
# Input, target, and whether masked classes that are not used are selected away.
Value = Callable[[Any, Any, bool], Any]


def placed(p: Problem, device: Any) -> Given:
    """Place the arrays of a problem on a device. Labels keep their own type."""

    def put(name: str) -> Any:
        a = getattr(p, name)
        if a is None:
            return None
        return jax.device_put(a if a.dtype.kind in "iu" else a.astype(TYPES[p.dtype_of_input(name)]), device)

    return seen(Given(*map(put, ARRAYS)), lambda t: np.asarray(t).tobytes())


def pulled(t: Any) -> Tensor:
    """Pull an output back exactly."""
    a = np.asarray(t)
    return Tensor(a.astype(np.float64), a.dtype.name)


def value_of(f: compose.Namespace, p: Problem, weight: Any, v: compose.Values) -> Value:
    """Return the value of a problem as a function of input and target."""
    if p.out_dtype is not None:
        wide, kind = value_of(f, replace(p, dtype=p.out_dtype, out_dtype=None), weight, v), p.out_dtype
        return lambda x, target, select_used: wide(f.cast(x, kind), target, select_used)
    op = _operation(f, p, weight, v)
    if p.scale == 1.0:
        return op
    return lambda x, target, select_used: op(x * p.scale, target, select_used)


def _operation(f: compose.Namespace, p: Problem, weight: Any, v: compose.Values) -> Value:
    if p.op in ("softmax", "log_softmax"):
        rows = f.softmax if p.op == "softmax" else f.log_softmax
        return lambda x, target, select_used: rows(x) if p.omit else rows(x, p.axis)
    return lambda x, target, select_used: compose.loss(f, p, x, target, weight, v, select_used=select_used)


def derive(f: Value, g: Given, want: Sequence[str]) -> Outputs:
    """Compute the value, gradients by ``jax.vjp`` (nested for second derivatives), directions by ``jax.jvp``."""

    def of_x(x: Any) -> Any:
        return f(x, g.target, True)

    def of_target(x: Any, q: Any) -> Any:
        return f(x, q, False)

    def target_gradient(x: Any) -> Any:
        return jax.vjp(lambda q: of_target(x, q), g.target)[1](g.cotangent)[0]

    out = value_and_gradients(jax.vjp, of_x, g, want)
    if "jvp" in want:
        _, out["jvp"] = jax.jvp(of_x, (g.x,), (g.tangent,))
    if "hvp" in want:
        _, out["hvp"] = jax.jvp(lambda x: jax.vjp(of_x, x)[1](g.cotangent)[0], (g.x,), (g.tangent,))
    if "mixed" in want:
        out["grad_target"], pull_back = jax.vjp(target_gradient, g.x)
        (out["mixed"],) = pull_back(g.target_tangent)
    elif "grad_target" in want:
        out["grad_target"] = target_gradient(g.x)
    if "jvp_target" in want:
        _, out["jvp_target"] = jax.jvp(lambda q: of_target(g.x, q), (g.target,), (g.target_tangent,))
    return out


def batched(p: Problem, g: Given, v: compose.Values, want: Sequence[str]) -> Outputs:
    """Compute what ``derive`` does under ``jax.vmap``."""
    batch = batching(p)
    f = value_of(JAX, batch.inside, g.weight, v)

    def row(*tensors: Any) -> Tuple[Any, ...]:
        given = replace(g, **dict(zip(names, tensors)))
        return tuple(derive(f, given, want)[name] for name in want)

    if batch.rows is None:
        names = ["x"]
        both = jax.vmap(row)(jnp.stack([g.x, jnp.flip(g.x, p.axis)]))
        return {name: t[0] for name, t in zip(want, both)}
    places = batch.in_dims(p)
    names = list(places)
    results = jax.vmap(row, tuple(places.values()), batch.out_dims(p, want))(*(getattr(g, name) for name in names))
    return dict(zip(want, results))


def masked(p: Problem, g: Given) -> Tuple[Value, Given]:
    """Return an op with classes left out by ``where=`` in place of a logit of -inf, and what is given to it.

    The logits that are left out hold a number larger than the others, which must not matter.
    """
    left = p.x != -np.inf
    broken = (left & ~np.isfinite(p.x)).any(axis=p.axis)
    undefined = ~left.any(axis=p.axis) | (broken & ~left.all(axis=p.axis))
    if undefined.any():
        raise UnsupportedProblem("what where= leaves out is 0 or -inf in JAX, also in a row that has no result")
    initial = {"initial": -jnp.inf} if asks_for_initial() else {}
    where = jnp.asarray(left)
    f = replace(
        JAX,
        softmax=lambda a, axis=-1: jax.nn.softmax(a, axis, where=where, **initial),
        log_softmax=lambda a, axis=-1: jax.nn.log_softmax(a, axis, where=where, **initial),
    )
    filled = jnp.where(where, g.x, jnp.finfo(g.x.dtype).max)
    return value_of(f, p, g.weight, compose.values(p)), replace(g, x=filled)


def outputs_of_masked(p: Problem) -> Tuple[str, ...]:
    """Return what is computed of classes that are left out.

    The derivatives of log_softmax are others than those at a logit of -inf: the logarithm of a class that is left out
    does not depend on anything.
    """
    offered = ("value", "vjp", "jvp") if p.op == "softmax" else ("value",)
    return tuple(name for name in p.want if name in offered)


def asks_for_initial() -> bool:
    """Tell whether ``where=`` needs the value that the maximum starts from.

    It does in older releases, where its default is None; newer ones have the argument only to say that it is gone.
    """
    initial = inspect.signature(jax.nn.softmax).parameters.get("initial")
    return initial is not None and initial.default is None


class Modes:
    """The evaluation of problems in each mode, with the compiled programs that are kept for it."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._programs = Programs()

    def evaluate(self, p: Problem, g: Given, mode: str) -> Outputs:
        """Compute every output that is wanted."""
        want = p.want
        if mode == "where":
            return derive(*masked(p, g), outputs_of_masked(p))
        if mode == "eager":
            return derive(value_of(JAX, p, g.weight, compose.values(p)), g, want)
        make = {"jit": _whole, "vmap": _batched, "grad-of-jit": _inside}[mode]
        with metered(self._meter, lambda: self._programs.made):
            program = self._programs.get((mode, seen_by_compiler(p)), lambda: make(p))
            return jax.block_until_ready(program(g, numbers(p)))


def numbers(p: Problem) -> Tuple[Any, Any, Any]:
    """Return the values of options as arguments of a program, of the dtype that a number would have in it."""
    v, kind = compose.values(p), np.dtype(compose.wide(p.result_dtype))
    return kind.type(v.keep), kind.type(v.share), np.int64(v.ignore or 0)


Program = Callable[[Given, Tuple[Any, Any, Any]], Outputs]


def _whole(p: Problem) -> Program:
    return _compiled(lambda g, v: derive(value_of(JAX, p, g.weight, v), g, p.want))


def _batched(p: Problem) -> Program:
    return _compiled(lambda g, v: batched(p, g, v, p.want))


def _compiled(f: Callable[[Given, compose.Values], Outputs]) -> Program:
    """Compile everything into one program."""

    def program(tensors: Tuple[Any, ...], numbers: Tuple[Any, Any, Any]) -> Outputs:
        return f(Given(*tensors), compose.Values(*numbers))

    compiled = jax.jit(program)
    return lambda g, numbers: compiled(tuple(getattr(g, name) for name in ARRAYS), numbers)


def _inside(p: Problem) -> Program:
    """Compile the value alone; derivatives of the compiled function are taken outside."""

    def value(x: Any, target: Any, weight: Any, numbers: Tuple[Any, Any, Any], select_used: bool) -> Any:
        return value_of(JAX, p, weight, compose.Values(*numbers))(x, target, select_used)

    inner = jax.jit(value, static_argnums=4)

    def program(g: Given, numbers: Tuple[Any, Any, Any]) -> Outputs:
        return derive(lambda x, target, used: inner(x, target, g.weight, numbers, used), g, p.want)

    return program
