"""Mutants of log_softmax at NaN, infinite and masked logits."""

from __future__ import annotations

import numpy as np

from tests.mutants.kit.clause_kit import masked, of_rows
from tests.mutants.kit.entries import both, bug
from tests.mutants.kit.mutant import Mutant
from tests.mutants.kit.softmax_mistakes import FINITE
from tests.mutants.kit.softmax_steps import PLAIN, Array, Softmax, over_rows
from tests.mutants.kit.sources import MASK


def _log_nothing(x: Array) -> Array:
    return np.where(np.isneginf(x).all(-1, keepdims=True), -np.inf, PLAIN.y(x)).astype(x.dtype)


def _infinity_first(x: Array) -> Array:
    top = np.isposinf(x)
    both = (top.sum(-1) == 1) & np.isnan(x).any(-1)
    return np.where(both[..., None], np.where(top, 0, -np.inf), PLAIN.y(x)).astype(x.dtype)


MUTANTS: tuple[Mutant, ...] = (
    bug(
        "log_softmax",
        "infinite logits made finite",
        "nan_to_num before the exponential",
        "torch-compile-scaled-softmax-hides-nan (pytorch/pytorch#161150)",
        over_rows(FINITE.y),
        expect=("float32",),
        family="positive_infinity",
    ),
    *both(
        "log p of masked classes kept finite",
        "log p is at least float16's minimum",
        MASK,
        Softmax(leave=lambda p: np.maximum(p, p.dtype.type(-65504))),
    )[1:],
    bug(
        "log_softmax",
        "all -inf row -inf",
        "log 0 for a row without a class",
        "sibling of jax-logsumexp-all-neginf-grad-nan",
        over_rows(_log_nothing),
        family="all_masked_row",
    ),
    of_rows(
        "log_softmax",
        "4.0-precedence",
        "+inf before NaN",
        "a row with +inf gives its limit although it holds NaN",
        _infinity_first,
    ),
    of_rows(
        "log_softmax",
        "4.2-log-p",
        "log p of masked classes is -65504",
        "float16's most negative number as a mask",
        lambda x: np.where(masked(x), -65504, PLAIN.y(x)).astype(x.dtype),
    ),
)
