"""Styles of correct implementation: how a normaliser, a sum of rows and a mean are computed, each a legitimate choice.

A style is all that :mod:`tests.mutants.styles` makes controls of, and what ``benchmarks/correct_styles.py`` puts to
millions of rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .algorithms import exp2, online, sequential
from .loss_steps import Case
from .mutant import ALL_DTYPES
from .sharing import shared
from .softmax_steps import F32, PLAIN, Array, Softmax, Step, one_by_one, padded, row_max, row_sum

Normaliser = Callable[[Array], tuple[Array, Array]]
# More classes than this are added up in so many pieces where every addition is a step of Python.
_STEPS = 64
_LANES, _CHUNK, _BLOCK = 4, 16, 16


@dataclass(frozen=True)
class Style:
    """A style: softmax ``p`` and log-softmax ``y`` of rows, the ``total`` of row losses, and their ``mean`` if it is
    no quotient; ``fast`` has an exponential of profile F, ``online`` rescales partial sums."""

    name: str
    why: str
    p: Step
    y: Step | None
    total: Step = np.sum
    mean: Callable[[Case, Array], Array] | None = None
    dtypes: tuple[str, ...] = ALL_DTYPES
    fast: bool = False
    online: bool = False


def _of(name: str, why: str, total: Step, rows: Step | None = None) -> Style:
    """A style that differs in the order of sums alone."""
    steps = Softmax(total=total)
    return Style(
        name, why, steps.p, steps.y, rows or (lambda a: total(a.reshape(1, -1))[0, 0] if a.size else np.sum(a))
    )


def _backwards(e: Array) -> Array:
    return one_by_one()(e[..., ::-1])


def _lanes(e: Array) -> Array:
    lanes = _parted(e, _LANES, 0.0)
    four = np.add.accumulate(lanes, axis=-2)[..., -1, :]
    return ((four[..., 0] + four[..., 1]) + (four[..., 2] + four[..., 3]))[..., None]


def _kahan(e: Array) -> Array:
    """Compensated summation, of pieces where there are many terms."""
    if e.shape[-1] > _STEPS:
        parts = [row_sum(part) for part in np.array_split(e, _STEPS, axis=-1)]
    else:
        parts = [e[..., i : i + 1] for i in range(e.shape[-1])]
    total, lost = np.zeros_like(e[..., :1]), np.zeros_like(e[..., :1])
    for part in parts:
        term = part - lost
        new = total + term
        lost, total = (new - total) - term, new
    # What is lost of an infinite total is NaN.
    return np.where(np.isnan(total), row_sum(e), total)


def _running_mean(case: Case, rows: Array) -> Array:
    """The mean as it grows with every row; of weighted or infinite rows the quotient of compensated sums."""
    flat, scale = rows.reshape(-1), case.scale.reshape(-1)
    if case.weighted or not scale.all() or not flat.size or not np.isfinite(flat).all():
        return np.asarray(np.sum(rows) / np.sum(case.scale, dtype=case.x.dtype))
    mean, count = flat.dtype.type(0), 0
    for part in np.array_split(flat, min(_STEPS, flat.size)):
        count += part.size
        mean = mean + (np.mean(part) - mean) * flat.dtype.type(part.size / count)
    return np.asarray(mean)


def _online(block: int) -> Style:
    steps = online(block)

    def p(x: Array) -> Array:
        m, s = steps(x)
        return np.exp(x - m) / s

    def y(x: Array) -> Array:
        m, s = steps(x)
        return (x - m) - np.log(s)

    why = "the running sum is rescaled whenever the maximum grows"
    return Style(f"online blocks of {block}", why, p, y, online=True)


def _parted(a: Array, size: int, fill: float) -> Array:
    """Rows in parts of a size, as another axis."""
    whole = padded(a, size, fill)
    return whole.reshape(*a.shape[:-1], whole.shape[-1] // size, size)


@shared
def _merged(x: Array) -> tuple[Array, Array]:
    """Maximum and sum of chunks, merged two by two."""
    chunks = _parted(x, _CHUNK, -np.inf)
    m = chunks.max(axis=-1)
    s = np.exp(chunks - np.where(np.isneginf(m), 0, m).astype(x.dtype)[..., None]).sum(axis=-1, dtype=x.dtype)
    while m.shape[-1] > 1:
        m, s = padded(m, 2, -np.inf), padded(s, 2, 0.0)
        top = np.maximum(m[..., ::2], m[..., 1::2])
        safe = np.where(np.isneginf(top), 0, top).astype(x.dtype)
        s = s[..., ::2] * np.exp(m[..., ::2] - safe) + s[..., 1::2] * np.exp(m[..., 1::2] - safe)
        m = top
    return m, s


def _chunks_p(x: Array) -> Array:
    m, s = _merged(x)
    return np.exp(x - m) / s


def _chunks_y(x: Array) -> Array:
    m, s = _merged(x)
    return (x - m) - np.log(s)


@shared
def _pairs_y(x: Array) -> Array:
    """log-sum-exp of neighbours, then of the results."""
    d = x - row_max(x)
    part = d
    while part.shape[-1] > 1:
        part = padded(part, 2, -np.inf)
        part = np.logaddexp(part[..., ::2], part[..., 1::2])
    return d - part


def _sigmoid_p(x: Array) -> Array:
    if x.shape[-1] != 2:
        return PLAIN.p(x)
    z = x - x[..., ::-1]
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1 / (1 + e), e / (1 + e))


def _sigmoid_y(x: Array) -> Array:
    if x.shape[-1] != 2:
        return PLAIN.y(x)
    z = x - x[..., ::-1]
    return np.minimum(z, 0) - np.log1p(np.exp(-np.abs(z)))


def _fused(x: Array, factor: np.float32, shift: Array) -> Array:
    """``x factor - shift`` with one rounding: products of float32 numbers are exact in float64."""
    return (x.astype(np.float64) * np.float64(factor) - shift.astype(np.float64)).astype(F32)


@shared
def _flash_p(x: Array) -> Array:
    """Blocks with a running maximum of ``x log2(e)``, as it is rounded, and a fused product in every exponent."""
    factor = np.float32(np.log2(math.e))
    m, s = np.full_like(x[..., :1], -np.inf), np.zeros_like(x[..., :1])
    for start in range(0, x.shape[-1], _BLOCK):
        part = x[..., start : start + _BLOCK]
        new = np.maximum(m, row_max(part) * factor)
        safe = np.where(np.isneginf(new), 0, new).astype(x.dtype)
        s = s * np.exp2(m - safe) + row_sum(np.exp2(_fused(part, factor, safe)))
        m = new
    # What a fused product keeps of the rounding of the maximum would overflow beyond: the difference is taken first.
    own = np.abs(m) < 2.0**20
    return np.where(own, np.exp2(_fused(x, factor, m)) / s, Softmax(exp=exp2).p(x))


def _exp_of_log(x: Array) -> Array:
    return np.exp(PLAIN.y(x))


_RECIPROCAL = Softmax(divide=lambda e, s: e * (1 / s))

STYLES: tuple[Style, ...] = (
    _of("sequential", "the plainest loop, over classes and rows", one_by_one(), sequential),
    _of("reversed", "sums from the last term to the first", _backwards),
    Style("reciprocal", "pairwise sums, one division a row", _RECIPROCAL.p, _RECIPROCAL.y),
    Style(
        "Kahan, running mean",
        "compensated sums, a mean that grows with every row",
        Softmax(total=_kahan).p,
        Softmax(total=_kahan).y,
        mean=_running_mean,
    ),
    _of("four lanes", "four sums side by side", _lanes),
    Style(
        "exp2",
        "a power of two: the argument is rounded three times (profile F)",
        Softmax(exp=exp2).p,
        Softmax(exp=exp2).y,
        fast=True,
    ),
    Style(
        "exp2 with fused products",
        "powers of two of blocks, as in flash attention (profile F)",
        _flash_p,
        None,
        dtypes=("float32", "bfloat16", "float16"),
        fast=True,
        online=True,
    ),
    _online(1),
    _online(5),
    _online(32),
    Style("chunks merged", "maximum and sum of chunks, merged in a tree", _chunks_p, _chunks_y, online=True),
    Style("exp of log-softmax", "softmax as the exponential of log-softmax", _exp_of_log, PLAIN.y),
    Style("sigmoid", "two classes as one difference", _sigmoid_p, _sigmoid_y),
    Style("log-sum-exp by pairs", "logaddexp of neighbours, in a tree", lambda x: np.exp(_pairs_y(x)), _pairs_y),
)
