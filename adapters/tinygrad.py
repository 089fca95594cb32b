"""tinygrad: its softmaxes and losses, on every device that it opens, with gradients by ``Tensor.gradient``."""

from __future__ import annotations

from typing import Any, Dict

from tinygrad import Device

from .program_adapter import ProgramAdapter
from .protocol import Capabilities, Problem, Support, UnsupportedProblem

# Infinity minus infinity in the shift; the labels become a one-hot row, which of an unknown label is 0.
_CONVENTIONS = {
    ("3", "cross_entropy", "vjp"): "Q p - w q'",
    **{("4", op, output): "nan" for op in ("softmax", "log_softmax", "cross_entropy") for output in ("value", "vjp")},
}
# What OpenCL, WGSL and CUDA promise of their elementary functions (docs/bounds.md, section 1).
_SHADER = {"profiles": {(op, "float32"): "S" for op in ("softmax", "log_softmax", "cross_entropy")}}
_DEVICES = ("CPU", "CL", "WEBGPU", "CUDA", "NV", "AMD", "METAL", "QCOM")


def _softmax(p: Problem, mode: str) -> str:
    return "x.%s(%s)" % (p.op, "" if p.omit else "axis=%d" % p.axis)


def _loss(p: Problem, mode: str) -> str:
    """Write the call that computes a loss. Raises UnsupportedProblem for what tinygrad has no option for."""
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


def _devices() -> Dict[str, Any]:
    """Return the devices that open, by the names that target strings give them, that of the CPU first."""
    found = {name.lower(): Device[name] for name in Device.get_available_devices() if name in _DEVICES}
    if not found:
        raise ImportError("tinygrad finds no device; one for the CPU needs clang on PATH", name="tinygrad")
    return {name.lower(): found[name.lower()] for name in _DEVICES if name.lower() in found}


_OPEN = _devices()


def _facts() -> Dict[str, str]:
    """The devices with their drivers and renderers."""
    facts = {}
    for name, device in _OPEN.items():
        about = [getattr(device, a, "") for a in ("device_name", "driver_version")]
        facts[name] = ", ".join(str(a) for a in (*about, type(device.renderer).__name__) if a)
    return facts


ADAPTER = ProgramAdapter(
    "tinygrad",
    Capabilities(
        ops={
            "softmax": Support("native"),
            "log_softmax": Support("native"),
            "nll_loss": Support("native", ("index",)),
            "cross_entropy": Support(
                "native", note="sparse_categorical_crossentropy of labels on the last axis, else cross_entropy"
            ),
        },
        dtypes=("float32", "float16"),
        devices=tuple(_OPEN),
        omits=("softmax", "log_softmax"),
        compile_cost="dear",
        zeroes_unknown_labels=True,
        conventions=_CONVENTIONS,
        by_device={name: _SHADER for name in _OPEN if name != "cpu"},
    ),
    imports=("from tinygrad import Tensor",),
    functions={"softmax": _softmax, "log_softmax": _softmax, "nll_loss": _loss, "cross_entropy": _loss},
    derivatives={
        "vjp": "vjp, = value.gradient(x, gradient=cotangent)",
        "hvp": "hvp, = (vjp * tangent).sum().gradient(x)",
        "grad_target": "grad_target, = value.gradient(target, gradient=cotangent)",
    },
    put='Tensor({a}, device="{device}").realize()',
    pull="{t}.numpy()",
    place=str.upper,
    errors=(
        ("label_smoothing must be", "bad_option"),
        ("reduction=", "bad_option"),
        ("shape", "bad_shape"),
        ("expand", "bad_shape"),
        ("dtype", "bad_dtype"),
        ("Out of memory", "resource"),
    ),
    # A constant that the compiler has folded is nowhere yet.
    device_of=lambda t: (t.device or "").lower(),
    facts=_facts,
)
