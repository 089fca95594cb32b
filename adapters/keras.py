"""Keras: its ops and its loss classes, on one of its backends, which is the mode.

Keras has one backend in a process, chosen when it is first imported. Nothing here imports Keras before a problem says
which one that is.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import platform
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Sequence, Tuple

import numpy as np

from . import keras_source, processor
from .protocol import OPS, OUTPUTS, Capabilities, Description, Problem, Support, Tensor, UnsupportedProblem

# What importlib.metadata knows of a backend, by the package that is imported.
_PACKAGES = {
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "jax": ("jax", "jaxlib"),
    "torch": ("torch",),
    "openvino": ("openvino",),
    "numpy": ("numpy",),
}
# What a backend imports, if not the package of its name. That of NumPy calls functions of JAX.
_IMPORTS = {"numpy": "jax"}
# Those that differentiate nothing, with what a new signature costs: OpenVINO compiles each call.
_VALUES_ONLY = {"openvino": "cheap", "numpy": "none"}
_VARIABLES = {
    "tensorflow": (processor.WITH_ONEDNN, processor.ONEDNN),
    "jax": (processor.XLA,),
    "torch": (processor.ATEN,),
    "openvino": (),
    "numpy": (),
}
# Infinity minus infinity in the shift.
_CONVENTIONS = {("4", "log_softmax", output): "nan" for output in ("value", "vjp")}
# Where labels are expected along the last axis only.
_LAST_AXIS = ("tensorflow", "jax", "numpy")
Value = Callable[[Any, Any], Any]


class KerasAdapter:
    """``keras.ops.softmax``, ``keras.ops.log_softmax`` and the two categorical cross-entropies from logits."""

    name = "keras"

    def __init__(self) -> None:
        version = _version("keras")
        if int(version.partition(".")[0] or 0) < 3:
            raise ImportError("Keras 3 is needed; found %s" % (version or "none"), name="keras")
        modes = tuple(_backends())
        if not modes:
            raise ImportError("Keras needs one of %s" % ", ".join(_PACKAGES), name="keras")
        ops = {
            "softmax": Support("native"),
            "log_softmax": Support("native"),
            "cross_entropy": Support(
                "native",
                note="SparseCategoricalCrossentropy (ignore_class, no smoothing) and CategoricalCrossentropy "
                "(smoothing) with from_logits=True and the dtype of the logits; neither has class weights",
            ),
        }
        self._capabilities = Capabilities(
            ops=ops,
            modes=modes,
            outputs=OUTPUTS,
            # "We expect labels to be provided in a one_hot representation" (documentation).
            normalised_targets=True,
            scales=OPS,
            conventions=_CONVENTIONS,
            variables=processor.variables(*(group for mode in modes for group in _VARIABLES[mode])),
            by_mode={
                "jax": {"compile_cost": "cheap"},
                **{mode: {"outputs": ("value",), "compile_cost": cost} for mode, cost in _VALUES_ONLY.items()},
            },
        )

    def describe(self) -> Description:
        """Report the versions of Keras and of every backend that is there."""
        packages = [name for mode in self._capabilities.modes for name in _PACKAGES[mode]]
        found = {name: _version(name) for name in ("keras", *packages)}
        versions = {name: version for name, version in found.items() if version}
        facts = {
            "KERAS_BACKEND": os.environ.get("KERAS_BACKEND", ""),
            **dict(_sets(self._capabilities.modes)),
            **processor.limits(),
        }
        return Description({**versions, "numpy": np.__version__, "python": platform.python_version()}, facts)

    def capabilities(self) -> Capabilities:
        """Offer the backends that are installed as modes, on the CPU."""
        return self._capabilities

    def evaluate(self, problem: Problem, device: str, mode: str) -> Dict[str, Any]:
        """Compute every output that is wanted, differentiated by the backend."""
        _refuse(problem, mode)
        keras = _keras(mode)
        with _floatx(keras, problem):
            return _DRIVERS[mode](problem, _value(problem, keras))

    def error_kind(self, error: Exception) -> str:
        """Classify an exception by the words of Keras's and its backends' messages, then by its type."""
        text = str(error)
        if isinstance(error, IndexError):
            return "bad_label"
        if processor.is_left_out(text):
            return "unsupported"
        found = (kind for words, kind in _MESSAGES if words in text)
        return next(found, "bad_shape" if isinstance(error, (ValueError, TypeError)) else "internal")

    def script(self, problem: Problem, device: str, mode: str) -> str:
        """Write the same computation as a program of Keras and its backend alone."""
        _refuse(problem, mode)
        return keras_source.script(problem, mode, takes_dtype=_takes_dtype(_keras(mode)))


_MESSAGES = (
    ("`reduction`", "bad_option"),
    ("label value", "bad_label"),
    ("out of bounds", "bad_label"),
    ("RESOURCE_EXHAUSTED", "resource"),
    ("shape", "bad_shape"),
    ("size", "bad_shape"),
    ("dtype", "bad_dtype"),
)


def _version(package: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _sets(modes: Sequence[str]) -> Iterator[Tuple[str, str]]:
    """What the kernels of each backend may use, as facts of the modes; no backend is imported for it."""
    if "tensorflow" in modes:
        yield "isa+tensorflow", processor.features()
        yield "onednn+tensorflow", processor.of_tensorflow_onednn()
    if "jax" in modes:
        yield "isa+jax", processor.of_xla()
    if "torch" in modes:
        yield "isa+torch", processor.of_torch(os.environ.get("ATEN_CPU_CAPABILITY", ""))
        yield "onednn+torch", processor.of_onednn()
    if "numpy" in modes:
        yield "isa+numpy", processor.of_numpy()


def _backends() -> Iterator[str]:
    """Yield the backends that are installed, the configured one first."""
    configured = os.environ.get("KERAS_BACKEND") or _configured()
    names = sorted(_PACKAGES, key=lambda name: name != configured)
    found = importlib.util.find_spec("keras")
    # sanity check: Keras is installed
    assert found is not None
    # Keras itself is not imported before it is said on which backend.
    folders = [Path(place) / "src" / "backend" for place in found.submodule_search_locations or ()]
    return (
        name
        for name in names
        if importlib.util.find_spec(_IMPORTS.get(name, name)) is not None
        and any((folder / name).is_dir() for folder in folders)
    )


def _configured() -> str:
    """Return the backend that Keras's own file of settings names, as Keras reads it."""
    folder = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    try:
        found = json.loads((folder / "keras.json").read_text("utf-8"))
    except (OSError, ValueError):
        return ""
    return str(found.get("backend", "")) if isinstance(found, dict) else ""


