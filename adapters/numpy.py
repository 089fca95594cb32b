"""The embedded default: a careful NumPy implementation with analytic gradients.

Everything is computed in float32 (float64 for float64) and rounded once to the IO dtype, so it is profile W in all
four dtypes. It shares no code with the oracle.
"""

from __future__ import annotations

import platform
from typing import Any, Dict, Optional, Tuple

import numpy as np

from .protocol import Capabilities, Description, Problem, Support, Tensor

_WIDE = {"float64": np.float64, "float32": np.float32, "bfloat16": np.float32, "float16": np.float32}


class NumpyAdapter:
    """Stable softmax family in NumPy."""

    name = "numpy"

    def describe(self) -> Description:
        """NumPy's version and the CPU features it uses."""
        return Description({"numpy": np.__version__}, {"python": platform.python_version()})

    def capabilities(self) -> Capabilities:
        """All ops and dtypes, on the CPU."""
        profiles = {(op, dtype): "W" for op in _RULES for dtype in ("bfloat16", "float16")}
        ops = {
            "softmax": Support("native"),
            "log_softmax": Support("native"),
            "nll_loss": Support("native", ("index",)),
            "cross_entropy": Support("native"),
        }
        return Capabilities(ops=ops, profiles=profiles)

    def evaluate(self, problem: Problem, device: str, mode: str) -> Dict[str, Any]:
        """Value, and VJP where a cotangent is given."""
        wide = _WIDE[problem.dtype]
        x = np.moveaxis(problem.x.astype(wide), problem.axis, -1)
        with np.errstate(all="ignore"):
            value, vjp = _RULES[problem.op](problem, x)
        value = np.asarray(value)
        if not problem.is_loss:
            value = np.moveaxis(value, -1, problem.axis)
        out = {"value": Tensor(narrow(value, problem.dtype), problem.dtype)}
        if vjp is not None:
            out["vjp"] = Tensor(narrow(np.moveaxis(vjp, -1, problem.axis), problem.dtype), problem.dtype)
        return out

    def error_kind(self, error: Exception) -> str:
        """NumPy raises ValueError for shapes and IndexError for labels."""
        if isinstance(error, IndexError):
            return "bad_label"
        return "bad_shape" if isinstance(error, ValueError) else "internal"

    def script(self, problem: Problem) -> str:
        """The plain formula: NumPy has no function of its own for these operations."""
        raise NotImplementedError


def narrow(a: np.ndarray, dtype: str) -> np.ndarray:
    """Round float32 to the IO dtype, once, and widen exactly to float64."""
    if dtype == "float16":
        with np.errstate(over="ignore"):
            return a.astype(np.float16).astype(np.float64)
    if dtype == "bfloat16":
        bits = np.ascontiguousarray(a, dtype=np.float32).view(np.uint32)
        even = ((bits >> np.uint32(16)) & np.uint32(1)) + np.uint32(0x7FFF)
        rounded = np.where(np.isnan(a), bits, bits + even) & np.uint32(0xFFFF0000)
        return rounded.view(np.float32).reshape(a.shape).astype(np.float64)
    return a.astype(np.float64)


def _stable(x: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Softmax and log-softmax over the last axis. A row of -inf alone gives NaN, as 0/0 does."""
    shifted = x - np.max(x, axis=-1, keepdims=True)
    e = np.exp(shifted)
    # The largest term is exactly 1; log1p of the others keeps confident rows accurate.
    top = np.argmax(x, axis=-1)[..., None]
    rest = e.copy()
    np.put_along_axis(rest, top, 0, axis=-1)
    r = rest.sum(axis=-1, keepdims=True)
    broken = np.isnan(shifted).any(axis=-1, keepdims=True)
    y = np.where(broken, np.nan, shifted - np.log1p(r)).astype(x.dtype)
    return np.where(broken, np.nan, e / (1 + r)).astype(x.dtype), y


def _softmax(problem: Problem, x: np.ndarray) -> Tuple[np.ndarray, Optional[np.ndarray]]:
    p, _ = _stable(x)
    if problem.cotangent is None:
        return p, None
    v = np.moveaxis(problem.cotangent.astype(x.dtype), problem.axis, -1)
    return p, p * (v - np.sum(p * v, axis=-1, keepdims=True))


def _log_softmax(problem: Problem, x: np.ndarray) -> Tuple[np.ndarray, Optional[np.ndarray]]:
    p, y = _stable(x)
    if problem.cotangent is None:
        return y, None
    v = np.moveaxis(problem.cotangent.astype(x.dtype), problem.axis, -1)
    return y, v - p * v.sum(axis=-1, keepdims=True)


def _loss(problem: Problem, x: np.ndarray) -> Tuple[np.ndarray, Optional[np.ndarray]]:
    wide, k = x.dtype, x.shape[-1]
    if problem.op == "nll_loss":
        p, y = np.zeros_like(x), x
    else:
        p, y = _stable(x)
    w = np.ones(k, wide) if problem.weight is None else problem.weight.astype(wide)
    # sanity check: losses have targets
    assert problem.target is not None
    eps = problem.label_smoothing
    if problem.has_probability_target:
        q = np.moveaxis(problem.target.astype(wide), problem.axis, -1)
        kept = np.ones(x.shape[:-1], dtype=bool)
        scale = np.ones(x.shape[:-1], dtype=wide)
    else:
        labels = problem.target.astype(np.int64)
        kept = np.ones(labels.shape, bool) if problem.ignore_index is None else labels != problem.ignore_index
        labels = np.where(kept, labels, 0)
        if np.any((labels < 0) | (labels >= k)):
            raise IndexError("label out of range for %d classes" % k)
        q = (np.arange(k) == labels[..., None]).astype(wide)
        scale = np.where(kept, w[labels], 0).astype(wide)
    mixed = ((1 - eps) * q + eps / k).astype(wide) if eps else q
    c = np.where(kept[..., None], w * mixed, 0).astype(wide)
    terms = np.where(c == 0, 0, c * y)
    undefined = np.isnan(y) & kept[..., None]
    if problem.op == "nll_loss":
        undefined = undefined & (q > 0)
    loss = np.where(undefined.any(axis=-1), np.nan, -terms.sum(axis=-1)).astype(wide)
    value = loss if problem.reduction == "none" else loss.sum()
    g = np.ones_like(loss)
    if problem.reduction == "mean":
        denominator = scale.sum()
        value = np.asarray(value / denominator, wide)
        g = g / denominator
    if problem.cotangent is None:
        return value, None
    g = np.where(kept, g * problem.cotangent.astype(wide), 0).astype(wide)[..., None]
    if problem.op == "nll_loss":
        return value, np.where(c == 0, 0, -g * c).astype(wide)
    total = c.sum(axis=-1, keepdims=True)
    return value, np.where(kept[..., None], g * (total * p - c), 0).astype(wide)


_RULES = {"softmax": _softmax, "log_softmax": _log_softmax, "nll_loss": _loss, "cross_entropy": _loss}
ADAPTER = NumpyAdapter()
