"""Special values of softmax and log_softmax: masks, NaN and infinities."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .bugs import SIBLING, both, bug
from .parts import (
    F16,
    PLAIN,
    Array,
    Softmax,
    over_rows,
    over_rows_vjp,
    row_sum,
    vjp_softmax,
)

MASK = SIBLING + "unsloth-softcap-padding-mass"


NAN = SIBLING + "torch-linear-cross-entropy-masked-row"


def _masked_as(value: Callable[[Array], float]) -> Softmax:
    return Softmax(enter=lambda x: np.where(np.isneginf(x), x.dtype.type(value(x)), x))


def _uniform(x: Array) -> Array:
    p = PLAIN.p(x)
    return np.where(np.isneginf(x).all(-1, keepdims=True), 1 / x.shape[-1], p).astype(x.dtype)


def _nothing(x: Array) -> Array:
    return np.where(np.isneginf(x).all(-1, keepdims=True), 0, PLAIN.p(x)).astype(x.dtype)


def _log_nothing(x: Array) -> Array:
    return np.where(np.isneginf(x).all(-1, keepdims=True), -np.inf, PLAIN.y(x)).astype(x.dtype)


def _shared_infinity(x: Array) -> Array:
    top = np.isposinf(x)
    share = top / np.maximum(row_sum(top.astype(x.dtype)), 1)
    clean = ~np.isnan(x).any(-1, keepdims=True)
    return np.where(top.any(-1, keepdims=True) & clean, share, PLAIN.p(x)).astype(x.dtype)


def _one_infinity_nan_elsewhere(x: Array) -> Array:
    top = np.isposinf(x)
    return np.where(top.any(-1, keepdims=True), np.where(top, 0.5, np.nan), PLAIN.p(x)).astype(x.dtype)


def _where(log: bool) -> Callable[[Array, Array], Array]:
    """The double-where trick forgotten: a masked exponential is multiplied by zero, also where it is infinite."""

    def f(x: Array, v: Array) -> Array:
        p = PLAIN.p(x)
        out = v - p * row_sum(v) if log else vjp_softmax(p, v)
        return np.where(np.isneginf(x), np.nan, out) if log else out + 0 * row_sum(np.where(np.isneginf(x), np.inf, 0))

    return f


MUTANTS = (
    *both(
        "NaN-dropping sum",
        "nansum: the other entries of the row stay finite",
        NAN,
        Softmax(
            shift=lambda x: np.fmax.reduce(x, axis=-1, keepdims=True),
            total=lambda e: np.nansum(e, axis=-1, keepdims=True),
        ),
    ),
    *both(
        "NaN taken for 0",
        "nan_to_num before the exponential",
        NAN,
        Softmax(enter=lambda x: np.where(np.isnan(x), 0, x).astype(x.dtype)),
    ),
    *both(
        "NaN hidden by the maximum",
        "comparisons with NaN are false: NaN in the first place is replaced",
        NAN,
        Softmax(enter=lambda x: np.where(x == x, x, np.finfo(F16).min).astype(x.dtype)),
    ),
    *both(
        "mask of -1e9",
        "-inf is replaced by -1e9: masked classes keep a finite log p",
        "jax-logsoftmax-where-masked-entries-finite",
        _masked_as(lambda x: -1e9),
    ),
    *both(
        "mask of the dtype's minimum",
        "-inf is replaced by the most negative number",
        MASK,
        _masked_as(lambda x: float(np.finfo(x.dtype).min)),
    ),
    *both("mask of -100", "a finite mask that confident logits reach", MASK, _masked_as(lambda x: -100)),
    *both(
        "log p of masked classes kept finite",
        "log p is at least float16's minimum",
        MASK,
        Softmax(leave=lambda p: np.maximum(p, p.dtype.type(-65504))),
    )[1:],
    bug(
        "softmax",
        "all -inf row uniform",
        "1/K for a row without a class",
        "sibling of jax-logsumexp-all-neginf-grad-nan",
        over_rows(_uniform),
        family="all_masked_row",
    ),
    bug(
        "softmax",
        "all -inf row 0",
        "safe softmax: 0 for a row without a class",
        "sibling of jax-logsumexp-all-neginf-grad-nan",
        over_rows(_nothing),
        family="all_masked_row",
    ),
    bug(
        "log_softmax",
        "all -inf row -inf",
        "log 0 for a row without a class",
        "sibling of jax-logsumexp-all-neginf-grad-nan",
        over_rows(_log_nothing),
        family="all_masked_row",
    ),
    bug(
        "softmax",
        "gradient of an all -inf row 0",
        "the NaN is replaced by 0 in the backward pass",
        "sibling of jax-logsumexp-all-neginf-grad-nan",
        grad=over_rows_vjp(lambda x, v: np.where(np.isneginf(x).all(-1, keepdims=True), 0, vjp_softmax(PLAIN.p(x), v))),
        family="all_masked_row",
    ),
    bug(
        "softmax",
        "two +inf share the mass",
        "each gets 1/2 instead of NaN",
        "torch-compile-scaled-softmax-hides-nan",
        over_rows(_shared_infinity),
        family="positive_infinity",
    ),
    bug(
        "softmax",
        "+inf gets 1/2",
        "a finite value that is not the limit",
        "torch-compile-scaled-softmax-hides-nan",
        over_rows(_one_infinity_nan_elsewhere),
        family="positive_infinity",
    ),
    bug(
        "softmax",
        "gradient through a masked exponential",
        "where-trick: infinity times 0 in the backward pass",
        "jax-softmax-where-masked-large-grad-nan",
        grad=over_rows_vjp(_where(False)),
        family="masked",
    ),
    bug(
        "log_softmax",
        "gradient through a masked exponential",
        "NaN at masked entries",
        "jax-softmax-where-masked-large-grad-nan",
        grad=over_rows_vjp(_where(True)),
        family="masked",
    ),
    bug(
        "softmax",
        "infinite logits saturate",
        "clip to the largest finite number of float16",
        "sibling of torch-compile-scaled-softmax-hides-nan",
        over_rows(Softmax(enter=lambda x: np.clip(x, -65504, 65504)).p),
    ),
)