def _keras(mode: str) -> Any:
    """Import Keras on a backend. Raises RuntimeError if it is on another one in this process."""
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = mode
        os.environ.setdefault("KERAS_TORCH_DEVICE", "cpu")
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    here = keras.backend.backend()
    if here != mode:
        text = "Keras runs on %s in this process and has one backend in each; keras+%s needs a process of its own"
        raise RuntimeError(text % (here, mode))
    return keras


def _takes_dtype(keras: Any) -> bool:
    """Tell whether the loss classes are told their dtype; before 3.4 it is Keras's default for all layers, floatx."""
    return "dtype" in inspect.signature(keras.losses.CategoricalCrossentropy.__init__).parameters


@contextmanager
def _floatx(keras: Any, p: Problem) -> Iterator[None]:
    """Make the dtype of a loss Keras's default for the block, where there is no other way to say it."""
    if not p.is_loss or _takes_dtype(keras):
        yield
        return
    before = keras.config.floatx()
    keras.config.set_floatx(p.dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(before)


def _refuse(p: Problem, mode: str) -> None:
    """Raise UnsupportedProblem for what Keras has no option for."""
    if p.op != "cross_entropy":
        return
    if p.weight is not None:
        raise UnsupportedProblem("Keras's losses take no class weights")
    if p.has_probability_target and p.ignore_index is not None:
        raise UnsupportedProblem("keras.losses.CategoricalCrossentropy has no ignore_class")
    if not p.has_probability_target and p.label_smoothing:
        raise UnsupportedProblem("keras.losses.SparseCategoricalCrossentropy has no label_smoothing")
    if not p.has_probability_target and mode in _LAST_AXIS and p.axis % p.x.ndim != p.x.ndim - 1:
        # TensorFlow: "Only axis=-1 is currently supported". JAX takes it that the last axis is that of the classes.
        raise UnsupportedProblem("keras.losses.SparseCategoricalCrossentropy takes only the last axis on %s" % mode)


def _value(p: Problem, keras: Any) -> Value:
    """Return the value of a problem as a function of input and target."""
    op = _operation(p, keras)
    if p.scale == 1.0:
        return op
    if keras.backend.backend() == "numpy":
        # Of bfloat16 times a number of Python NumPy makes float32.
        return lambda x, target: op(x * x.dtype.type(p.scale), target)
    return lambda x, target: op(x * p.scale, target)


def _operation(p: Problem, keras: Any) -> Value:
    if p.op != "cross_entropy":
        function = getattr(keras.ops, p.op)
        return lambda x, target: function(x, axis=p.axis)
    name, options = keras_source.loss(p)
    kind = getattr(keras.losses, name)
    if "axis" not in inspect.signature(kind.__init__).parameters:
        if p.axis % p.x.ndim != p.x.ndim - 1:
            raise UnsupportedProblem("%s of this release has no axis" % name)
        del options["axis"]
    if not _takes_dtype(keras):
        del options["dtype"]
    loss = kind(**options)
    return lambda x, target: loss(target, x)


def _tensorflow(p: Problem, f: Value) -> Dict[str, Any]:
    from .tensorflow_tensors import computed, derive

    return computed(p, "cpu", lambda g: derive(f, g, p.want))


def _jax(p: Problem, f: Value) -> Dict[str, Any]:
    import jax

    from .jax_tensors import computed, derive

    jax.config.update("jax_enable_x64", True)
    return computed(p, "cpu", lambda g: derive(f, g, p.want))


def _torch(p: Problem, f: Value) -> Dict[str, Any]:
    from .torch_tensors import computed, derive

    return computed(p, "cpu", lambda g: derive(f, g, p.want))


def _values(p: Problem, f: Value) -> Dict[str, Any]:
    import keras

    def put(a: Any) -> Any:
        return None if a is None else keras.ops.convert_to_tensor(a, p.dtype if a.dtype.kind == "f" else a.dtype.name)

    a = keras.ops.convert_to_numpy(f(put(p.x), put(p.target)))
    return {"value": Tensor(a.astype(np.float64), a.dtype.name)}


_DRIVERS = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch, "openvino": _values, "numpy": _values}
ADAPTER = KerasAdapter()
