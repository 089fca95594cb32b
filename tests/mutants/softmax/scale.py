"""Mutants of softmax and log_softmax with a factor before the op, which a compiler moves where it does not belong."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tests.mutants.kit.entries import bug
from tests.mutants.kit.mutant import Mutant
from tests.mutants.kit.softmax_steps import BF16, Array, Function, row_max, through, wide

_HIDES = "torch-compile-scaled-softmax-hides-nan (pytorch/pytorch#161150, fix #184046)"
_SIBLING = "sibling of " + _HIDES


def _rows(shift: Callable[[Array, Array], Array], *, log: bool) -> Function:
    """Softmax of ``scale * x`` with the difference from the maximum formed in another way."""

    def value(x: Array, *, axis: int = -1, scale: float = 1.0) -> Array:
        with np.errstate(all="ignore"):
            rows = np.moveaxis(x, axis, -1).astype(wide(x.dtype))
            d = shift(rows, rows.dtype.type(scale)) if scale != 1.0 else rows - row_max(rows)
            e = np.exp(d)
            s = e.sum(axis=-1, keepdims=True, dtype=rows.dtype)
            out = d - np.log(s) if log else e / s
            return np.moveaxis(np.asarray(out).astype(x.dtype), -1, axis)

    return value


def _pulled_out(x: Array, scale: Array) -> Array:
    return scale * (x - row_max(x))


def _sign_kept(x: Array, scale: Array) -> Array:
    return scale * (x - (row_max(x) if scale > 0 else -row_max(-x)))


def _dropped(x: Array, scale: Array) -> Array:
    return x - row_max(x)


def _half(x: Array, scale: Array) -> Array:
    return scale * x - row_max(x)


def _folded(x: Array, scale: Array) -> Array:
    """In powers of two, with the factor in theirs: ``x c - max(x c)`` of rounded products."""
    c = (scale * x.dtype.type(np.log2(math.e))).astype(x.dtype)
    return ((x * c - row_max(x * c)) * x.dtype.type(np.log(2.0))).astype(x.dtype)


def _fused(x: Array, scale: Array) -> Array:
    """``fma(x, scale, -max)`` with the maximum of rounded products: products of float32 are exact in float64."""
    exact = x.astype(np.float64) * np.float64(scale)
    return (exact - row_max(x * scale).astype(np.float64)).astype(x.dtype)


def _narrow(x: Array, scale: Array) -> Array:
    z = x * through(BF16)(np.asarray(scale))
    return z - row_max(z)


_MISTAKES: dict[str, tuple[str, str, Callable[[Array, Array], Array]]] = {
    "factor pulled out of the maximum": (
        "scale (x - max x): a negative factor needs the minimum",
        _SIBLING,
        _pulled_out,
    ),
    "factor hides an overflow": ("scale (x - max x): an infinite product becomes a finite logit", _HIDES, _sign_kept),
    "factor dropped": ("the fused kernel ignores it", _SIBLING, _dropped),
    "factor folded into the exponential": ("products with scale log2(e) are rounded", _SIBLING, _folded),
    "maximum of a rounded product": (
        "a fused product less the maximum of rounded ones: beyond 2^24 the difference of equal numbers is not small",
        "section 4, clause 7; JAX 0.10.2 under jit",
        _fused,
    ),
    "factor in bfloat16": ("a constant of the graph in 16 bits: 3 and -5/4 are whole there", _SIBLING, _narrow),
    "factor dropped from the maximum": ("scale x - max x", _SIBLING, _half),
}

MUTANTS: tuple[Mutant, ...] = tuple(
    replace(
        bug(op, name, why, source, _rows(shift, log=op == "log_softmax"), expect=("float32",)),
        options=frozenset({"axis", "scale"}),
    )
    for op in ("softmax", "log_softmax")
    for name, (why, source, shift) in _MISTAKES.items()
)
