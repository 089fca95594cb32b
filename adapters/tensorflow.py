"""TensorFlow: ``tf.nn``'s own functions; what they lack (weights, smoothing, reductions, NLL) is composed."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Tuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from . import compose, source
from .protocol import DTYPES, OUTPUTS, Capabilities, Description, Problem, Support, Tensor

_DTYPES = {name: tf.as_dtype(name) for name in DTYPES}
# Infinity minus infinity in the shift (kernels of softmax differ); the composition has no ignore_index for
# probabilities.
_CONVENTIONS = {
    **{("4", op, output): "nan" for op in ("log_softmax", "cross_entropy") for output in ("value", "vjp")},
    ("4", "softmax", "vjp"): "nan",
    ("11", "nll_loss", "vjp"): "limit",
    **{("14", "cross_entropy", output): "no effect" for output in ("value", "vjp")},
}


@dataclass(frozen=True)
class Namespace(compose.Namespace):
    """TensorFlow has row losses of its own besides."""

    sparse: Callable[[Any, Any], Any]
    dense: Callable[[Any, Any], Any]


def _to_last(a: Any, axis: int) -> Any:
    rank = len(a.shape)
    order = [i for i in range(rank) if i != axis % rank] + [axis % rank]
    return a if order == list(range(rank)) else tf.transpose(a, order)


_TF = Namespace(
    cast=lambda a, dtype: tf.cast(a, _DTYPES[dtype]),
    to_last=_to_last,
    softmax=tf.nn.softmax,
    log_softmax=tf.nn.log_softmax,
    one_hot=lambda labels, k: tf.one_hot(labels, k, True, False, dtype=tf.bool),
    where=tf.where,
    sum=lambda a, last: tf.reduce_sum(a, axis=-1 if last else None),
    sparse=tf.nn.sparse_softmax_cross_entropy_with_logits,
    dense=tf.nn.softmax_cross_entropy_with_logits,
)


class TensorFlowAdapter:
    """``tf.nn`` as it runs op by op on the CPU."""

    name = "tensorflow"

    def __init__(self) -> None:
        ops = {
            "softmax": Support("native"),
            "log_softmax": Support("native"),
            "nll_loss": Support("composed", ("index",), "TensorFlow has no NLL of log-probabilities"),
            "cross_entropy": Support(
                "native",
                note="row losses of tf.nn.(sparse_)softmax_cross_entropy_with_logits; label weights and reductions "
                "composed; smoothing and weighted probabilities composed from tf.nn.log_softmax in float32 or wider",
            ),
        }
        # Measured: the float16 row losses are wide, the bfloat16 ones are not.
        profiles = {("nll_loss", "bfloat16"): "W", ("nll_loss", "float16"): "W"}
        self._capabilities = Capabilities(ops=ops, profiles=profiles, outputs=OUTPUTS, conventions=_CONVENTIONS)

    def describe(self) -> Description:
        """Versions, threads, and the flags that can change bits."""
        versions = {"tensorflow": tf.__version__, "numpy": np.__version__, "python": platform.python_version()}
        facts = {
            "intra_op_threads": str(tf.config.threading.get_intra_op_parallelism_threads()),
            "TF_ENABLE_ONEDNN_OPTS": os.environ.get("TF_ENABLE_ONEDNN_OPTS", ""),
            "TF_NUM_INTRAOP_THREADS": os.environ.get("TF_NUM_INTRAOP_THREADS", ""),
        }
        return Description(versions, facts)

    def capabilities(self) -> Capabilities:
        """Native softmax, log_softmax and row losses, composed rest."""
        return self._capabilities

    def evaluate(self, problem: Problem, device: str, mode: str) -> Dict[str, Any]:
        """Value, gradients through ``tf.GradientTape``, nested where asked, and the JVP through forward mode."""
        kind = _DTYPES[problem.dtype].as_numpy_dtype
        if not _is_native(problem):
            compose.check_labels(problem)

        def put(a: Any) -> Any:
            # astype copies: TensorFlow may keep the memory of the array that it is given. Labels keep their own type.
            return None if a is None else tf.constant(a.astype(kind if a.dtype.kind == "f" else a.dtype))

        with tf.device("/CPU:0"):
            x, target, weight = put(problem.x), put(problem.target), put(problem.weight)
            want, cotangent, tangent = problem.want, put(problem.cotangent), put(problem.tangent)

            def f() -> Any:
                return _value(_TF, problem, x, target, weight)

            def of_target() -> Any:
                return _value(_TF, problem, x, target, weight, select_used=False)

            out = {}
            if "vjp_again" in want:
                out["value"], out["vjp"], out["vjp_again"] = _gradient_twice(f, x, cotangent)
            elif "vjp" in want:
                out["value"], out["vjp"] = _gradient(f, x, cotangent)
            else:
                out["value"] = f()
            if "jvp" in want:
                with tf.autodiff.ForwardAccumulator(x, tangent) as forward:
                    value = f()
                out["jvp"] = forward.jvp(value, unconnected_gradients="zero")
            if "hvp" in want:
                _, out["hvp"] = _gradient(lambda: _gradient(f, x, cotangent)[1], x, tangent)
            if "mixed" in want:
                direction = put(problem.target_tangent)
                out["grad_target"], out["mixed"] = _gradient(
                    lambda: _gradient(of_target, target, cotangent)[1], x, direction
                )
            elif "grad_target" in want:
                _, out["grad_target"] = _gradient(of_target, target, cotangent)
            if "jvp_target" in want:
                with tf.autodiff.ForwardAccumulator(target, put(problem.target_tangent)) as forward:
                    value = of_target()
                out["jvp_target"] = forward.jvp(value, unconnected_gradients="zero")
            return {name: _pull(t) for name, t in out.items()}

    def error_kind(self, error: Exception) -> str:
        """By exception type; InvalidArgumentError also by its words."""
        text = str(error)
        if isinstance(error, IndexError):
            return "bad_label"
        if isinstance(error, tf.errors.InvalidArgumentError):
            if "label value" in text:
                return "bad_label"
            return "bad_dtype" if "for attr 'T" in text or "was expected to be a" in text else "bad_shape"
        if isinstance(error, tf.errors.ResourceExhaustedError):
            return "resource"
        if isinstance(error, (tf.errors.UnimplementedError, tf.errors.NotFoundError)):
            return "unsupported"
        if isinstance(error, TypeError):
            return "bad_dtype"
        return "bad_shape" if isinstance(error, ValueError) else "internal"

    def script(self, problem: Problem, device: str, mode: str) -> str:
        """The same computation as a program of TensorFlow alone."""
        body = []
        for name, a in source.arrays(problem):
            kind = a.dtype.name if a.dtype.kind in "iu" else problem.dtype
            body.append("%s = tf.reshape(tf.constant(%s, tf.%s), %r)" % (name, source.constant(a), kind, a.shape))
        body += ["", *GRADIENT, *_function("f", problem), *_derivatives(problem)]
        body += ['print("%s", %s.numpy().astype(float).tolist())' % (name, name) for name in problem.want]
        imports = ["import tensorflow as tf", 'tf.config.set_visible_devices([], "GPU")']
        return source.program(source.title(problem, "tensorflow"), imports, body)


def _gradient(f: Callable[[], Any], x: Any, cotangent: Any) -> Tuple[Any, Any]:
    """What a function gives, and the gradient of its product with a cotangent. Nested for second derivatives."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        value = f()
    return value, tape.gradient(value, x, cotangent, unconnected_gradients="zero")


