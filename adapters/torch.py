"""PyTorch: ``torch.nn.functional``'s own functions, in every way in which they are differentiated and compiled."""

from __future__ import annotations

import functools
import os
import platform
from typing import Any, Dict, Iterator, Mapping, Tuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (PyTorch's own convention)

from . import processor, torch_devices, torch_kernels, torch_modes, torch_source, torch_switches
from .given import Given
from .protocol import (
    ARRAYS,
    LAYOUTS,
    LOSSES,
    OPS,
    OUTPUTS,
    Capabilities,
    Description,
    Meter,
    Problem,
    Support,
    UnsupportedProblem,
)
from .torch_compiled import Compiled, available, original
from .torch_ops import DTYPES, NAMES, function, ignored_label, placed, pulled

# Infinity minus infinity in the shift; the derivative of what is computed, for targets of any sum and for ignored
# rows of nll_loss; "ignore_index is only applicable when the target contains class indices" (documentation).
_CONVENTIONS = {
    ("3", "cross_entropy", "vjp"): "Q p - w q'",
    **{("4", op, output): "nan" for op in ("softmax", "log_softmax", "cross_entropy") for output in ("value", "vjp")},
    ("11", "nll_loss", "vjp"): "limit",
    ("14", "cross_entropy", "value"): "error:bad_option|no effect",
    ("14", "cross_entropy", "vjp"): "no effect",
}
_COMPILED: Mapping[str, Any] = {
    "compile_cost": "dear",
    "outputs": ("value", "vjp", "grad_target"),
    "layouts": ("contiguous",),
    "laid": (),
}


class TorchAdapter:
    """The functions ``F.softmax``, ``F.log_softmax``, ``F.nll_loss`` and ``F.cross_entropy``."""

    name = "torch"

    def __init__(self) -> None:
        self.meter = Meter()
        self._compiled = Compiled(self.meter)
        ops = {
            "softmax": Support("native"),
            "log_softmax": Support("native"),
            "nll_loss": Support("native", ("index",)),
            "cross_entropy": Support("native"),
        }
        # What overlaps cannot be written into.
        kernels = {
            "ops": {op: ops[op] for op in torch_kernels.OPS},
            "outputs": ("value", "vjp"),
            "layouts": tuple(layout for layout in LAYOUTS if layout not in ("reversed", "expanded")),
            "out_dtypes": (),
        }
        # PyTorch has no negative strides.
        offered = tuple(layout for layout in LAYOUTS if layout != "reversed")
        self._capabilities = Capabilities(
            ops=ops,
            devices=torch_devices.present(),
            modes=tuple(_modes()),
            outputs=OUTPUTS,
            layouts=offered,
            laid=ARRAYS,
            conventions=_CONVENTIONS,
            out_dtypes=OPS,
            # The default of dim is deprecated.
            omits=LOSSES,
            variables=(*processor.variables(processor.ATEN, processor.ONEDNN), "OMP_NUM_THREADS=4"),
            by_mode={
                "compile": _COMPILED,
                "dynamic": _COMPILED,
                "vmap": {"layouts": ("contiguous",), "laid": ()},
                "kernels": kernels,
                "reverse-over-forward": {"outputs": ("value", "vjp", "hvp")},
                # Gradients are what is trained with; float64 takes no part in mixed precision.
                "autocast": {"dtypes": ("float32", "bfloat16", "float16"), "outputs": ("value", "vjp")},
            },
        )

    def describe(self) -> Description:
        """Report versions, threads, the instruction set and the flags that can change bits."""
        versions = {"torch": torch.__version__, "numpy": np.__version__, "python": platform.python_version()}
        facts = {
            "threads": str(torch.get_num_threads()),
            "mkldnn": str(torch.backends.mkldnn.is_available()),
            "deterministic": str(torch.are_deterministic_algorithms_enabled()),
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", ""),
        }
        cpu = getattr(torch.backends, "cpu", None)
        if cpu is not None:
            facts["cpu"] = cpu.get_cpu_capability()
        facts["isa"] = processor.of_torch(facts.get("cpu", os.environ.get("ATEN_CPU_CAPABILITY", "")))
        facts["onednn"] = processor.of_onednn() if torch.backends.mkldnn.is_available() else "off"
        return Description(versions, {**facts, **processor.limits(), **torch_devices.facts()})

    def capabilities(self) -> Capabilities:
        """Offer everything native, in four dtypes, on the CPU and on the accelerators that are present."""
        return self._capabilities

    def evaluate(self, problem: Problem, device: str, mode: str) -> Dict[str, Any]:
        """Compute every output that is wanted and on offer, in a way of ``torch_modes`` or ``torch_compiled``."""
        with torch_devices.watched(device, self.error_kind):
            torch_devices.probe(problem, device)
            missing = _missing_kernel(problem.op, DTYPES[problem.dtype], device)
            if missing:
                raise UnsupportedProblem(missing)
            with torch_switches.switched(mode, problem, device):
                out = self._outputs(problem, placed(problem, device), mode)
            torch_devices.check(device, (t for t in out.values() if not isinstance(t, Exception)))
            return {name: t if isinstance(t, Exception) else pulled(t) for name, t in out.items()}

    def _outputs(self, p: Problem, g: Given, mode: str) -> Dict[str, Any]:
        want = _offered(p)
        if mode == "kernels":
            return torch_kernels.evaluate(p, g, want)
        if mode in ("compile", "dynamic"):
            return self._compiled.evaluate(p, g, want, dynamic=mode == "dynamic")

        def value_of(p: Problem) -> torch_modes.Value:
            f, ignore = function(p), ignored_label(p)
            return lambda x, target: f(x, target, g.weight, ignore)

        if mode == "vmap":
            return torch_modes.batched(value_of, p, g, want)
        f = value_of(torch_switches.under(mode, p))
        if mode == "functional":
            return torch_modes.functional(f, g, want)
        if mode == "double-backward":
            return torch_modes.double_backward(f, g, want)
        if mode == "reverse-over-forward":
            return torch_modes.reverse_over_forward(f, g, want)
        return {**torch_modes.backward(f, g, want), **torch_modes.forward_ad(f, g, want)}

    def error_kind(self, error: Exception) -> str:
        """Classify an exception by its type first, then by the words of PyTorch's messages."""
        text = original(error)
        if isinstance(error, IndexError):
            return "bad_label" if text.startswith("Target ") else "bad_shape"
        if isinstance(error, NotImplementedError):
            return "bad_dtype" if "not implemented for" in text else "unsupported"
        if isinstance(error, (ValueError, RuntimeError, AssertionError)):
            # What a compiler wraps is a RuntimeError, too.
            return next((kind for words, kind in _MESSAGES if words in text), "internal")
        return "internal"

    def script(self, problem: Problem, device: str, mode: str) -> str:
        """Write the call as a program of PyTorch alone."""
        offered = self._capabilities.in_mode(mode).outputs
        want = tuple(name for name in _offered(problem) if name in offered)
        return torch_source.script(problem, device, mode, want)


def _modes() -> Iterator[str]:
    yield "eager"
    if available():
        yield from ("compile", "dynamic")
    if hasattr(torch, "func"):
        yield from ("vmap", "functional")
    yield from ("double-backward", "reverse-over-forward", "kernels", "deterministic")
    if hasattr(torch, "autocast"):
        yield "autocast"
    if torch.cuda.is_available():
        yield "tf32"


_MESSAGES = (
    ("out of memory", "resource"),
    ("can't allocate memory", "resource"),
    # All that the kernels of these operations assert is that labels are in range.
    ("device-side assert", "bad_label"),
    # Of a compiler, which does not know a size yet: nothing is wrong with the shapes.
    ("symbolic sizes", "internal"),
    ("label_smoothing", "bad_option"),
    ("valid value for reduction", "bad_option"),
    ("ignore_index", "bad_option"),
    ("out of bounds", "bad_label"),
    ("expected target dtype", "bad_dtype"),
    ("expected scalar type", "bad_dtype"),
    ("Expected dtype int", "bad_dtype"),
    ("floating point", "bad_dtype"),
    ("batch_size", "bad_shape"),
    ("weight tensor should be defined", "bad_shape"),
    ("shape", "bad_shape"),
    ("size", "bad_shape"),
    ("dimension", "bad_shape"),
    ("target tensor expected", "bad_shape"),
)


def _offered(p: Problem) -> Tuple[str, ...]:
    """Return what is wanted of a problem, but for JVPs in what is expanded.

    A dual number's tangent has the strides of its primal, and ``make_dual`` refuses to copy a tangent into entries that
    share memory.
    """
    refused = {"": "jvp", "x": "jvp", "target": "jvp_target"}.get(p.laid) if p.layout == "expanded" else None
    return tuple(name for name in p.want if name != refused)


@functools.lru_cache(maxsize=None)
def _missing_kernel(op: str, dtype: torch.dtype, device: str) -> str:
    """Return what a release says that has no kernel of an op for a dtype on a device; an empty text if it has one.

    Older ones have none for float16 on the CPU.
    """
    x = torch.zeros((1, 2), dtype=dtype, device=device, requires_grad=True)
    labels = torch.zeros(1, dtype=torch.int64, device=device)
    try:
        value = (
            getattr(F, op)(x, 1) if op in ("softmax", "log_softmax") else getattr(F, op)(x, labels, reduction="none")
        )
        torch.autograd.grad(value, x, torch.ones_like(value))
    except RuntimeError as error:
        text = str(error)
        if "not implemented for" in text:
            return "no kernel for %s of %s on %s: %s" % (op, NAMES[dtype], device, text.splitlines()[0])
        raise
    return ""


ADAPTER = TorchAdapter()
