"""The modes of TensorFlow: an output is computed op by op, as a graph, compiled by XLA, or through its own Keras."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any, Callable, Dict, Iterator, Sequence, Tuple

import numpy as np
import tensorflow as tf

from . import compose
from .given import Given
from .programs import Programs, metered, seen_by_compiler
from .protocol import ARRAYS, DTYPES, Meter, Problem, Tensor, UnsupportedProblem
from .watch import seen

# The public switch has no way back, which a process with several modes needs.
_config: Any = importlib.import_module("tensorflow.python.framework.config")
TYPES = {name: tf.as_dtype(name) for name in DTYPES}
# TensorFlow 2.4 has the older name.
JIT_COMPILE = "jit_compile" if "jit_compile" in inspect.signature(tf.function).parameters else "experimental_compile"
Outputs = Dict[str, Any]
# Input, target, and whether masked classes that are not used are selected away.
Value = Callable[[Any, Any, bool], Any]


@dataclass(frozen=True)
class Namespace(compose.Namespace):
    """The functions of TensorFlow, which has row losses of its own besides."""

    sparse: Callable[[Any, Any], Any]
    dense: Callable[[Any, Any], Any]


def _to_last(a: Any, axis: int) -> Any:
    rank = len(a.shape)
    order = [i for i in range(rank) if i != axis % rank] + [axis % rank]
    return a if order == list(range(rank)) else tf.transpose(a, order)


def _where(c: Any, a: Any, b: Any) -> Any:
    # In a graph a number that comes first is float32, whatever comes second.
    return tf.where(c, tf.constant(a, b.dtype) if isinstance(a, float) else a, b)


TF = Namespace(
    cast=lambda a, dtype: tf.cast(a, TYPES[dtype]),
    to_last=_to_last,
    softmax=tf.nn.softmax,
    log_softmax=tf.nn.log_softmax,
    one_hot=lambda labels, k: tf.one_hot(labels, k, True, False, dtype=tf.bool),
    where=_where,
    sum=lambda a, last: tf.reduce_sum(a, axis=-1 if last else None),
    mean=tf.reduce_mean,
    sparse=tf.nn.sparse_softmax_cross_entropy_with_logits,
    dense=tf.nn.softmax_cross_entropy_with_logits,
)


def keras(smoothing: float) -> Namespace:
    """Return the row losses of ``tf.keras.losses``, in releases with a Keras of their own.

    The adapter ``keras`` has the others.
    """
    losses = tf.keras.losses
    options = {"label_smoothing": smoothing} if smoothing else {}
    return replace(
        TF,
        sparse=lambda labels, logits: losses.sparse_categorical_crossentropy(labels, logits, from_logits=True),
        dense=lambda q, logits: losses.categorical_crossentropy(q, logits, from_logits=True, **options),
    )


def has_keras() -> bool:
    """Tell whether ``tf.keras`` is Keras 2: a part of this release, or, from TensorFlow 2.6 on, a package before 3."""
    return (importlib.util.find_spec("keras") is None and hasattr(tf, "keras")) or _major_of_keras() == "2"


def _major_of_keras() -> str:
    try:
        # In Python 3.8, as in all later ones.
        return metadata.version("keras").partition(".")[0]
    except metadata.PackageNotFoundError:
        return ""


def unsmoothed(p: Problem) -> Problem:
    """Return what is left of a problem to compose where its smoothing is Keras's.

    Raises :class:`UnsupportedProblem` if that is more than a choice of rows and their reduction.
    """
    rest = replace(p, label_smoothing=0.0)
    if not is_native(rest) or (p.label_smoothing and not p.has_probability_target):
        raise UnsupportedProblem("composed: nothing of Keras takes part")
    return rest


def has_determinism() -> bool:
    """Tell whether this release can be told to be deterministic, and not to be any more."""
    return hasattr(_config, "enable_op_determinism") and hasattr(_config, "disable_op_determinism")


@contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Let operations take deterministic ways for the block, if that is wanted."""
    if not wanted:
        yield
        return
    _config.enable_op_determinism()
    try:
        yield
    finally:
        _config.disable_op_determinism()