def _gradient_twice(f: Callable[[], Any], x: Any, cotangent: Any) -> Tuple[Any, Any, Any]:
    """What a function gives, and its gradient from two backward passes over one tape."""
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(x)
        value = f()
    first, second = (tape.gradient(value, x, cotangent, unconnected_gradients="zero") for _ in range(2))
    return value, first, second


GRADIENT = [
    "def gradient(f, x, cotangent):",
    "    with tf.GradientTape() as tape:",
    "        tape.watch(x)",
    "        value = f()",
    '    return value, tape.gradient(value, x, cotangent, unconnected_gradients="zero")',
    "",
]


def _is_native(p: Problem) -> bool:
    """Whether TensorFlow's own row losses serve: they take no smoothing, and weights only per row."""
    return p.op == "cross_entropy" and not p.label_smoothing and not (p.has_probability_target and p.weight is not None)


def _value(f: Namespace, p: Problem, x: Any, target: Any, weight: Any, *, select_used: bool = True) -> Any:
    x = x if p.scale == 1.0 else x * p.scale
    if p.op == "softmax":
        return f.softmax(x, p.axis)
    if p.op == "log_softmax":
        return f.log_softmax(x, p.axis)
    if not _is_native(p):
        return compose.loss(f, p, x, target, weight, select_used=select_used)
    x = f.to_last(x, p.axis)
    if p.has_probability_target:
        return compose.reduce(f, p, compose.widen(f, p, f.dense(f.to_last(target, p.axis), x)), None)
    known = target if p.ignore_index is None else f.where(target != p.ignore_index, target, 0)
    rows = compose.widen(f, p, f.sparse(known, x))
    if p.weight is None:
        return compose.drop_ignored(f, p, rows, target, None)
    w_y = f.sum(f.where(f.one_hot(known, p.x.shape[p.axis]), compose.widen(f, p, weight), 0.0), True)
    return compose.drop_ignored(f, p, w_y * rows, target, w_y)


