"""The numpy adapter's formulas as straight-line program text, for scripts that need NumPy alone."""

from __future__ import annotations

from typing import List

from .protocol import Problem


def lines(p: Problem, wide: str) -> List[str]:
    """The body of a script: what the adapter computes, for one problem."""
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


TO_BFLOAT16 = [
    "def to_bfloat16(a):",
    '    """Round float32 to the nearest bfloat16, ties to even."""',
    "    bits = np.ascontiguousarray(a).view(np.uint32)",
    "    rounded = bits + ((bits >> 16) & 1) + 0x7FFF & 0xFFFF0000",
    "    return np.where(np.isnan(a), bits & 0xFFFF0000, rounded).astype(np.uint32).view(np.float32).reshape(a.shape)",
    "",
]