def placed(p: Problem) -> Given:
    """Place the tensors of a problem on the current device."""

    def put(name: str) -> Any:
        a = getattr(p, name)
        if a is None:
            return None
        # astype copies: TensorFlow may keep the memory of the array that it is given. Labels keep their own type.
        return tf.constant(a.astype(TYPES[p.dtype_of_input(name)].as_numpy_dtype if a.dtype.kind == "f" else a.dtype))

    return seen(Given(*map(put, ARRAYS)), lambda t: bytes(t.numpy().tobytes()))


def pulled(t: Any) -> Tensor:
    """Pull an output back exactly."""
    return Tensor(t.numpy().astype(np.float64), t.dtype.name)


def is_native(p: Problem) -> bool:
    """Tell whether TensorFlow's own row losses serve: they take no smoothing, and weights only per row."""
    return p.op == "cross_entropy" and not p.label_smoothing and not (p.has_probability_target and p.weight is not None)


def value_of(f: Namespace, p: Problem, weight: Any, v: compose.Values) -> Value:
    """Return the value of a problem as a function of input and target."""
    if p.out_dtype is not None:
        wide, kind = value_of(f, replace(p, dtype=p.out_dtype, out_dtype=None), weight, v), p.out_dtype
        return lambda x, target, select_used: wide(f.cast(x, kind), target, select_used)
    op = _operation(f, p, weight, v)
    if p.scale == 1.0:
        return op
    return lambda x, target, select_used: op(x * p.scale, target, select_used)


def _operation(f: Namespace, p: Problem, weight: Any, v: compose.Values) -> Value:
    if p.op in ("softmax", "log_softmax"):
        rows = f.softmax if p.op == "softmax" else f.log_softmax
        return lambda x, target, select_used: rows(x) if p.omit else rows(x, p.axis)
    if not is_native(p):
        return lambda x, target, select_used: compose.loss(f, p, x, target, weight, v, select_used=select_used)
    return lambda x, target, select_used: _native(f, p, x, target, weight, v)


def _native(f: Namespace, p: Problem, x: Any, target: Any, weight: Any, v: compose.Values) -> Any:
    x = f.to_last(x, p.axis)
    if p.has_probability_target:
        return compose.reduce(f, p, compose.widen(f, p, f.dense(f.to_last(target, p.axis), x)), None)
    known = target if p.ignore_index is None else f.where(target != v.ignore, target, 0)
    rows = compose.widen(f, p, f.sparse(known, x))
    if p.weight is None:
        return compose.drop_ignored(f, p, rows, target, None, v)
    w_y = f.sum(f.where(f.one_hot(known, p.x.shape[p.axis]), compose.widen(f, p, weight), 0.0), True)
    return compose.drop_ignored(f, p, w_y * rows, target, w_y, v)