def _function(name: str, p: Problem, *, select_used: bool = True) -> List[str]:
    trace = source.Trace()
    symbols = (source.Symbol(name) for name in ("x", "target", "weight"))
    result = _value(_traced(trace), p, *symbols, select_used=select_used)
    return ["def %s():" % name, *("    " + line for line in trace.lines), "    return %s" % result, ""]


def _derivatives(p: Problem) -> List[str]:
    """Every output that is asked for, line by line."""
    want = p.want
    out = ["value, vjp = gradient(f, x, cotangent)" if "vjp" in want else "value = f()"]
    if "vjp_again" in want:
        once = 'tape.gradient(value, x, cotangent, unconnected_gradients="zero")'
        out = ["with tf.GradientTape(persistent=True) as tape:", "    tape.watch(x)", "    value = f()"]
        out += ["vjp, vjp_again = (%s for _ in range(2))" % once]
    if "jvp" in want:
        out += ["with tf.autodiff.ForwardAccumulator(x, tangent) as forward:", "    y = f()"]
        out.append('jvp = forward.jvp(y, unconnected_gradients="zero")')
    if "hvp" in want:
        out.append("_, hvp = gradient(lambda: gradient(f, x, cotangent)[1], x, tangent)")
    if "grad_target" in want or "jvp_target" in want:
        out += ["", *_function("of_target", p, select_used=False)]
    if "grad_target" in want:
        inner = "gradient(of_target, target, cotangent)"
        mixed = "grad_target, mixed = gradient(lambda: %s[1], x, target_tangent)" % inner
        out.append(mixed if "mixed" in want else "_, grad_target = %s" % inner)
    if "jvp_target" in want:
        out += ["with tf.autodiff.ForwardAccumulator(target, target_tangent) as forward:", "    y = of_target()"]
        out.append('jvp_target = forward.jvp(y, unconnected_gradients="zero")')
    return out


def _traced(trace: source.Trace) -> Namespace:
    def to_last(a: Any, axis: int) -> Any:
        return a if axis == -1 else trace.emit("tf.experimental.numpy.moveaxis(%s, %s, -1)", a, axis)

    return Namespace(
        cast=lambda a, dtype: trace.emit("tf.cast(%s, tf.%s)", a, dtype),
        to_last=to_last,
        softmax=lambda a, axis: trace.emit("tf.nn.softmax(%s, axis=%s)", a, axis),
        log_softmax=lambda a, axis: trace.emit("tf.nn.log_softmax(%s, axis=%s)", a, axis),
        one_hot=lambda labels, k: trace.emit("tf.one_hot(%s, %s, True, False, dtype=tf.bool)", labels, k),
        where=lambda c, a, b: trace.emit("tf.where(%s, %s, %s)", c, a, b),
        sum=lambda a, last: trace.emit("tf.reduce_sum(%s, axis=%s)", a, -1 if last else None),
        sparse=lambda y, x: trace.emit("tf.nn.sparse_softmax_cross_entropy_with_logits(labels=%s, logits=%s)", y, x),
        dense=lambda q, x: trace.emit("tf.nn.softmax_cross_entropy_with_logits(labels=%s, logits=%s)", q, x),
    )


def _pull(t: Any) -> Tensor:
    return Tensor(t.numpy().astype(np.float64), t.dtype.name)


ADAPTER = TensorFlowAdapter()
