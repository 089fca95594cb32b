"""Mutants of the second derivative of log_softmax."""

from __future__ import annotations

import numpy as np

from tests.mutants.kit.entries import SIBLING, row_derivative_bug
from tests.mutants.kit.mutant import Mutant
from tests.mutants.kit.softmax_steps import PLAIN, row_sum, vjp_softmax
from tests.mutants.kit.sources import HESSIAN

MUTANTS: tuple[Mutant, ...] = (
    row_derivative_bug(
        "log_softmax",
        "second derivative 0",
        "the backward pass is taken for a constant",
        HESSIAN,
        hvp=lambda x, c, v: np.zeros_like(x),
    ),
    row_derivative_bug(
        "log_softmax",
        "sign of the second derivative",
        "the minus of -(sum c) is lost",
        SIBLING + HESSIAN,
        hvp=lambda x, c, v: row_sum(c) * vjp_softmax(PLAIN.p(x), v),
    ),
    row_derivative_bug(
        "log_softmax",
        "second derivative for sum c = 1",
        "right for one-hot cotangents only",
        SIBLING + HESSIAN,
        hvp=lambda x, c, v: -vjp_softmax(PLAIN.p(x), v),
    ),
    row_derivative_bug(
        "log_softmax",
        "second derivative without -<p, v>",
        "the derivative of softmax is taken for diagonal",
        SIBLING + HESSIAN,
        hvp=lambda x, c, v: -row_sum(c) * PLAIN.p(x) * v,
    ),
)
