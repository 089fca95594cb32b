"""Programs of JAX alone: a problem, on a device, in a mode."""

from __future__ import annotations

from dataclasses import replace
from typing import Iterator, List, Sequence, Tuple

from . import compose, source
from .given import batching
from .jax_modes import asks_for_initial, numbers, outputs_of_masked, value_of
from .protocol import Problem

PRINT = 'print("%s", jax.device_get(%s).astype(float).tolist())'
_SAID = {
    "jit": " In one compiled program.",
    "vmap": " Batched by jax.vmap, in one compiled program.",
    "grad-of-jit": " Derivatives of a compiled function.",
    "where": " Classes left out by where=, in place of a logit of -inf.",
}


def script(p: Problem, device: str, mode: str) -> str:
    """Write the whole program; it prints every output."""
    body = list(tensors(p))
    given = [name for name, _ in source.arrays(p)]
    want = p.want if mode != "where" else outputs_of_masked(p)
    lines = _LINES[mode](p, given)
    if mode != "eager" and p.is_loss:
        keep, share, ignore = numbers(p)
        kind = keep.dtype.name
        written = {"keep": "np.%s(%r)" % (kind, float(keep)), "share": "np.%s(%r)" % (kind, float(share))}
        written["ignore"] = "np.int64(%d)" % ignore
        more = source.named(list(written), lines)
        body += ["%s = %s" % (name, written[name]) for name in more]
        lines = _LINES[mode](p, [*given, *more])
    body += ["", *lines]
    body += [PRINT % (name, name) for name in want]
    body.append(source.version("jax", "jax"))
    imports = ["import jax, jax.numpy as jnp"]
    if any("np." in line.replace("jnp.", "") for line in body):
        imports.append("import numpy as np")
    imports.append('jax.config.update("jax_enable_x64", True)')
    if device != "cpu":
        kind, _, index = device.partition(":")
        imports.append('jax.config.update("jax_default_device", jax.devices("%s")[%d])' % (kind, int(index or 0)))
    return source.program(source.title(p, "jax") + _SAID.get(mode, ""), imports, body)


def tensors(p: Problem) -> Iterator[str]:
    """Write the lines that set the arrays of a problem as arrays of JAX."""
    for name, a, entries in source.constants(p):
        kind = a.dtype.name if a.dtype.kind in "iu" else p.dtype_of_input(name)
        yield "%s = jnp.array(%s, jnp.%s).reshape(%r)" % (name, entries, kind, a.shape)


def _eager(p: Problem, given: Sequence[str]) -> List[str]:
    return _lines(p, p, compose.values(p))


def _jit(p: Problem, given: Sequence[str]) -> List[str]:
    return _program(p, given, [*_lines(p, p, _SYMBOLS), "return %s," % ", ".join(p.want)])


def _vmap(p: Problem, given: Sequence[str]) -> List[str]:
    batch = batching(p)
    inside = _indented([*_lines(p, batch.inside, _SYMBOLS), "return %s," % ", ".join(p.want)])
    if batch.rows is None:
        mapped = "jax.vmap(row)(jnp.stack([x, jnp.flip(x, %d)]))" % p.axis
        return _program(p, given, ["def row(x):", *inside, "", "return tuple(t[0] for t in %s)" % mapped])
    places = batch.in_dims(p)
    names = ", ".join(places)
    mapped = "return jax.vmap(row, %r, %r)(%s)" % (tuple(places.values()), batch.out_dims(p, p.want), names)
    return _program(p, given, ["def row(%s):" % names, *inside, "", mapped])


def _grad_of_jit(p: Problem, given: Sequence[str]) -> List[str]:
    named = ", ".join(name for name in given if name in ("x", "target", "weight", "keep", "share", "ignore"))
    out = []
    for name, arguments, select_used in _functions(p):
        out += ["@jax.jit", *_function("compiled_" + name, named, p, _SYMBOLS, select_used=select_used), ""]
        out += ["def %s(%s):" % (name, arguments), "    return compiled_%s(%s)" % (name, named), "", ""]
    return [*out, *uses(p.want)]


