"""Programs of TensorFlow alone: a problem, on a device, in a mode."""

from __future__ import annotations

from typing import Any, Iterator, List, Sequence

from . import compose, source
from .protocol import Problem
from .tensorflow_modes import JIT_COMPILE, Namespace, numbers, unsmoothed, value_of

PRINT = 'print("%s", %s.numpy().astype(float).tolist())'
GRADIENT = [
    "def gradient(f, x, cotangent):",
    "    with tf.GradientTape() as tape:",
    "        tape.watch(x)",
    "        value = f()",
    '    return value, tape.gradient(value, x, cotangent, unconnected_gradients="zero")',
    "",
]
# The function whose derivatives in the target are asked for; where it is the same as f there is f alone.
_OF_TARGET = "of_target"
_SAID = {
    "graph": " As a graph.",
    "xla": " Compiled by XLA.",
    "forward-over-reverse": " Second derivatives by forward mode over a tape.",
    "keras": " Row losses of tf.keras.losses.",
    "tf32": " TF32 allowed.",
    "deterministic": " Deterministic ways.",
}
_ROWS = {
    "": (
        "tf.nn.sparse_softmax_cross_entropy_with_logits(labels=%s, logits=%s)",
        "tf.nn.softmax_cross_entropy_with_logits(labels=%s, logits=%s)",
    ),
    "keras": (
        "tf.keras.losses.sparse_categorical_crossentropy(%s, %s, from_logits=True)",
        "tf.keras.losses.categorical_crossentropy(%s, %s, from_logits=True)",
    ),
}


def script(p: Problem, device: str, mode: str) -> str:
    """Write the whole program; it prints every output."""
    body = list(tensors(p))
    given = [name for name, _ in source.arrays(p)]
    compiled = mode in ("graph", "xla")
    sparse, dense = _ROWS["keras" if mode == "keras" else ""]
    if mode == "keras" and p.label_smoothing:
        dense = "%s, label_smoothing=%r)" % (dense[:-1], p.label_smoothing)
    rest = unsmoothed(p) if mode == "keras" else p
    lines = _functions(rest, _SYMBOLS if compiled else compose.values(p), sparse, dense)
    used = uses(p, over_reverse=mode == "forward-over-reverse")
    if "def %s():" % _OF_TARGET not in lines:
        used = [line.replace(_OF_TARGET, "f") for line in used]
    lines += used
    if compiled and p.is_loss:
        keep, share, ignore = numbers(p)
        for name in source.named(("keep", "share", "ignore"), lines):
            value = int(ignore) if name == "ignore" else float(keep if name == "keep" else share)
            kind = (ignore if name == "ignore" else keep).dtype.name
            body.append("%s = tf.constant(%r, tf.%s)" % (name, value, kind))
            given.append(name)
    gradient = GRADIENT if any("gradient(" in line for line in lines) else []
    body += ["", *gradient, *(_program(p, given, lines, mode) if compiled else lines)]
    body += [PRINT % (name, name) for name in p.want]
    body.append(source.version("tf", "tensorflow"))
    return source.program(source.title(p, "tensorflow") + _SAID.get(mode, ""), imports(device, mode), body)


def tensors(p: Problem) -> Iterator[str]:
    """Write the lines that set the arrays of a problem as tensors."""
    for name, a, entries in source.constants(p):
        kind = a.dtype.name if a.dtype.kind in "iu" else p.dtype_of_input(name)
        yield "%s = tf.reshape(tf.constant(%s, tf.%s), %r)" % (name, entries, kind, a.shape)


def imports(device: str, mode: str) -> List[str]:
    """Write the imports, and the line that chooses the device."""
    kind, _, index = device.partition(":")
    out = ["import tensorflow as tf"]
    if kind == "cpu":
        out.append('tf.config.set_visible_devices([], "GPU")')
    if kind == "cpu" and index:
        count = int(index) + 1
        out.append('cpu = tf.config.list_physical_devices("CPU")[0]')
        out.append("several = [tf.config.LogicalDeviceConfiguration()] * %d" % count)
        out.append("tf.config.set_logical_device_configuration(cpu, several)")
    if device != "cpu":
        out.append("tf.config.set_soft_device_placement(False)")
        out.append('tf.device("/%s:%s").__enter__()' % (kind.upper(), index or "0"))
    if mode == "deterministic":
        out.append("tf.config.experimental.enable_op_determinism()")
    if kind == "gpu":
        out.append("tf.config.experimental.enable_tensor_float_32_execution(%s)" % (mode == "tf32"))
    return out


