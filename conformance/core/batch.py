"""Batches: calls of one signature stacked into (B, N, K) arrays, so that truth, bounds and verdicts are vectorised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossproof.adapters.protocol import LOSSES, MEANS, REDUCED, Problem
from lossproof.core.call import rows_first
from lossproof.core.formats import F64, FORMATS, Format
from lossproof.core.products import product

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Batch:
    """B problems of one signature with every non-class axis flattened to N rows.

    ``op``        the operation
    ``fmt``       the format of the value
    ``reduction`` ``none``, ``sum``, ``mean``, or empty for ops that are no loss
    ``x``         (B, N, K) logits, times their factor if they have one
    ``raw``       (B, N, K) the logits before scale and cap, or None where the variant has neither or none is made yet
    ``z_loss``    factor of the squared log-sum-exp that is added to each row (docs/variants.md), 0 where nothing is
    ``softcap``   c where the op takes ``c tanh(x / c)`` of the scaled logits, 0 where it takes them as they are
    ``logit_scale`` factor on the logits before that
    ``row_weight`` (B, N) factor of each row of a loss, or None
    ``low``       (B, N, K) what such products lack of being exact, or None: the logits are ``x + low``
    ``product_error`` (B, N, K) the most that rounding such a product to the format loses, or None
    ``y``         (B, N) class indices with ignored rows set to 0, or None
    ``q``         (B, N, K) probability targets, or None
    ``w``         (B, K) class weights, ones when absent
    ``weighted``  whether there are class weights
    ``kept``      (B, N) rows that are not ignored
    ``eps``       (B, 1, 1) label smoothing
    ``cot``       the cotangent: (B, N, K) for softmax and log_softmax, (B, N) for reduction none, (B, 1) for sum and
                  mean, None where only values are wanted
    ``tan``       (B, N, K) direction in the logits, or None
    ``tan_q``     (B, N, K) direction in the probabilities, or None
    ``outputs``   names of what is wanted
    ``mean``      which mean the reduction ``mean`` is, of ``MEANS``
    ``back``      the format of gradients that are rounded back to narrower inputs, or None
    """

    op: str
    fmt: Format
    reduction: str
    x: F64
    y: NDArray[np.int64] | None
    q: F64 | None
    w: F64
    weighted: bool
    kept: Bools
    eps: F64
    cot: F64 | None
    tan: F64 | None = None
    tan_q: F64 | None = None
    outputs: tuple[str, ...] = ("value", "vjp")
    mean: str = "mean"
    back: Format | None = None
    low: F64 | None = None
    product_error: F64 | None = None
    raw: F64 | None = None
    z_loss: float = 0.0
    softcap: float = 0.0
    logit_scale: float = 1.0
    row_weight: F64 | None = None

    @property
    def is_variant(self) -> bool:
        """True if the op is a variant (docs/variants.md), which has truth and bounds of its own."""
        plain = self.z_loss == 0.0 and self.softcap == 0.0 and self.logit_scale == 1.0
        return not plain or self.row_weight is not None

    def format_of(self, output: str) -> Format:
        """The format that an output is rounded to."""
        return self.fmt if self.back is None or output in REDUCED else self.back

    @property
    def is_loss(self) -> bool:
        """True if the op takes a target."""
        return self.op in LOSSES

    @property
    def smoothed(self) -> bool:
        """True if label smoothing is in use, a part of the signature."""
        return bool(self.eps.size and (self.eps > 0).any())

    @property
    def hard(self) -> bool:
        """True if each row has one target class."""
        return self.y is not None and not self.smoothed

    @property
    def n(self) -> int:
        """The number N of rows in each problem."""
        return self.x.shape[1]

    @property
    def k(self) -> int:
        """The number of classes K."""
        return self.x.shape[2]


def take(batch: Batch, which: NDArray[np.intp]) -> Batch:
    """Return a batch of some of the problems."""
    values: dict[str, Any] = {f.name: getattr(batch, f.name) for f in fields(batch)}
    few: dict[str, Any] = {name: v[which] if isinstance(v, np.ndarray) else v for name, v in values.items()}
    return Batch(**few)


def signature(p: Problem) -> tuple[object, ...]:
    """The signature of a problem is what a compiler sees: op, dtype, shape, axis, static options, outputs.

    Problems that share it can be stacked.
    """
    return (
        p.op,
        p.dtype,
        p.x.shape,
        p.axis % p.x.ndim,
        p.reduction if p.is_loss else "",
        p.has_probability_target,
        p.weight is not None,
        p.label_smoothing > 0,
        p.ignore_index is not None,
        p.want,
        p.layout,
        p.laid,
        p.omit,
        p.scale,
        p.z_loss,
        p.softcap,
        p.logit_scale,
        p.sample_weight is not None,
        p.out_dtype,
    )


def stack(problems: Sequence[Problem]) -> Batch:
    """Stack problems of one signature into a batch."""
    first = problems[0]
    # sanity check: one signature
    assert len({signature(p) for p in problems}) == 1
    products = [made for p in problems if (made := product(p)) is not None]
    x = _stacked([rows_first(a, first.axis) for a in ([m.high for m in products] or [p.x for p in problems])])
    b, n, k = x.shape
    y = q = None
    kept = np.ones((b, n), dtype=bool)
    if first.has_probability_target:
        q = _stacked([rows_first(_given(p.target), p.axis) for p in problems])
    elif first.target is not None:
        y = _stacked([_given(p.target).reshape(n) for p in problems]).astype(np.int64)
        if first.ignore_index is not None:
            kept = y != np.array([p.ignore_index for p in problems], dtype=np.int64)[:, None]
            y = np.where(kept, y, 0)
    # Without weights a single 1 stands for all: a row may be large.
    w = np.broadcast_to(1.0, (b, k)) if first.weight is None else _stacked([_given(p.weight) for p in problems])
    cot = None
    if first.cotangent is not None:
        cots = [_given(p.cotangent) for p in problems]
        cot = _stacked([rows_first(c, first.axis) if not first.is_loss else c.reshape(-1) for c in cots])
    return Batch(
        op=first.op,
        fmt=FORMATS[first.result_dtype],
        reduction="" if not first.is_loss else "mean" if first.reduction in MEANS else first.reduction,
        x=x,
        y=y,
        q=q,
        w=w,
        weighted=first.weight is not None,
        kept=kept,
        eps=np.array([p.label_smoothing for p in problems], dtype=np.float64)[:, None, None],
        cot=cot,
        tan=_rows_of([p.tangent for p in problems], first.axis),
        tan_q=_rows_of([p.target_tangent for p in problems], first.axis),
        outputs=first.want,
        mean=first.reduction if first.reduction in MEANS else "mean",
        back=FORMATS[first.dtype] if first.out_dtype is not None else None,
        low=_stacked([rows_first(m.low, first.axis) for m in products]) if products else None,
        product_error=_stacked([rows_first(m.error, first.axis) for m in products]) if products else None,
        z_loss=first.z_loss,
        softcap=first.softcap,
        logit_scale=first.logit_scale,
        row_weight=(
            None if first.sample_weight is None else _stacked([_given(p.sample_weight).reshape(n) for p in problems])
        ),
    )


def _rows_of(arrays: Sequence[np.ndarray | None], axis: int) -> F64 | None:
    return None if arrays[0] is None else _stacked([rows_first(_given(a), axis) for a in arrays])


def _stacked(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """The arrays in one, dense: sums over a row depend on how it lies in memory. A single dense one is not copied: it
    may be large."""
    return np.ascontiguousarray(arrays[0][None] if len(arrays) == 1 else np.stack(arrays))


def _given(a: np.ndarray | None) -> np.ndarray:
    # sanity check: the signature says that the array is there
    assert a is not None
    return a


def flat(output: F64, p: Problem) -> F64:
    """Flatten an output to the batch's layout: (N, K) for class rows, (N,) for reduction none, (1,) for a scalar."""
    if output.shape == p.x.shape and (not p.is_loss or output.ndim == p.x.ndim):
        return rows_first(output, p.axis)
    return output.reshape(-1)
