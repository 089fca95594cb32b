"""Mutants of the Jacobian-vector product of log_softmax."""

from __future__ import annotations

from tests.mutants.kit.entries import SIBLING, row_derivative_bug
from tests.mutants.kit.mutant import Mutant
from tests.mutants.kit.softmax_steps import PLAIN, row_sum
from tests.mutants.kit.sources import JVP

MUTANTS: tuple[Mutant, ...] = (
    row_derivative_bug(
        "log_softmax", "jvp without -<p, v>", "the JVP is the direction", SIBLING + JVP, jvp=lambda x, v: v
    ),
    row_derivative_bug(
        "log_softmax",
        "jvp is the VJP",
        "v - p sum v: the transpose of the Jacobian",
        SIBLING + JVP,
        jvp=lambda x, v: v - PLAIN.p(x) * row_sum(v),
    ),
    row_derivative_bug(
        "log_softmax",
        "jvp NaN at masked classes",
        "the rule multiplies a zero tangent by log p = -inf",
        JVP,
        jvp=lambda x, v: v - row_sum(PLAIN.p(x) * v) + 0 * PLAIN.y(x),
    ),
)
