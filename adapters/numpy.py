"""NumPy: the embedded default, a careful implementation with analytic gradients.

Everything is computed in float32 (float64 for float64) and rounded once to the IO dtype, so it is profile W in all
four dtypes. It shares no code with the oracle.
"""

from __future__ import annotations

import platform
from dataclasses import replace
from typing import Any, Dict, Optional, Tuple

import numpy as np

from . import layouts, processor, source
from .numpy_giant import NumpyGiant
from .numpy_source import TO_BFLOAT16, lines
from .protocol import (
    ARRAYS,
    LAYOUTS,
    OPS,
    OUTPUTS,
    REDUCED,
    REDUCTIONS,
    Capabilities,
    Description,
    Problem,
    Support,
    Tensor,
)

_WIDE = {"float64": np.float64, "float32": np.float32, "bfloat16": np.float32, "float16": np.float32}

# What the formulas below were written to do: infinity minus infinity in the shift is left alone, ignored rows have no
# gradient whatever they hold.
_CONVENTIONS = {
    ("3", "cross_entropy", "vjp"): "Q p - w q'",
    **{("4", op, output): "nan" for op in ("softmax", "log_softmax", "cross_entropy") for output in ("value", "vjp")},
    **{("11", "cross_entropy", output): "limit" for output in ("vjp", "hvp")},
    ("11", "nll_loss", "vjp"): "limit",
    **{("14", "cross_entropy", output): "no effect" for output in ("value", "vjp")},
}


class NumpyAdapter:
    """The stable softmax family in NumPy."""

    name = "numpy"

    def __init__(self) -> None:
        self.giant = NumpyGiant(self.evaluate)
        profiles = {(op, dtype): "W" for op in _RULES for dtype in ("bfloat16", "float16")}
        ops = {
            "softmax": Support("native"),
            "log_softmax": Support("native"),
            "nll_loss": Support("native", ("index",)),
            "cross_entropy": Support("native"),
        }
        self._capabilities = Capabilities(
            ops=ops,
            profiles=profiles,
            outputs=OUTPUTS,
            layouts=LAYOUTS,
            laid=ARRAYS,
            conventions=_CONVENTIONS,
            out_dtypes=OPS,
            omits=OPS,
            scales=OPS,
            variables=processor.variables(processor.numpy_features()),
        )

    def describe(self) -> Description:
        """Report NumPy's version and the CPU features that it uses."""
        facts = {"python": platform.python_version(), "isa": processor.of_numpy(), **processor.limits()}
        return Description({"numpy": np.__version__}, facts)

    def capabilities(self) -> Capabilities:
        """Offer all ops, dtypes, outputs and layouts, on the CPU."""
        return self._capabilities

    def evaluate(self, problem: Problem, device: str, mode: str) -> Dict[str, Any]:
        """Compute every output that the problem asks for, analytically."""
        wide = _WIDE[problem.result_dtype]
        plans = layouts.of_problem(problem)
        if plans:
            laid = {name: layouts.lay(_widened(getattr(problem, name), wide), plan) for name, plan in plans.items()}
            problem = replace(problem, **laid)
        x = np.moveaxis(problem.x.astype(wide, copy=False), problem.axis, -1)
        if problem.scale != 1.0:
            with np.errstate(over="ignore"):
                x = x * wide(problem.scale)
        with np.errstate(all="ignore"):
            found = _RULES[problem.op](problem, x)
            if "vjp_again" in problem.want:
                found["vjp_again"] = _RULES[problem.op](problem, x)["vjp"]
        out = {}
        for name, a in found.items():
            a = np.asarray(a, dtype=wide)
            if a.shape == x.shape and not (problem.is_loss and name in REDUCED):
                a = np.moveaxis(a, -1, problem.axis)
            dtype = problem.dtype_of(name)
            out[name] = Tensor(narrow(a, dtype), dtype)
        return out

    def error_kind(self, error: Exception) -> str:
        """Classify an exception: NumPy raises ValueError for shapes and IndexError for labels."""
        if isinstance(error, IndexError):
            return "bad_label"
        return "bad_shape" if isinstance(error, ValueError) else "internal"

    def script(self, problem: Problem, device: str, mode: str) -> str:
        """Write the formulas in straight lines: NumPy has no function of its own for these operations."""
        wide = "np." + _WIDE[problem.result_dtype].__name__
        body = []
        for name, a, entries in source.constants(problem):
            kind = "np.int64" if a.dtype.kind in "iu" else wide
            body.append("%s = np.array(%s, %s).reshape(%r)" % (name, entries, kind, a.shape))
        body += ['np.seterr(all="ignore")', *layouts.numpy_source(problem), *lines(problem, wide)]
        if problem.dtype == "bfloat16":
            body = [*TO_BFLOAT16, *body]
        for out in problem.want:
            kind = problem.dtype_of(out)
            back = {"float16": "%s.astype(np.float16)", "bfloat16": "to_bfloat16(%s)"}.get(kind, "%s")
            if kind == "float32" and wide == "np.float64":
                back = "%s.astype(np.float32)"
            body.append('print("%s", %s.astype(float).tolist())' % (out, back % out))
        body.append(source.version("np", "numpy"))
        return source.program(source.title(problem, "numpy"), ["import numpy as np"], body)


def narrow(a: np.ndarray, dtype: str) -> np.ndarray:
    """Round a wide array to the IO dtype, once, and widen exactly to float64."""
    if dtype in ("float32", "float16"):
        with np.errstate(over="ignore"):
            return a.astype(dtype).astype(np.float64)
    if dtype == "bfloat16":
        bits = np.ascontiguousarray(a, dtype=np.float32).view(np.uint32)
        even = ((bits >> np.uint32(16)) & np.uint32(1)) + np.uint32(0x7FFF)
        rounded = np.where(np.isnan(a), bits, bits + even) & np.uint32(0xFFFF0000)
        return rounded.view(np.float32).reshape(a.shape).astype(np.float64)
    return a.astype(np.float64)


