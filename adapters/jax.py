"""JAX: ``jax.nn.softmax`` and ``jax.nn.log_softmax``, losses composed over ``jax.numpy``, gradients by ``jax.vjp``."""

from __future__ import annotations

import os
import platform
from typing import Any, Dict, Iterator, Mapping

import jax
import jaxlib
import numpy as np

from . import compose, jax_source, processor
from .drivers import nvidia_driver
from .jax_giant import JaxGiant
from .jax_modes import Modes
from .jax_tensors import computed, error_kind, timed
from .kernel_times import Measure
from .protocol import LOSSES, OPS, OUTPUTS, Capabilities, Description, Meter, Problem, Support

jax.config.update("jax_enable_x64", True)

# Infinity minus infinity in the shift; JAX differentiates what is computed; the composition has no ignore_index for
# probabilities.
_CONVENTIONS = {
    ("3", "cross_entropy", "vjp"): "Q p - w q'",
    **{("4", op, output): "nan" for op in ("softmax", "log_softmax", "cross_entropy") for output in ("value", "vjp")},
    ("11", "nll_loss", "vjp"): "limit",
    **{("14", "cross_entropy", output): "no effect" for output in ("value", "vjp")},
}


class JaxAdapter:
    """``jax.nn``, op by op and compiled."""

    name = "jax"

    def __init__(self) -> None:
        self.meter = Meter()
        self._modes = Modes(self.meter)
        self.giant = JaxGiant(self._modes.evaluate)
        how = "JAX has no loss functions: composed from jax.nn.log_softmax in float32 (float64 for float64)"
        ops = {
            "softmax": Support("native"),
            "log_softmax": Support("native"),
            "nll_loss": Support("composed", ("index",), how),
            "cross_entropy": Support("composed", note=how),
        }
        profiles = {(op, dtype): "W" for op in LOSSES for dtype in ("bfloat16", "float16")}
        # Each operation is compiled for each new shape: 0.2 to 0.9 s for a signature, measured.
        self._capabilities = Capabilities(
            ops=ops,
            devices=tuple(_devices()),
            modes=("eager", "jit", "vmap", "grad-of-jit", "where"),
            profiles=profiles,
            outputs=OUTPUTS,
            out_dtypes=LOSSES,
            omits=("softmax", "log_softmax"),
            scales=OPS,
            compile_cost="cheap",
            conventions=_CONVENTIONS,
            variables=(*processor.variables(processor.XLA), "NPROC=4"),
            by_mode={
                "where": {"ops": {op: ops[op] for op in ("softmax", "log_softmax")}, "outputs": ("value", "vjp", "jvp")}
            },
        )

    def describe(self) -> Description:
        """Report versions, devices and the flags that can change bits."""
        versions = {"jax": jax.__version__, "jaxlib": jaxlib.__version__, "numpy": np.__version__}
        facts = {
            "devices": ", ".join(sorted({d.device_kind for d in jax.devices()})),
            "jax_softmax_custom_jvp": str(getattr(jax.config, "jax_softmax_custom_jvp", "")),
            "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
            "isa": processor.of_xla(),
            **processor.limits(),
        }
        if jax.default_backend() == "gpu":
            facts["nvidia_driver"] = nvidia_driver()
        return Description({**versions, "python": platform.python_version()}, facts)

    def capabilities(self) -> Capabilities:
        """Offer native softmax and log_softmax and composed losses, on the CPU and on accelerators that are present."""
        return self._capabilities

    def evaluate(self, problem: Problem, device: str, mode: str) -> Dict[str, Any]:
        """Compute every output that is wanted, in one of the ways of ``jax_modes``."""
        compose.check_labels(problem)
        return computed(problem, device, lambda g: self._modes.evaluate(problem, g, mode))

    def timed(self, problem: Problem, device: str, mode: str, measure: Measure) -> Mapping[str, float]:
        """Time value and gradient of arrays that are placed, beside JAX's copy of the input."""
        return timed(problem, device, lambda p, g: self._modes.evaluate(p, g, mode), measure)

    def error_kind(self, error: Exception) -> str:
        """Classify an exception by its type; XLA's runtime errors carry a status word."""
        return error_kind(error)

    def script(self, problem: Problem, device: str, mode: str) -> str:
        """Write the same computation as a program of JAX alone."""
        return jax_source.script(problem, device, mode)


def _devices() -> Iterator[str]:
    """Yield ``cpu``, further CPU devices if XLA_FLAGS asks for them, accelerators. CUDA and ROCm are both ``gpu``."""
    yield "cpu"
    yield from ("cpu:%d" % i for i in range(1, len(jax.devices("cpu"))))
    if jax.default_backend() != "cpu":
        yield from ("%s:%d" % (d.platform, i) for i, d in enumerate(jax.devices()))


ADAPTER = JaxAdapter()