def _where(p: Problem, given: Sequence[str]) -> List[str]:
    initial = ", initial=-jnp.inf" if asks_for_initial() else ""
    out = ["where = x != -jnp.inf", "x = jnp.where(where, x, jnp.finfo(x.dtype).max)", "def f(x):"]
    scaled = "x" if p.scale == 1.0 else "x * %r" % p.scale
    out += ["    return jax.nn.%s(%s, %d, where=where%s)" % (p.op, scaled, p.axis, initial), "", ""]
    computed = p if p.op == "softmax" else replace(p, cotangent=None, tangent=None)
    return [*out, *uses(replace(computed, repeat_backward=False).want)]


def _program(p: Problem, given: Sequence[str], lines: Sequence[str]) -> List[str]:
    names = ", ".join(given)
    head = ["def program(%s):" % names, *_indented(lines), "", ""]
    return [*head, "%s, = jax.jit(program)(%s)" % (", ".join(p.want), names)]


def _indented(lines: Sequence[str]) -> List[str]:
    return ["    " + line if line else line for line in lines]


_SYMBOLS = compose.Values(*(source.Symbol(name) for name in ("keep", "share", "ignore")))
_LINES = {"eager": _eager, "jit": _jit, "vmap": _vmap, "grad-of-jit": _grad_of_jit, "where": _where}


def _lines(p: Problem, inside: Problem, v: compose.Values) -> List[str]:
    """Write the functions that are needed, and every output that is wanted of ``p``; values are those of ``inside``."""
    out = []
    for name, arguments, select_used in _functions(p):
        out += _function(name, arguments, inside, v, select_used=select_used)
    return [*out, *uses(p.want)]


def _functions(p: Problem) -> Iterator[Tuple[str, str, bool]]:
    yield "f", "x", True
    if {"grad_target", "jvp_target"} & set(p.want):
        yield "of_target", "x, target", False


def _function(name: str, arguments: str, p: Problem, v: compose.Values, *, select_used: bool = True) -> List[str]:
    trace = source.Trace()
    x, target, weight = (source.Symbol(name) for name in ("x", "target", "weight"))
    result = value_of(_traced(trace), p, weight, v)(x, target, select_used)
    return ["def %s(%s):" % (name, arguments), *("    " + line for line in trace.returning(result)), ""]


def uses(want: Sequence[str]) -> List[str]:
    """Write the calls that compute every output of ``f``, a function of the input, and ``of_target``, one of both."""
    out = ["value = f(x)"]
    if "vjp" in want:
        out = ["value, pull_back = jax.vjp(f, x)", "vjp, = pull_back(cotangent)"]
    if "vjp_again" in want:
        out.append("vjp_again, = pull_back(cotangent)")
    if "jvp" in want:
        out.append("_, jvp = jax.jvp(f, (x,), (tangent,))")
    if "hvp" in want:
        out.append("_, hvp = jax.jvp(lambda x: jax.vjp(f, x)[1](cotangent)[0], (x,), (tangent,))")
    inner = "jax.vjp(lambda q: of_target(x, q), target)[1](cotangent)[0]"
    if "mixed" in want:
        out.append("grad_target, pull_back = jax.vjp(lambda x: %s, x)" % inner)
        out.append("mixed, = pull_back(target_tangent)")
    elif "grad_target" in want:
        out.append("grad_target = %s" % inner)
    if "jvp_target" in want:
        out.append("_, jvp_target = jax.jvp(lambda q: of_target(x, q), (target,), (target_tangent,))")
    return out


def _traced(trace: source.Trace) -> compose.Namespace:
    return compose.Namespace(
        cast=lambda a, dtype: trace.emit("%s.astype(jnp.%s)", a, dtype),
        to_last=lambda a, axis: a if axis == -1 else trace.emit("jnp.moveaxis(%s, %s, -1)", a, axis),
        softmax=trace.along("jax.nn.softmax"),
        log_softmax=trace.along("jax.nn.log_softmax"),
        one_hot=lambda labels, k: trace.emit("jax.nn.one_hot(%s, %s, dtype=bool)", labels, k),
        where=lambda c, a, b: trace.emit("jnp.where(%s, %s, %s)", c, a, b),
        sum=lambda a, last: trace.emit("jnp.sum(%s, axis=%s)", a, -1 if last else None),
        mean=lambda a: trace.emit("jnp.mean(%s)", a),
    )
