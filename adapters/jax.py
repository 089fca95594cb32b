"""JAX: ``jax.nn.softmax`` and ``jax.nn.log_softmax``, losses composed over ``jax.numpy``, gradients by ``jax.vjp``."""

from __future__ import annotations

import os
import platform
from typing import Any, Dict, List

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np

from . import compose, source
from .protocol import DTYPES, OUTPUTS, Capabilities, Description, Problem, Support, Tensor

jax.config.update("jax_enable_x64", True)

_DTYPES = {name: jnp.dtype(name) for name in DTYPES}
# Infinity minus infinity in the shift; JAX differentiates what is computed; the composition has no ignore_index for
# probabilities.
_CONVENTIONS = {
    ("3", "cross_entropy", "vjp"): "Q p - w q'",
    **{("4", op, output): "nan" for op in ("softmax", "log_softmax", "cross_entropy") for output in ("value", "vjp")},
    ("11", "nll_loss", "vjp"): "limit",
    **{("14", "cross_entropy", output): "no effect" for output in ("value", "vjp")},
}
_JAX = compose.Namespace(
    cast=lambda a, dtype: a.astype(_DTYPES[dtype]),
    to_last=lambda a, axis: a if axis in (-1, a.ndim - 1) else jnp.moveaxis(a, axis, -1),
    softmax=jax.nn.softmax,
    log_softmax=jax.nn.log_softmax,
    one_hot=lambda labels, k: jax.nn.one_hot(labels, k, dtype=bool),
    where=jnp.where,
    sum=lambda a, last: jnp.sum(a, axis=-1 if last else None),
)


class JaxAdapter:
    """``jax.nn`` as it runs op by op."""

    name = "jax"

    def __init__(self) -> None:
        how = "JAX has no loss functions: composed from jax.nn.log_softmax in float32 (float64 for float64)"
        ops = {
            "softmax": Support("native"),
            "log_softmax": Support("native"),
            "nll_loss": Support("composed", ("index",), how),
            "cross_entropy": Support("composed", note=how),
        }
        others = ["%s:%d" % (d.platform, i) for i, d in enumerate(jax.devices()) if d.platform != "cpu"]
        profiles = {(op, dtype): "W" for op in ("nll_loss", "cross_entropy") for dtype in ("bfloat16", "float16")}
        # Each operation is compiled for each new shape: 0.2 to 0.9 s for a signature, measured.
        self._capabilities = Capabilities(
            ops=ops,
            devices=("cpu", *others),
            profiles=profiles,
            outputs=OUTPUTS,
            compile_cost="cheap",
            conventions=_CONVENTIONS,
        )

    def describe(self) -> Description:
        """Versions, devices and the flags that can change bits."""
        versions = {"jax": jax.__version__, "jaxlib": jaxlib.__version__, "numpy": np.__version__}
        facts = {
            "devices": ", ".join(sorted({d.device_kind for d in jax.devices()})),
            "jax_softmax_custom_jvp": str(getattr(jax.config, "jax_softmax_custom_jvp", "")),
            "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
        }
        return Description({**versions, "python": platform.python_version()}, facts)

    def capabilities(self) -> Capabilities:
        """Native softmax and log_softmax, composed losses, on the CPU and on accelerators that are present."""
        return self._capabilities

    def evaluate(self, problem: Problem, device: str, mode: str) -> Dict[str, Any]:
        """Value, gradients through ``jax.vjp``, nested where asked, and directions through ``jax.jvp``."""
        kind, _, index = device.partition(":")
        place, dtype = jax.devices(kind)[int(index or 0)], _DTYPES[problem.dtype]
        compose.check_labels(problem)

        def put(a: Any) -> Any:
            return None if a is None else jax.device_put(a if a.dtype.kind in "iu" else a.astype(dtype), place)

        with jax.default_device(place):
            x, target, weight = put(problem.x), put(problem.target), put(problem.weight)
            want, cotangent, tangent = problem.want, put(problem.cotangent), put(problem.tangent)

            def f(x: Any) -> Any:
                return _value(_JAX, problem, x, target, weight)

            def gradient(x: Any) -> Any:
                return jax.vjp(f, x)[1](cotangent)[0]

            def of_target(x: Any, q: Any) -> Any:
                return _value(_JAX, problem, x, q, weight, select_used=False)

            def target_gradient(x: Any) -> Any:
                return jax.vjp(lambda q: of_target(x, q), target)[1](cotangent)[0]

            out = {}
            if "vjp" in want:
                out["value"], pull_back = jax.vjp(f, x)
                (out["vjp"],) = pull_back(cotangent)
                if "vjp_again" in want:
                    (out["vjp_again"],) = pull_back(cotangent)
            else:
                out["value"] = f(x)
            if "jvp" in want:
                _, out["jvp"] = jax.jvp(f, (x,), (tangent,))
            if "hvp" in want:
                _, out["hvp"] = jax.jvp(gradient, (x,), (tangent,))
            if "mixed" in want:
                out["grad_target"], pull_back = jax.vjp(target_gradient, x)
                (out["mixed"],) = pull_back(put(problem.target_tangent))
            elif "grad_target" in want:
                out["grad_target"] = target_gradient(x)
            if "jvp_target" in want:
                _, out["jvp_target"] = jax.jvp(lambda q: of_target(x, q), (target,), (put(problem.target_tangent),))
            return {name: _pull(t) for name, t in out.items()}

    def error_kind(self, error: Exception) -> str:
        """By exception type; XLA's runtime errors carry a status word."""
        if isinstance(error, IndexError):
            return "bad_label"
        if isinstance(error, RuntimeError):
            return "resource" if str(error).startswith("RESOURCE_EXHAUSTED") else "internal"
        if isinstance(error, TypeError):
            return "bad_shape" if "shape" in str(error) else "bad_dtype"
        return "bad_shape" if isinstance(error, ValueError) else "internal"

    def script(self, problem: Problem, device: str, mode: str) -> str:
        """The same computation as a program of JAX alone."""
        body = []
        for name, a in source.arrays(problem):
            kind = a.dtype.name if a.dtype.kind in "iu" else problem.dtype
            body.append("%s = jnp.array(%s, jnp.%s).reshape(%r)" % (name, source.constant(a), kind, a.shape))
        body += ["", *_function("f", "x", problem), *_derivatives(problem)]
        body += ['print("%s", jax.device_get(%s).astype(float).tolist())' % (name, name) for name in problem.want]
        imports = ["import jax", "import jax.numpy as jnp", 'jax.config.update("jax_enable_x64", True)']
        return source.program(source.title(problem, "jax"), imports, body)