def derive(f: Value, g: Given, want: Sequence[str], *, over_reverse: bool = False) -> Outputs:
    """Compute the value, gradients through ``tf.GradientTape``, and directions through forward mode.

    Second derivatives are taken through nested tapes, or with ``over_reverse`` by forward mode over a tape.
    """

    def of_x() -> Any:
        return f(g.x, g.target, True)

    def of_target() -> Any:
        return f(g.x, g.target, False)

    out = {}
    if "vjp_again" in want:
        out["value"], out["vjp"], out["vjp_again"] = _gradient_twice(of_x, g.x, g.cotangent)
    elif "vjp" in want:
        out["value"], out["vjp"] = _gradient(of_x, g.x, g.cotangent)
    else:
        out["value"] = of_x()
    if "value" not in want:
        # A graph then computes nothing that the gradient does not need.
        del out["value"]
    if "jvp" in want:
        out["jvp"] = _forward(of_x, g.x, g.tangent)

    def gradient() -> Any:
        return _gradient(of_x, g.x, g.cotangent)[1]

    if "hvp" in want:
        out["hvp"] = _forward(gradient, g.x, g.tangent) if over_reverse else _gradient(gradient, g.x, g.tangent)[1]
    if "mixed" in want and over_reverse:
        _, out["grad_target"] = _gradient(of_target, g.target, g.cotangent)
        out["mixed"] = _forward(gradient, g.target, g.target_tangent)
    elif "mixed" in want:
        out["grad_target"], out["mixed"] = _gradient(
            lambda: _gradient(of_target, g.target, g.cotangent)[1], g.x, g.target_tangent
        )
    elif "grad_target" in want:
        _, out["grad_target"] = _gradient(of_target, g.target, g.cotangent)
    if "jvp_target" in want:
        out["jvp_target"] = _forward(of_target, g.target, g.target_tangent)
    return out


def _gradient(f: Callable[[], Any], x: Any, cotangent: Any) -> Tuple[Any, Any]:
    """Compute a function's value and the gradient of its product with a cotangent; nested for second derivatives."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        value = f()
    return value, tape.gradient(value, x, cotangent, unconnected_gradients="zero")


def _gradient_twice(f: Callable[[], Any], x: Any, cotangent: Any) -> Tuple[Any, Any, Any]:
    """Compute a function's value and its gradient from each of two backward passes over one tape."""
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(x)
        value = f()
    first, second = (tape.gradient(value, x, cotangent, unconnected_gradients="zero") for _ in range(2))
    return value, first, second


def _forward(f: Callable[[], Any], at: Any, direction: Any) -> Any:
    """Compute a function's derivative in one direction of ``at``."""
    with tf.autodiff.ForwardAccumulator(at, direction) as forward:
        value = f()
    return forward.jvp(value, unconnected_gradients="zero")


class Modes:
    """The evaluation of problems in each mode, with the graphs and compiled programs that are kept for it."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._programs = Programs()

    def evaluate(self, p: Problem, g: Given, mode: str) -> Outputs:
        """Compute every output that is wanted."""
        if mode in ("eager", "forward-over-reverse", "keras"):
            f = (
                value_of(keras(p.label_smoothing), unsmoothed(p), g.weight, compose.values(p))
                if mode == "keras"
                else value_of(TF, p, g.weight, compose.values(p))
            )
            return derive(f, g, p.want, over_reverse=mode == "forward-over-reverse")
        with metered(self._meter, lambda: self._programs.made):
            program = self._programs.get((mode, seen_by_compiler(p)), lambda: _program(p, compiled=mode == "xla"))
            tensors = [getattr(g, name) for name in ARRAYS]
            found: Outputs = program([t for t in tensors if t is not None], numbers(p))
            return found


def numbers(p: Problem) -> Tuple[Any, Any, Any]:
    """Return the values of options as arguments of a program, of the dtype that a number would have in it."""
    v, kind = compose.values(p), np.dtype(compose.wide(p.result_dtype))
    labels = np.dtype(np.int64) if p.target is None or p.has_probability_target else p.target.dtype
    return kind.type(v.keep), kind.type(v.share), labels.type(v.ignore or 0)


def _program(p: Problem, *, compiled: bool) -> Callable[..., Outputs]:
    given = [name for name in ARRAYS if getattr(p, name) is not None]

    def program(tensors: Sequence[Any], numbers: Sequence[Any]) -> Outputs:
        g = Given(**dict(zip(given, tensors)))
        return derive(value_of(TF, p, g.weight, compose.Values(*numbers)), g, p.want)

    function: Callable[..., Outputs] = tf.function(program, autograph=False, **{JIT_COMPILE: compiled})
    return lambda tensors, numbers: function(tensors, [tf.constant(n) for n in numbers])
