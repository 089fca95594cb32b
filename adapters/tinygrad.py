"""tinygrad: its softmaxes and losses, on every device that it opens, with gradients by ``Tensor.gradient``.

What is computed is the text that ``script`` writes: one expression for the value, and the calls that differentiate it.
"""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any, Dict, Iterator, List

import numpy as np
from tinygrad import Device, Tensor

from . import source
from .given import Given
from .protocol import ARRAYS, Capabilities, Description, Problem, Support, UnsupportedProblem
from .protocol import Tensor as Output
from .watch import seen

# Infinity minus infinity in the shift; the labels become a one-hot row, which of an unknown label is 0.
_CONVENTIONS = {
    ("3", "cross_entropy", "vjp"): "Q p - w q'",
    **{("4", op, output): "nan" for op in ("softmax", "log_softmax", "cross_entropy") for output in ("value", "vjp")},
}
# What OpenCL, WGSL and CUDA promise of their elementary functions (docs/bounds.md, section 1).
_SHADER = {"profiles": {(op, "float32"): "S" for op in ("softmax", "log_softmax", "cross_entropy")}}
_DEVICES = ("CPU", "CL", "WEBGPU", "CUDA", "NV", "AMD", "METAL", "QCOM")
_DTYPES = ("float32", "float16")


class TinygradAdapter:
    """``Tensor.softmax``, ``log_softmax``, ``nll_loss``, ``sparse_categorical_crossentropy``, ``cross_entropy``."""

    name = "tinygrad"

    def __init__(self) -> None:
        self._open = {name.lower(): Device[name] for name in Device.get_available_devices() if name in _DEVICES}
        devices = sorted(self._open, key=lambda name: _DEVICES.index(name.upper()))
        if not devices:
            raise ImportError("tinygrad finds no device; one for the CPU needs clang on PATH", name="tinygrad")
        self._capabilities = Capabilities(
            ops={
                "softmax": Support("native"),
                "log_softmax": Support("native"),
                "nll_loss": Support("native", ("index",)),
                "cross_entropy": Support(
                    "native", note="sparse_categorical_crossentropy of labels on the last axis, else cross_entropy"
                ),
            },
            dtypes=_DTYPES,
            devices=tuple(devices),
            outputs=("value", "vjp", "hvp", "grad_target"),
            omits=("softmax", "log_softmax"),
            compile_cost="dear",
            zeroes_unknown_labels=True,
            conventions=_CONVENTIONS,
            by_device={name: _SHADER for name in devices if name != "cpu"},
        )

    def describe(self) -> Description:
        """Report tinygrad's version, and the devices with their drivers and renderers."""
        versions = {"tinygrad": metadata.version("tinygrad"), "numpy": np.__version__}
        facts = {}
        for name, device in self._open.items():
            about = [getattr(device, a, "") for a in ("device_name", "driver_version")]
            about.append(type(device.renderer).__name__)
            facts[name] = ", ".join(str(a) for a in about if a)
        return Description({**versions, "python": platform.python_version()}, facts)

    def capabilities(self) -> Capabilities:
        """Offer the softmaxes and the losses on the devices that open."""
        return self._capabilities

    def evaluate(self, problem: Problem, device: str, mode: str) -> Dict[str, Any]:
        """Run the lines of the script, and pull back what is on the device that was asked for."""
        lines, place = computation(problem), device.upper()

        def placed(name: str) -> Any:
            a = getattr(problem, name)
            if a is None:
                return None
            a = a if a.dtype.kind in "iu" else a.astype(problem.dtype_of_input(name))
            return Tensor(np.ascontiguousarray(a), device=place).realize()

        g = seen(Given(*map(placed, ARRAYS)), lambda t: t.numpy().tobytes())
        names = {"Tensor": Tensor, **{name: getattr(g, name) for name in ARRAYS}}
        exec("\n".join(lines), names)
        out = {}
        for name in problem.want:
            if name not in names:
                continue
            t = names[name]
            # A constant that the compiler has folded is nowhere yet.
            if t.device not in (place, None):
                raise RuntimeError("a result is on %s; the inputs were placed on %s" % (t.device, place))
            a = t.numpy()
            out[name] = Output(a.astype(np.float64), a.dtype.name)
        return out

    def error_kind(self, error: Exception) -> str:
        """Classify an exception by the words of tinygrad's messages, then by its type."""
        text = str(error)
        found = (kind for words, kind in _MESSAGES if words in text)
        return next(found, "bad_shape" if isinstance(error, (ValueError, AssertionError, IndexError)) else "internal")

    def script(self, problem: Problem, device: str, mode: str) -> str:
        """Write the same computation as a program of tinygrad alone."""
        body: List[str] = []
        for name, a, entries in source.constants(problem):
            kind = a.dtype.name if a.dtype.kind in "iu" else problem.dtype_of_input(name)
            array = "np.array(%s, np.%s).reshape(%r)" % (entries, kind, a.shape)
            body.append('%s = Tensor(%s, device="%s").realize()' % (name, array, device.upper()))
        body += ["", *computation(problem)]
        body += ['print("%s", %s.numpy().astype(float).tolist())' % (name, name) for name in _computed(problem)]
        # The module has no version of its own.
        body.append('print("tinygrad", __import__("importlib.metadata").metadata.version("tinygrad"))')
        imports = ["import numpy as np", "from tinygrad import Tensor"]
        return source.program(source.title(problem, "tinygrad"), imports, body)