def _value(f: compose.Namespace, p: Problem, x: Any, target: Any, weight: Any, *, select_used: bool = True) -> Any:
    x = x if p.scale == 1.0 else x * p.scale
    if p.op == "softmax":
        return f.softmax(x, p.axis)
    if p.op == "log_softmax":
        return f.log_softmax(x, p.axis)
    return compose.loss(f, p, x, target, weight, select_used=select_used)


def _function(name: str, arguments: str, p: Problem, *, select_used: bool = True) -> List[str]:
    trace = source.Trace()
    symbols = (source.Symbol(name) for name in ("x", "target", "weight"))
    result = _value(_traced(trace), p, *symbols, select_used=select_used)
    lines = ["    " + line for line in trace.lines]
    return ["def %s(%s):" % (name, arguments), *lines, "    return %s" % result, ""]


def _derivatives(p: Problem) -> List[str]:
    """Every output that is asked for, line by line."""
    want = p.want
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
    if "grad_target" in want or "jvp_target" in want:
        out += ["", *_function("of_target", "x, target", p, select_used=False)]
    if "grad_target" in want:
        out.append("grad_target = %s" % inner)
    if "mixed" in want:
        out += ["_, pull_back = jax.vjp(lambda x: %s, x)" % inner, "mixed, = pull_back(target_tangent)"]
    if "jvp_target" in want:
        out.append("_, jvp_target = jax.jvp(lambda q: of_target(x, q), (target,), (target_tangent,))")
    return out


def _traced(trace: source.Trace) -> compose.Namespace:
    return compose.Namespace(
        cast=lambda a, dtype: trace.emit("%s.astype(jnp.%s)", a, dtype),
        to_last=lambda a, axis: a if axis == -1 else trace.emit("jnp.moveaxis(%s, %s, -1)", a, axis),
        softmax=lambda a, axis: trace.emit("jax.nn.softmax(%s, axis=%s)", a, axis),
        log_softmax=lambda a, axis: trace.emit("jax.nn.log_softmax(%s, axis=%s)", a, axis),
        one_hot=lambda labels, k: trace.emit("jax.nn.one_hot(%s, %s, dtype=bool)", labels, k),
        where=lambda c, a, b: trace.emit("jnp.where(%s, %s, %s)", c, a, b),
        sum=lambda a, last: trace.emit("jnp.sum(%s, axis=%s)", a, -1 if last else None),
    )


def _pull(t: Any) -> Tensor:
    a = np.asarray(t)
    return Tensor(a.astype(np.float64), a.dtype.name)


ADAPTER = JaxAdapter()