def _program(p: Problem, given: Sequence[str], lines: Sequence[str], mode: str) -> List[str]:
    names = ", ".join(given)
    inside = ["    " + line if line else line for line in lines]
    result = ", ".join(p.want) + ","
    compiled = "tf.function(program, autograph=False, %s=%s)(%s)" % (JIT_COMPILE, mode == "xla", names)
    return ["def program(%s):" % names, *inside, "    return %s" % result, "", "", "%s = %s" % (result, compiled)]


_SYMBOLS = compose.Values(*(source.Symbol(name) for name in ("keep", "share", "ignore")))


def _functions(p: Problem, v: compose.Values, sparse: str, dense: str) -> List[str]:
    """Write the functions that are needed; row losses are called as given."""
    out = _function("f", p, v, sparse, dense)
    if {"grad_target", "jvp_target"} & set(p.want):
        again = _function(_OF_TARGET, p, v, sparse, dense, select_used=False)
        out += again if again[1:] != out[1:] else []
    return out


def uses(p: Problem, *, over_reverse: bool = False) -> List[str]:
    """Write the calls that compute every output of ``f`` and ``of_target``, which read x and target."""
    want = p.want
    out = ["value, vjp = gradient(f, x, cotangent)" if "vjp" in want else "value = f()"]
    if "vjp_again" in want:
        once = 'tape.gradient(value, x, cotangent, unconnected_gradients="zero")'
        out = ["with tf.GradientTape(persistent=True) as tape:", "    tape.watch(x)", "    value = f()"]
        out += ["vjp, vjp_again = (%s for _ in range(2))" % once]
    if "jvp" in want:
        out += ["with tf.autodiff.ForwardAccumulator(x, tangent) as forward:", "    y = f()"]
        out.append('jvp = forward.jvp(y, unconnected_gradients="zero")')
    if "hvp" in want and over_reverse:
        out += ["with tf.autodiff.ForwardAccumulator(x, tangent) as forward:", "    _, y = gradient(f, x, cotangent)"]
        out.append('hvp = forward.jvp(y, unconnected_gradients="zero")')
    elif "hvp" in want:
        out.append("_, hvp = gradient(lambda: gradient(f, x, cotangent)[1], x, tangent)")
    if "mixed" in want and over_reverse:
        out.append("_, grad_target = gradient(of_target, target, cotangent)")
        out.append("with tf.autodiff.ForwardAccumulator(target, target_tangent) as forward:")
        out += ["    _, y = gradient(f, x, cotangent)", 'mixed = forward.jvp(y, unconnected_gradients="zero")']
    elif "grad_target" in want:
        inner = "gradient(of_target, target, cotangent)"
        mixed = "grad_target, mixed = gradient(lambda: %s[1], x, target_tangent)" % inner
        out.append(mixed if "mixed" in want else "_, grad_target = %s" % inner)
    if "jvp_target" in want:
        out += ["with tf.autodiff.ForwardAccumulator(target, target_tangent) as forward:", "    y = of_target()"]
        out.append('jvp_target = forward.jvp(y, unconnected_gradients="zero")')
    return out


def _function(
    name: str, p: Problem, v: compose.Values, sparse: str, dense: str, *, select_used: bool = True
) -> List[str]:
    trace = source.Trace()
    x, target, weight = (source.Symbol(name) for name in ("x", "target", "weight"))
    result = value_of(_traced(trace, sparse, dense), p, weight, v)(x, target, select_used)
    return ["def %s():" % name, *("    " + line for line in trace.returning(result)), ""]


def _traced(trace: source.Trace, sparse: str, dense: str) -> Namespace:
    def to_last(a: Any, axis: int) -> Any:
        return a if axis == -1 else trace.emit("tf.experimental.numpy.moveaxis(%s, %s, -1)", a, axis)

    def where(c: Any, a: Any, b: Any) -> Any:
        if isinstance(a, float):
            return trace.emit("tf.where(%s, tf.constant(%s, %s.dtype), %s)", c, a, b, b)
        return trace.emit("tf.where(%s, %s, %s)", c, a, b)

    return Namespace(
        cast=lambda a, dtype: trace.emit("tf.cast(%s, tf.%s)", a, dtype),
        to_last=to_last,
        softmax=trace.along("tf.nn.softmax"),
        log_softmax=trace.along("tf.nn.log_softmax"),
        one_hot=lambda labels, k: trace.emit("tf.one_hot(%s, %s, True, False, dtype=tf.bool)", labels, k),
        where=where,
        sum=lambda a, last: trace.emit("tf.reduce_sum(%s, axis=%s)", a, -1 if last else None),
        mean=lambda a: trace.emit("tf.reduce_mean(%s)", a),
        sparse=lambda y, x: trace.emit(sparse, y, x),
        dense=lambda q, x: trace.emit(dense, q, x),
    )
