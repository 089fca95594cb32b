"""Mutants of log_softmax that depend on the axis or on the number of classes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.mutants.kit.entries import bug
from tests.mutants.kit.mutant import ALL_DTYPES, F16_ONLY, Mutant
from tests.mutants.kit.softmax_steps import F16, PLAIN, Array, Function, Softmax, over_rows, row_max, row_sum, through


def _sigmoid(x: Array) -> Array:
    return PLAIN.y(x) if x.shape[-1] > 1 else -np.logaddexp(0, -x)


def _on_inner_axes(wrong: Callable[[Array], Array], right: Callable[[Array], Array]) -> Function:
    def value(x: Array, *, axis: int = -1) -> Array:
        return over_rows(right if axis in (-1, x.ndim - 1) else wrong)(x, axis=axis)

    return value


def _half_lse(x: Array) -> Array:
    m = row_max(x)
    return x - through(F16)(m + np.log(row_sum(np.exp(x - m))))


MUTANTS: tuple[Mutant, ...] = (
    bug(
        "log_softmax",
        "sigmoid for one class",
        "one class is taken for a binary problem",
        "single: the one-logit convention of binary losses",
        over_rows(_sigmoid),
        family="single",
    ),
    bug(
        "log_softmax",
        "maximum of the first 32 classes",
        "one warp's maximum",
        "sibling of torch-cuda-f64-odd-width",
        over_rows(Softmax(shift=lambda x: row_max(x[..., :32])).y),
    ),
    bug(
        "log_softmax",
        "naive on inner axes",
        "the spatial kernel does not subtract the maximum",
        "torch-cuda-logsoftmax-nan-2017",
        _on_inner_axes(lambda x: np.log(np.exp(x) / row_sum(np.exp(x))), PLAIN.y),
        expect=ALL_DTYPES,
    ),
    bug(
        "log_softmax",
        "lse in float16 on inner axes",
        "max + log sum is kept in float16",
        "torch-cpu-half-logsoftmax-inner-dim",
        _on_inner_axes(_half_lse, PLAIN.y),
        expect=F16_ONLY,
    ),
    bug(
        "log_softmax",
        "error for another axis",
        "axis is taken for the last one, others raise",
        "sibling of optax-integer-labels-axis-tuple",
        lambda x, axis=-1: over_rows(PLAIN.y)(np.expand_dims(x, 0) if axis not in (-1, x.ndim - 1) else x),
    ),
)
