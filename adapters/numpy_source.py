"""The numpy adapter's formulas as straight-line program text, for scripts that need NumPy alone."""

from __future__ import annotations

from typing import List

from .protocol import Problem


def lines(p: Problem, wide: str) -> List[str]:
    """Write the body of a script that computes for one problem what the adapter does."""
    again = ["vjp_again = vjp  # no state is kept between two passes"] if "vjp_again" in p.want else []
    return _forward(p, wide) + again


def _forward(p: Problem, wide: str) -> List[str]:
    out = ["x = np.moveaxis(x, %d, -1)%s" % (p.axis, "" if p.scale == 1.0 else " * %s(%r)" % (wide, p.scale))]
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
    if p.tangent is not None:
        out += ["t = np.moveaxis(tangent, %d, -1)" % p.axis]
    if p.is_loss:
        return out + _loss_lines(p, wide)
    out += [_back(p, "value", "p" if p.op == "softmax" else "y")]
    if p.cotangent is not None:
        out += ["v = np.moveaxis(cotangent, %d, -1)" % p.axis]
        out += [_back(p, "vjp", _TANGENT % ("v", "v") if p.op == "softmax" else "v - p * %s" % _total("v"))]
    if "jvp" in p.want:
        out += [_back(p, "jvp", _TANGENT % ("t", "t") if p.op == "softmax" else "t - %s" % _total("p * t"))]
    if "hvp" in p.want:
        out += [_back(p, "hvp", "-%s * (%s)" % (_total("v"), _TANGENT % ("t", "t")))]
    return out


_TANGENT = "p * (%s - (p * %s).sum(axis=-1, keepdims=True))"


def _total(expression: str) -> str:
    return "%s.sum(axis=-1, keepdims=True)" % (expression if expression.isidentifier() else "(%s)" % expression)


def _back(p: Problem, name: str, rule: str) -> str:
    return "%s = np.moveaxis(%s, -1, %d)" % (name, rule, p.axis)


def _loss_lines(p: Problem, wide: str) -> List[str]:
    k, eps, nll = p.x.shape[p.axis], p.label_smoothing, p.op == "nll_loss"
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
    seen = " & (q > 0)" if nll else ""
    out += [
        "c = np.where(kept[..., None], w * %s, 0).astype(%s)" % (mixed, wide),
        "rows = -np.where(c == 0, 0, c * y).sum(axis=-1)",
        "undefined = (np.isnan(y) & kept[..., None]%s).any(axis=-1)" % seen,
        "rows = np.where(undefined, np.nan, rows).astype(%s)" % wide,
        "value = %s" % _reduced(p, "rows", wide),
        "slope = %s" % ("-c" if nll else "np.where(kept[..., None], %s * p - c, 0)" % _total("c")),
    ]
    if "jvp" in p.want:
        out += ["jvp = %s" % _reduced(p, "(slope * t).sum(axis=-1).astype(%s)" % wide, wide)]
    if "grad_target" in p.want or "jvp_target" in p.want:
        out += ["inner = (w * (1 - %r)).astype(%s)" % (eps, wide)]
    if "jvp_target" in p.want:
        out += ["u = np.moveaxis(target_tangent, %d, -1)" % p.axis]
        along = "-np.where(inner * u == 0, 0, inner * u * y).sum(axis=-1).astype(%s)" % wide
        out += ["jvp_target = %s" % _reduced(p, "(%s)" % along, wide)]
    if p.cotangent is None:
        return out
    g = "np.broadcast_to(cotangent, kept.shape)" + (" / scale.sum()" if p.reduction == "mean" else "")
    out += ["g = np.where(kept, %s, 0).astype(%s)[..., None]" % (g, wide)]
    rules = {
        "vjp": "np.where(c == 0, 0, g * slope)" if nll else "np.where(kept[..., None], g * slope, 0)",
        "hvp": "np.where(kept[..., None], g * %s * (%s), 0)" % (_total("c"), _TANGENT % ("t", "t")),
        "grad_target": "np.where(g * inner == 0, 0, -(g * inner * y))",
        "mixed": "g * (p * %s - inner * u)" % _total("inner * u"),
    }
    return out + [_back(p, name, "(%s).astype(%s)" % (rule, wide)) for name, rule in rules.items() if name in p.want]


def _reduced(p: Problem, rows: str, wide: str) -> str:
    """Write the reduction of the rows' values, or of their JVPs."""
    if p.reduction == "none":
        return rows
    total = "%s.sum()" % rows
    return "np.asarray(%s, %s)" % (total + (" / scale.sum()" if p.reduction == "mean" else ""), wide)


TO_BFLOAT16 = [
    "def to_bfloat16(a):",
    '    """Round float32 to the nearest bfloat16, ties to even."""',
    "    bits = np.ascontiguousarray(a, np.float32).view(np.uint32)",
    "    rounded = bits + ((bits >> 16) & 1) + 0x7FFF & 0xFFFF0000",
    "    return np.where(np.isnan(a), bits & 0xFFFF0000, rounded).astype(np.uint32).view(np.float32).reshape(a.shape)",
    "",
]