_MESSAGES = (
    ("label_smoothing must be", "bad_option"),
    ("reduction=", "bad_option"),
    ("shape", "bad_shape"),
    ("expand", "bad_shape"),
    ("dtype", "bad_dtype"),
    ("Out of memory", "resource"),
)


def computation(p: Problem) -> List[str]:
    """Write the lines that compute every output on offer, of the tensors that bear the names of the problem's arrays.

    Raises UnsupportedProblem for what tinygrad has no option for.
    """
    return ["value = %s" % expression(p), *_derivatives(p)]


def expression(p: Problem) -> str:
    """Write the call that computes the value."""
    if not p.is_loss:
        return "x.%s(%s)" % (p.op, "" if p.omit else "axis=%d" % p.axis)
    axis = p.axis % p.x.ndim
    if p.op == "nll_loss":
        if p.x.ndim < 2 or axis != 1:
            raise UnsupportedProblem("Tensor.nll_loss takes classes on axis 1 only")
        weight = "" if p.weight is None else ", weight=weight"
        ignored = "" if p.ignore_index is None else ", ignore_index=%d" % p.ignore_index
        return 'x.nll_loss(target%s%s, reduction="%s")' % (weight, ignored, p.reduction)
    if p.weight is not None:
        raise UnsupportedProblem("tinygrad's cross-entropies take no class weights")
    smoothing = ", label_smoothing=%r" % p.label_smoothing if p.label_smoothing else ""
    if not p.has_probability_target and axis == p.x.ndim - 1:
        if p.ignore_index == -1:
            raise UnsupportedProblem("Tensor.sparse_categorical_crossentropy ignores no label where that is -1")
        ignored = "" if p.ignore_index is None else ", ignore_index=%d" % p.ignore_index
        return 'x.sparse_categorical_crossentropy(target%s%s, reduction="%s")' % (ignored, smoothing, p.reduction)
    if p.ignore_index is not None:
        raise UnsupportedProblem("Tensor.cross_entropy has no ignore_index")
    if axis != min(1, p.x.ndim - 1):
        raise UnsupportedProblem("Tensor.cross_entropy takes classes on axis 1 only")
    return 'x.cross_entropy(target%s, reduction="%s")' % (smoothing, p.reduction)


def _derivatives(p: Problem) -> Iterator[str]:
    if "vjp" in p.want or "hvp" in p.want:
        yield "vjp, = value.gradient(x, gradient=cotangent)"
    if "hvp" in p.want:
        yield "hvp, = (vjp * tangent).sum().gradient(x)"
    if "grad_target" in p.want:
        yield "grad_target, = value.gradient(target, gradient=cotangent)"


def _computed(p: Problem) -> List[str]:
    return [name for name in p.want if name in ("value", "vjp", "hvp", "grad_target")]


ADAPTER = TinygradAdapter()
