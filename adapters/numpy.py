"""The embedded default: a careful NumPy implementation with analytic gradients.

Everything is computed in float32 (float64 for float64) and rounded once to the IO dtype, so it is profile W in all
four dtypes. It shares no code with the oracle.
"""

from __future__ import annotations

import platform
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from . import source
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
        """The formulas in straight lines: NumPy has no function of its own for these operations."""
        wide = "np." + _WIDE[problem.dtype].__name__
        body = []
        for name, a in source.arrays(problem):
            kind = "np.int64" if a.dtype.kind in "iu" else wide
            body.append("%s = np.array(%s, %s).reshape(%r)" % (name, source.constant(a), kind, a.shape))
        body += ['np.seterr(all="ignore")', *_lines(problem, wide)]
        narrowed = {"float16": "%s.astype(np.float16)", "bfloat16": "to_bfloat16(%s)"}.get(problem.dtype, "%s")
        if problem.dtype == "bfloat16":
            body = [*_TO_BFLOAT16, *body]
        body += ['print("%s", %s.astype(float).tolist())' % (out, narrowed % out) for out in problem.want]
        return source.program(source.title(problem, "numpy"), ["import numpy as np"], body)


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


def _lines(p: Problem, wide: str) -> List[str]:
    """The body of a script: what ``_RULES`` computes, for one problem."""
    out = ["x = np.moveaxis(x, %d, -1)" % p.axis]
    if p.op == "nll_loss":
        out += ["p, y = np.zeros_like(x), x"]
    else:
        out += [
            "shifted = x - x.max(axis=-1, keepdims=True)",
            "broken = np.isnan(shifted).any(axis=-1, keepdims=True)",
            "others = np.where(np.arange(x.shape[-1]) == x.argmax(axis=-1)[..., None], 0, np.exp(shifted))",
            "r = others.astype(x.dtype).sum(axis=-1, keepdims=True)",
            "p = np.where(broken, np.nan, np.exp(shifted) / (1 + r)).astype(x.dtype)",
            "y = np.where(broken, np.nan, shifted - np.log1p(r)).astype(x.dtype)",
        ]
    if p.is_loss:
        return out + _loss_lines(p, wide)
    out += ["value = np.moveaxis(%s, -1, %d)" % ("p" if p.op == "softmax" else "y", p.axis)]
    if p.cotangent is not None:
        rule = "p * (v - (p * v).sum(axis=-1, keepdims=True))"
        rule = rule if p.op == "softmax" else "v - p * v.sum(axis=-1, keepdims=True)"
        out += ["v = np.moveaxis(cotangent, %d, -1)" % p.axis, "vjp = np.moveaxis(%s, -1, %d)" % (rule, p.axis)]
    return out


def _loss_lines(p: Problem, wide: str) -> List[str]:
    k, eps = p.x.shape[p.axis], p.label_smoothing
    w = "np.ones(%d, %s)" % (k, wide) if p.weight is None else "weight"
    if p.has_probability_target:
        out = ["w, q = %s, np.moveaxis(target, %d, -1)" % (w, p.axis), "kept = np.ones(x.shape[:-1], dtype=bool)"]
        out += ["scale = kept.astype(%s)" % wide]
    else:
        kept = "np.ones(target.shape, dtype=bool)" if p.ignore_index is None else "target != %d" % p.ignore_index
        out = ["w, kept = %s, %s" % (w, kept), "labels = np.where(kept, target, 0)"]
        out += ["q = (np.arange(%d) == labels[..., None]).astype(%s)" % (k, wide)]
        out += ["scale = np.where(kept, w[labels], 0).astype(%s)" % wide]
    mixed = "((1 - %r) * q + %r / %d).astype(%s)" % (eps, eps, k, wide) if eps else "q"
    seen = " & (q > 0)" if p.op == "nll_loss" else ""
    out += [
        "c = np.where(kept[..., None], w * %s, 0).astype(%s)" % (mixed, wide),
        "rows = -np.where(c == 0, 0, c * y).sum(axis=-1)",
        "undefined = (np.isnan(y) & kept[..., None]%s).any(axis=-1)" % seen,
        "rows = np.where(undefined, np.nan, rows).astype(%s)" % wide,
        "value, g = np.asarray(rows%s), np.ones_like(rows)" % ("" if p.reduction == "none" else ".sum()"),
    ]
    if p.reduction == "mean":
        out += ["value, g = np.asarray(value / scale.sum(), %s), g / scale.sum()" % wide]
    if p.cotangent is not None:
        out += ["g = np.where(kept, g * cotangent, 0).astype(%s)[..., None]" % wide]
        rule = "np.where(c == 0, 0, -g * c)" if p.op == "nll_loss" else "g * (c.sum(axis=-1, keepdims=True) * p - c)"
        rule = rule if p.op == "nll_loss" else "np.where(kept[..., None], %s, 0)" % rule
        out += ["vjp = np.moveaxis(%s.astype(%s), -1, %d)" % (rule, wide, p.axis)]
    return out


_TO_BFLOAT16 = [
    "def to_bfloat16(a):",
    '    """Round float32 to the nearest bfloat16, ties to even."""',
    "    bits = np.ascontiguousarray(a).view(np.uint32)",
    "    rounded = bits + ((bits >> 16) & 1) + 0x7FFF & 0xFFFF0000",
    "    return np.where(np.isnan(a), bits & 0xFFFF0000, rounded).astype(np.uint32).view(np.float32).reshape(a.shape)",
    "",
]
_RULES = {"softmax": _softmax, "log_softmax": _log_softmax, "nll_loss": _loss, "cross_entropy": _loss}
ADAPTER = NumpyAdapter()