def _widened(a: np.ndarray, wide: Any) -> np.ndarray:
    """Convert an array, or leave labels as they are."""
    return a.astype(wide) if a.dtype.kind == "f" else a


def _stable(x: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Compute softmax and log-softmax over the last axis. A row of -inf alone gives NaN, as 0/0 does."""
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


def _rows(a: Optional[np.ndarray], problem: Problem, wide: Any) -> Optional[np.ndarray]:
    return None if a is None else np.moveaxis(a.astype(wide, copy=False), problem.axis, -1)


def _total(a: np.ndarray) -> np.ndarray:
    return a.sum(axis=-1, keepdims=True)


def _softmax(problem: Problem, x: np.ndarray) -> Dict[str, np.ndarray]:
    p, _ = _stable(x)
    out = {"value": p}
    for name, v in (("vjp", problem.cotangent), ("jvp", problem.tangent)):
        rows = _rows(v, problem, x.dtype)
        if rows is not None:
            out[name] = p * (rows - _total(p * rows))
    return out


def _log_softmax(problem: Problem, x: np.ndarray) -> Dict[str, np.ndarray]:
    p, y = _stable(x)
    out = {"value": y}
    v, t = _rows(problem.cotangent, problem, x.dtype), _rows(problem.tangent, problem, x.dtype)
    if v is not None:
        out["vjp"] = v - p * _total(v)
    if t is not None:
        out["jvp"] = t - _total(p * t)
        if v is not None:
            out["hvp"] = -_total(v) * (p * (t - _total(p * t)))
    return out


def _loss(problem: Problem, x: np.ndarray) -> Dict[str, np.ndarray]:
    wide, nll = x.dtype, problem.op == "nll_loss"
    p, y = (np.zeros_like(x), x) if nll else _stable(x)
    w = np.ones(x.shape[-1], wide) if problem.weight is None else problem.weight.astype(wide)
    q, kept, scale = _targets(problem, x, w)
    eps = problem.label_smoothing
    inner = (w * (1 - eps)).astype(wide)
    mixed = ((1 - eps) * q + eps / x.shape[-1]).astype(wide) if eps else q
    c = np.where(kept[..., None], w * mixed, 0).astype(wide)
    undefined = np.isnan(y) & kept[..., None] & ((q > 0) if nll else True)
    loss = np.where(undefined.any(axis=-1), np.nan, -np.where(c == 0, 0, c * y).sum(axis=-1)).astype(wide)
    out = {"value": _reduced(problem, loss, scale)}
    slope = -c if nll else np.where(kept[..., None], _total(c) * p - c, 0)
    t = _rows(problem.tangent, problem, wide)
    if t is not None:
        out["jvp"] = _reduced(problem, (slope * t).sum(axis=-1).astype(wide), scale)
    u = _rows(problem.target_tangent, problem, wide)
    if u is not None:
        out["jvp_target"] = _reduced(
            problem, -np.where(inner * u == 0, 0, inner * u * y).sum(axis=-1).astype(wide), scale
        )
    if problem.cotangent is None:
        return out
    g = np.broadcast_to(problem.cotangent.astype(wide, copy=False), kept.shape)
    g = np.where(kept, g / scale.sum() if problem.reduction == "mean" else g, 0).astype(wide)[..., None]
    out["vjp"] = np.where(c == 0, 0, g * slope) if nll else np.where(kept[..., None], g * slope, 0)
    if t is not None:
        # Of nll_loss, whose p is 0 here, this is 0.
        out["hvp"] = np.where(kept[..., None], g * _total(c) * (p * (t - _total(p * t))), 0)
    if problem.wrt_target:
        out["grad_target"] = np.where(g * inner == 0, 0, -(g * inner * y))
        if u is not None:
            out["mixed"] = g * (p * _total(inner * u) - inner * u)
    return out


def _targets(problem: Problem, x: np.ndarray, w: np.ndarray) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the target distribution, the rows that are not ignored, each row's part of the mean's denominator."""
    # sanity check: losses have targets
    assert problem.target is not None
    if problem.has_probability_target:
        rows = np.ones(x.shape[:-1], dtype=x.dtype)
        return np.moveaxis(problem.target.astype(x.dtype), problem.axis, -1), rows == 1, rows
    k = x.shape[-1]
    labels = problem.target.astype(np.int64)
    kept = np.ones(labels.shape, bool) if problem.ignore_index is None else labels != problem.ignore_index
    labels = np.where(kept, labels, 0)
    if np.any((labels < 0) | (labels >= k)):
        raise IndexError("label out of range for %d classes" % k)
    onehot = (np.arange(k) == labels[..., None]).astype(x.dtype)
    return onehot, kept, np.where(kept, w[labels], 0).astype(x.dtype)


def _reduced(problem: Problem, rows: np.ndarray, scale: np.ndarray) -> np.ndarray:
    if problem.reduction == "none":
        return rows
    if problem.reduction not in REDUCTIONS:
        raise ValueError("unknown reduction %r" % problem.reduction)
    total = rows.sum()
    return np.asarray(total / scale.sum() if problem.reduction == "mean" else total, rows.dtype)


_RULES = {"softmax": _softmax, "log_softmax": _log_softmax, "nll_loss": _loss, "cross_entropy": _loss}
ADAPTER = NumpyAdapter()
