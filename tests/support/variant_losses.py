"""Losses with z-loss, soft-capping, a scale and weights of rows, right ones in several styles and wrong ones.

``composed`` is made of a framework's own functions and differentiated by it; ``fused`` has a gradient by formula, on
NumPy arrays. With ``wide`` all is computed in float32 at least and rounded once; without, every step is rounded to the
dtype of the logits, and sums are accumulated in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossproof import Variant

# What can be wrong, with what a report says of it.
MISTAKES = {
    "z-loss of ignored rows": "ignored rows have a z-loss, too",
    "z-loss before cap": "the log-sum-exp of the z-loss is that of the logits before the soft-capping",
    "z-loss by all rows": "the z-loss is divided by the number of all rows",
    "z-loss cut off": "the z-loss is not in the gradient",
    "no chain rule": "the gradient lacks the derivative of the soft-capping, 1 - tanh^2",
    "cap after maximum": "the maximum is subtracted before the soft-capping",
    "scale after cap": "the scale is applied after the soft-capping",
    "no scale in gradient": "the scale of the logits is missing in the gradient",
    "denominator": "the mean's denominator lacks the weights of rows",
    "no maximum": "overflows",
    "half of 2": "the gradient of the z-loss lacks a factor of 2",
    "class weights": "class weights multiply the z-loss",
    "unweighted z-loss": "weights of rows do not multiply the z-loss",
}


@dataclass(frozen=True)
class Kit:
    """The functions of a framework that a composed loss is made of."""

    name: str
    xp: Any
    log_softmax: Callable[[Any], Any]
    log_sum_exp: Callable[[Any], Any]
    take: Callable[[Any, Any], Any]
    cast: Callable[[Any, str], Any]
    cut: Callable[[Any], Any]
    total: Callable[..., Any]
    custom: Callable[[Callable[[Any], Any], float], Callable[[Any], Any]]


def torch_kit() -> Kit:
    """The functions of torch."""
    import torch

    class Scaled(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any, f: Any, slope: float) -> Any:
            ctx.slope = slope
            return f(x)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * ctx.slope, None, None

    return Kit(
        "torch",
        torch,
        lambda z: torch.log_softmax(z, -1),
        lambda z: torch.logsumexp(z, -1),
        lambda a, y: torch.gather(a, -1, y[..., None])[..., 0],
        lambda a, name: a.to(getattr(torch, name)),
        lambda a: a.detach(),
        lambda a, dim=None: a.sum(dim, dtype=torch.promote_types(a.dtype, torch.float32)),
        lambda f, slope: lambda x: Scaled.apply(x, f, slope),
    )


def jax_kit() -> Kit:
    """The functions of JAX."""
    import jax
    import jax.numpy as jnp

    def custom(f: Callable[[Any], Any], slope: float) -> Callable[[Any], Any]:
        made = jax.custom_vjp(f)
        made.defvjp(lambda x: (f(x), None), lambda _, g: (g * slope,))
        return made

    return Kit(
        "jax",
        jnp,
        lambda z: jax.nn.log_softmax(z, axis=-1),
        lambda z: jax.nn.logsumexp(z, axis=-1),
        lambda a, y: jnp.take_along_axis(a, y[..., None], axis=-1)[..., 0],
        lambda a, name: a.astype(name),
        jax.lax.stop_gradient,
        lambda a, dim=None: a.sum(dim, dtype=jnp.promote_types(a.dtype, jnp.float32)),
        custom,
    )


def composed(kit: Kit, v: Variant, *, wide: bool = False, mistake: str = "") -> Callable[..., Any]:
    """Return a loss made of a framework's functions."""
    xp = kit.xp

    def inner(x: Any) -> Any:
        scale, cap = v.logit_scale, v.softcap

        def capped(z: Any) -> Any:
            return cap * xp.tanh(z / cap) if cap else z

        if mistake == "scale after cap":
            return capped(x) * scale
        if mistake == "no scale in gradient":
            return capped(kit.custom(lambda a: a * scale, 1.0)(x))
        z = x * scale if scale != 1.0 else x
        if mistake == "cap after maximum":
            z = z - kit.cut(xp.amax(z, -1))[..., None]
        return kit.custom(capped, 1.0)(z) if mistake == "no chain rule" else capped(z)

    def loss(
        x: Any,
        target: Any,
        *,
        axis: int = -1,
        weight: Any = None,
        ignore_index: int | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
        sample_weight: Any = None,
    ) -> Any:
        name = str(x.dtype).rpartition(".")[2]
        dense = "float" in str(target.dtype)
        if wide and "16" in name:
            x = kit.cast(x, "float32")
            weight, sample_weight = (a if a is None else kit.cast(a, "float32") for a in (weight, sample_weight))
            target = kit.cast(target, "float32") if dense else target

        def rounded(a: Any) -> Any:
            """A sum as profile N has it: rounded to the dtype of the logits where it is within its range."""
            near = kit.cast(kit.cast(a, str(x.dtype).rpartition(".")[2]), str(a.dtype).rpartition(".")[2])
            return xp.where(xp.isfinite(near), near, a)

        x = xp.moveaxis(x, axis, -1)
        k, z = x.shape[-1], inner(x)
        log_p = kit.log_softmax(z)
        w = xp.ones_like(z[..., :1]) + xp.zeros_like(z) if weight is None else weight + xp.zeros_like(z)
        if dense:
            q = xp.moveaxis(target, axis, -1)
            q = q if not label_smoothing else (1 - label_smoothing) * q + label_smoothing / k
            gone = (w * q == 0) & (log_p == -np.inf)
            rows = -rounded(kit.total(xp.where(gone, 0.0, w * q) * xp.where(gone, 0.0, log_p), -1))
            kept = xp.ones_like(rows) > 0
            share = xp.ones_like(rows)
        else:
            kept = target != ignore_index if ignore_index is not None else target == target
            y = xp.where(kept, target, 0)
            share = kit.take(w, y)
            rows = -share * kit.take(log_p, y)
            if label_smoothing:
                rows = (1 - label_smoothing) * rows if label_smoothing < 1 else xp.zeros_like(rows)
                rows = rows - rounded(kit.total(w * (label_smoothing / k) * log_p, -1))
        if v.z_loss:
            lse = kit.log_sum_exp(x if mistake == "z-loss before cap" else z)
            if mistake == "no maximum":
                lse = xp.log(xp.exp(z).sum(-1))
            squared = v.z_loss * lse * lse
            squared = kit.cut(squared) if mistake == "z-loss cut off" else squared
            squared = squared / 2 + kit.cut(squared) / 2 if mistake == "half of 2" else squared
            squared = squared * share if mistake == "class weights" else squared
        else:
            squared = xp.zeros_like(rows)
        if sample_weight is not None:
            rows = rows * sample_weight
            squared = squared if mistake == "unweighted z-loss" else squared * sample_weight
            share = share if mistake == "denominator" else share * sample_weight
        rows, share = xp.where(kept, rows, 0.0), xp.where(kept, share, 0.0)
        squared = squared if mistake == "z-loss of ignored rows" else xp.where(kept, squared, 0.0)
        if mistake == "z-loss by all rows" and reduction == "mean":
            result = (
                kit.total(rows) / kit.total(share) + kit.total(squared) / share.size
                if kit.name == "jax"
                else (kit.total(rows) / kit.total(share) + kit.total(squared) / share.numel())
            )
        else:
            whole = rows + squared
            total = whole if reduction == "none" else kit.total(whole)
            result = total / kit.total(share) if reduction == "mean" else total
        return kit.cast(result, name)

    if v.sample_weight:
        return loss

    def without(
        x: Any,
        target: Any,
        *,
        axis: int = -1,
        weight: Any = None,
        ignore_index: int | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> Any:
        return loss(
            x,
            target,
            axis=axis,
            weight=weight,
            ignore_index=ignore_index,
            reduction=reduction,
            label_smoothing=label_smoothing,
        )

    return without


@dataclass(frozen=True)
class Fused:
    """A loss on NumPy arrays, with its gradient by formula: ``value`` and ``grad`` as check_implementation has them."""

    v: Variant
    wide: bool = False

    def _forward(self, x: Any, axis: int) -> tuple[Any, ...]:
        dtype = x.dtype
        inside = np.dtype(np.float32) if self.wide and dtype.itemsize == 2 else dtype
        x = np.moveaxis(x, axis, -1).astype(inside)
        z = x * inside.type(self.v.logit_scale)
        t = None
        if self.v.softcap:
            cap = inside.type(self.v.softcap)
            t = np.tanh(z / cap)
            z = t * cap
        m = z.max(-1, keepdims=True)
        e = np.exp(z - m)
        s = _total(e, keepdims=True)
        return inside, z, t, z - m, e, s, (m + np.log(s))[..., 0]

    def _rows(self, z: Any, d: Any, s: Any, target: Any, weight: Any, axis: int, ignore: int | None, eps: float) -> Any:
        inside, k = z.dtype, z.shape[-1]
        w = np.ones(k, inside) if weight is None else weight.astype(inside)
        if target.dtype.kind in "iu":
            kept = np.ones(target.shape, bool) if ignore is None else target != ignore
            q = (np.arange(k) == np.where(kept, target, 0)[..., None]).astype(inside)
            share = w[np.where(kept, target, 0)]
        else:
            q = np.moveaxis(target, axis, -1).astype(inside)
            kept, share = np.ones(q.shape[:-1], bool), np.ones(q.shape[:-1], inside)
        q = inside.type(1 - eps) * q + inside.type(eps / k)
        return w * q, kept, share

    def _weights(self, kept: Any, share: Any, sample_weight: Any, reduction: str) -> tuple[Any, Any]:
        """The weight of each row, and what divides."""
        r = np.ones_like(share) if sample_weight is None else sample_weight.astype(share.dtype)
        total = _total(np.where(kept, share * r, share.dtype.type(0)).reshape(-1))
        return np.where(kept, r, share.dtype.type(0)), total if reduction == "mean" else share.dtype.type(1)

    def value(
        self,
        x: Any,
        target: Any,
        *,
        axis: int = -1,
        weight: Any = None,
        ignore_index: int | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
        sample_weight: Any = None,
    ) -> Any:
        """The loss."""
        with np.errstate(all="ignore"):
            inside, z, _, d, _, s, lse = self._forward(x, axis)
            c, kept, share = self._rows(z, d, s, target, weight, axis, ignore_index, label_smoothing)
            log_p = d - np.log(s)
            gone = (c == 0) & (log_p == -np.inf)
            rows = -_total(np.where(gone, 0, c) * np.where(gone, 0, log_p).astype(inside))
            rows = rows + inside.type(self.v.z_loss) * (lse * lse) if self.v.z_loss else rows
            r, total = self._weights(kept, share, sample_weight, reduction)
            rows = np.where(kept, r * np.where(kept, rows, inside.type(0)), inside.type(0))
            return np.asarray(rows if reduction == "none" else _total(rows.reshape(-1)) / total).astype(x.dtype)

    def grad(
        self,
        x: Any,
        cotangent: Any,
        *,
        target: Any,
        axis: int = -1,
        weight: Any = None,
        ignore_index: int | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
        sample_weight: Any = None,
    ) -> Any:
        """The gradient, ``(p (Q + 2 z lse) - c) (1 - tanh^2) scale`` times what reaches the row."""
        with np.errstate(all="ignore"):
            inside, z, t, d, e, s, lse = self._forward(x, axis)
            c, kept, share = self._rows(z, d, s, target, weight, axis, ignore_index, label_smoothing)
            p = e / s
            r, total = self._weights(kept, share, sample_weight, reduction)
            g = np.asarray(cotangent).astype(inside) / total * r
            factor = _total(c, keepdims=True) + inside.type(2 * self.v.z_loss) * lse[..., None]
            out = g[..., None] * (p * factor - c)
            out = out if t is None else out * (inside.type(1) - t * t)
            out = np.where(kept[..., None], out * inside.type(self.v.logit_scale), inside.type(0))
            return np.moveaxis(out, -1, axis).astype(x.dtype)


def _total(a: Any, *, keepdims: bool = False) -> Any:
    """Sums are accumulated in float32 at least, and rounded where they are within the range of the dtype."""
    if a.dtype.itemsize > 2:
        return a.sum(-1, keepdims=keepdims)
    found = a.astype(np.float32).sum(-1, keepdims=keepdims)
    near = found.astype(a.dtype).astype(np.float32)
    return np.where(np.isfinite(near), near, found)
