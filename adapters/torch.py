"""PyTorch: ``torch.nn.functional``'s own functions, in every way in which they are differentiated and compiled."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any, Dict, Iterator, Mapping, Tuple

import torch
import torch.nn.functional as F  # noqa: N812 (PyTorch's own convention)

from . import (
    processor,
    torch_devices,
    torch_evidence,
    torch_kernels,
    torch_large,
    torch_modes,
    torch_source,
    torch_switches,
)
from .given import Given, ignored_label
from .kernel_times import Measure, given_of, of_outputs
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
from .torch_compiled import Compiled, available
from .torch_giant import TorchGiant
from .torch_ops import DTYPES, NAMES, function, placed
from .torch_tensors import OFFERED_LAYOUTS, computed, derive, error_kind

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
# Sums of repeated rows have other bounds. A call takes as long as a compilation, and so is not asked for everything.
_LARGE: Mapping[str, Any] = {
    "compile_cost": "cheap",
    "outputs": ("value", "vjp"),
    "layouts": ("contiguous",),
    "laid": (),
    "reductions": ("none",),
    "omits": (),
}


class TorchAdapter:
    """The functions ``F.softmax``, ``F.log_softmax``, ``F.nll_loss`` and ``F.cross_entropy``."""

    name = "torch"

    def __init__(self) -> None:
        self.meter = Meter()
        self._compiled = Compiled(self.meter)
        self.giant = TorchGiant(self._outputs)
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
        modes = tuple(_modes())
        by_mode = {
            "compile": _COMPILED,
            "dynamic": _COMPILED,
            "vmap": {"layouts": ("contiguous",), "laid": ()},
            "kernels": kernels,
            "large": {**_LARGE, "devices": tuple(filter(torch_large.offered, torch_devices.present()))},
            "reverse-over-forward": {"outputs": ("value", "vjp", "hvp")},
            # Gradients are what is trained with; float64 takes no part in mixed precision.
            "autocast": {"dtypes": ("float32", "bfloat16", "float16"), "outputs": ("value", "vjp")},
        }
        self._capabilities = Capabilities(
            ops=ops,
            devices=torch_devices.present(),
            modes=modes,
            outputs=OUTPUTS,
            layouts=OFFERED_LAYOUTS,
            laid=ARRAYS,
            conventions=_CONVENTIONS,
            out_dtypes=OPS,
            # The default of dim is deprecated.
            omits=LOSSES,
            scales=OPS,
            variables=(*processor.variables(processor.ATEN, processor.ONEDNN), "OMP_NUM_THREADS=4"),
            by_mode={mode: differing for mode, differing in by_mode.items() if mode in modes},
        )

    def describe(self) -> Description:
        """Report versions, threads, the instruction set and the flags that can change bits."""
        return Description(torch_evidence.versions(), torch_evidence.facts())

    def capabilities(self) -> Capabilities:
        """Offer everything native, in four dtypes, on the CPU and on the accelerators that are present."""
        return self._capabilities

    def evaluate(self, problem: Problem, device: str, mode: str) -> Dict[str, Any]:
        """Compute every output that is wanted and on offer, in a way of ``torch_modes`` or ``torch_compiled``."""
        with torch_switches.switched(mode, problem, device):
            return computed(problem, device, lambda g: self._outputs(problem, g, mode))

    def _outputs(self, p: Problem, g: Given, mode: str) -> Dict[str, Any]:
        missing = _missing_kernel(p.op, DTYPES[p.dtype], str(g.x.device))
        if missing:
            raise UnsupportedProblem(missing)
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
        if mode == "large":
            return torch_large.evaluate(f, p, g, want)
        if mode == "functional":
            return torch_modes.functional(f, g, want)
        if mode == "double-backward":
            return torch_modes.double_backward(f, g, want)
        if mode == "reverse-over-forward":
            return torch_modes.reverse_over_forward(f, g, want)
        return derive(f, g, want)

    def timed(self, problem: Problem, device: str, mode: str, measure: Measure) -> Mapping[str, float]:
        """Time value and gradient of tensors that are placed, beside PyTorch's copy of the input."""

        def evaluate(p: Problem) -> None:
            given = replace(given_of(p, g), x=x.detach())
            for t in self._outputs(p, given, mode).values():
                torch_devices.wait(t)

        with torch_switches.switched(mode, problem, device), torch_devices.watched(device, error_kind):
            torch_devices.probe(problem, device)
            g = placed(problem, device)
            x, place = g.x, g.x.clone()
            return measure(of_outputs(problem, lambda: torch_devices.wait(place.copy_(x)), evaluate))

    def error_kind(self, error: Exception) -> str:
        """Classify an exception by its type first, then by the words of PyTorch's messages."""
        return error_kind(error)

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
    if any(map(torch_large.offered, torch_devices.present())):
        yield "large"


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
