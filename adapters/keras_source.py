"""Programs of Keras and one of its backends alone."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from . import source
from .protocol import Problem

_REDUCTIONS = {"none": None, "mean": "sum_over_batch_size"}
# Options that programs leave out; releases of Keras differ in whether they have an axis.
_DEFAULTS = {"axis": -1, "ignore_class": None, "label_smoothing": 0.0}


def loss(p: Problem) -> Tuple[str, Dict[str, Any]]:
    """Return the name of a problem's loss class, and its options."""
    options: Dict[str, Any] = {"from_logits": True}
    if p.has_probability_target:
        name = "CategoricalCrossentropy"
        options["label_smoothing"] = p.label_smoothing
    else:
        name = "SparseCategoricalCrossentropy"
        options["ignore_class"] = p.ignore_index
    # What Keras does not know passes through: it says so.
    reduction = _REDUCTIONS.get(p.reduction, p.reduction)
    return name, {**options, "axis": p.axis, "reduction": reduction, "dtype": p.dtype}


def script(p: Problem, mode: str, *, takes_dtype: bool) -> str:
    """Write the whole program; it prints every output.

    ``takes_dtype`` says whether the loss classes of the release have that argument.
    """
    floatx: List[str] = []
    times = "x * x.dtype.type(%r)" if mode == "numpy" else "x * %r"
    x = "x" if p.scale == 1.0 else times % p.scale
    call = "keras.ops.%s(%s, axis=%d)" % (p.op, x, p.axis)
    if p.is_loss:
        name, options = loss(p)
        if not takes_dtype:
            floatx = ["keras.config.set_floatx(%s)" % _text(options.pop("dtype"))]
        given = ", ".join("%s=%s" % (k, _text(v)) for k, v in options.items() if _DEFAULTS.get(k, "") != v)
        # In the function: an option that is refused is refused where the program expects errors.
        call = "keras.losses.%s(%s)(target, %s)" % (name, given, x)
    imports, body = _BACKENDS[mode](p, call)
    head = ["import os", 'os.environ["KERAS_BACKEND"] = "%s"' % mode, "import keras"]
    body.append(source.version("keras", "keras"))
    return source.program(source.title(p, "Keras on " + mode), [*head, *imports], [*floatx, *body])


def _text(value: object) -> str:
    return '"%s"' % value if isinstance(value, str) else repr(value)


def _functions(p: Problem, call: str, arguments: Tuple[str, str]) -> List[str]:
    """Write the functions ``f`` and, for derivatives in the target, ``of_target``."""
    names = ["f", "of_target"] if {"grad_target", "jvp_target"} & set(p.want) else ["f"]
    return [line for name, a in zip(names, arguments) for line in ("def %s(%s):" % (name, a), "    return " + call, "")]


def _tensorflow(p: Problem, call: str) -> Tuple[List[str], List[str]]:
    from .tensorflow_source import GRADIENT, PRINT, imports, tensors, uses

    lines = [*_functions(p, call, ("", "")), *uses(p)]
    gradient = GRADIENT if any("gradient(" in line for line in lines) else []
    body = [*tensors(p), "", *gradient, *lines]
    return imports("cpu", "eager"), body + [PRINT % (name, name) for name in p.want]


def _jax(p: Problem, call: str) -> Tuple[List[str], List[str]]:
    from .jax_source import PRINT, tensors, uses

    body = [*tensors(p), "", *_functions(p, call, ("x", "x, target")), *uses(p.want)]
    imports = ["import jax", "import jax.numpy as jnp", 'jax.config.update("jax_enable_x64", True)']
    return imports, body + [PRINT % (name, name) for name in p.want]


def _torch(p: Problem, call: str) -> Tuple[List[str], List[str]]:
    from .torch_source import imports, tensors, uses

    arguments = "x, target" if p.is_loss else "x"
    body = [*tensors(p, "cpu"), "", "def f(%s):" % arguments, "    return " + call, "", *uses(p, p.want)]
    body += ['print("%s", %s.tolist())' % (name, name) for name in p.want]
    return imports(body), body


def _values(p: Problem, call: str) -> Tuple[List[str], List[str]]:
    body = []
    for name, a, entries in source.constants(p):
        if name in ("x", "target"):
            kind = a.dtype.name if a.dtype.kind in "iu" else p.dtype
            given = "np.array(%s, %r).reshape(%r)" % (entries, a.dtype.name, a.shape)
            body.append('%s = keras.ops.convert_to_tensor(%s, "%s")' % (name, given, kind))
    body += ["", "value = keras.ops.convert_to_numpy(%s)" % call]
    return ["import numpy as np"], [*body, 'print("value", value.astype(float).tolist())']


_BACKENDS = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch, "openvino": _values, "numpy": _values}
