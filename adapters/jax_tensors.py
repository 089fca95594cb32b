"""The way of a problem through JAX: onto a device as arrays, through a computation, and exactly back.

Every computation on JAX's arrays goes this way: the adapters' own functions, and those that somebody else wrote.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Sequence

import jax
import jax.numpy as jnp

from . import jax_modes
from .given import Given
from .jax_modes import TYPES, placed, pulled
from .kernel_times import Measure, given_of, of_outputs
from .protocol import Problem

OFFERED_LAYOUTS = ("contiguous",)


def computed(p: Problem, device: str, outputs: Callable[[Given], Dict[str, Any]]) -> Dict[str, Any]:
    """Compute outputs of the arrays of a problem on a device, and pull them back; exceptions among them stay.

    Raises RuntimeError for a result on another device.
    """
    place = _place(device)
    with jax.default_device(place):
        out = outputs(placed(p, place))
        for t in out.values():
            if not isinstance(t, Exception) and t.devices() != {place}:
                raise RuntimeError("a result is on %s; the inputs were placed on %s" % (t.devices(), place))
        return {name: t if isinstance(t, Exception) else pulled(t) for name, t in out.items()}


def timed(p: Problem, device: str, outputs: Callable[[Problem, Given], Any], measure: Measure) -> Mapping[str, float]:
    """Measure the outputs of arrays that are placed on a device, each waited for, beside a copy of the input."""
    place = _place(device)
    with jax.default_device(place):
        g = placed(p, place)

        def copy() -> None:
            jax.block_until_ready(jnp.array(g.x, copy=True))

        return measure(of_outputs(p, copy, lambda asked: jax.block_until_ready(outputs(asked, given_of(asked, g)))))


def _place(device: str) -> Any:
    kind, _, index = device.partition(":")
    return jax.devices(kind)[int(index or 0)]


def derive(f: Callable[[Any, Any], Any], g: Given, want: Sequence[str]) -> Dict[str, Any]:
    """Compute the value, gradients by ``jax.vjp``, directions by ``jax.jvp``."""
    return jax_modes.derive(lambda x, target, select_used: f(x, target), g, want)


def dtype(name: str) -> Any:
    """Return JAX's dtype of a format."""
    return TYPES[name]


def is_tensor(a: Any) -> bool:
    """Tell whether something is an array of JAX."""
    return isinstance(a, jax.Array)


def is_cut_off(value: Any) -> bool:
    """Tell whether a value has no derivative; JAX has one of everything that it traces."""
    return False


def error_kind(error: Exception) -> str:
    """Classify an exception by its type; XLA's runtime errors carry a status word."""
    if isinstance(error, IndexError):
        return "bad_label"
    if isinstance(error, RuntimeError):
        # The autotuner reports that no kernel ran (NOT_FOUND), and then why.
        full = str(error).startswith("RESOURCE_EXHAUSTED") or "out of memory" in str(error)
        return "resource" if full else "internal"
    if isinstance(error, TypeError):
        return "bad_shape" if "shape" in str(error) else "bad_dtype"
    return "bad_shape" if isinstance(error, ValueError) else "internal"
