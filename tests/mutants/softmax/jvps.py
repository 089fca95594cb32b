"""Mutants of the Jacobian-vector product of softmax."""

from __future__ import annotations

import numpy as np

from tests.mutants.kit.entries import SIBLING, row_derivative_bug
from tests.mutants.kit.mutant import Mutant
from tests.mutants.kit.softmax_steps import BF16, PLAIN, row_sum, through, vjp_softmax
from tests.mutants.kit.sources import JVP

MUTANTS: tuple[Mutant, ...] = (
    row_derivative_bug(
        "softmax", "jvp without -<p, v>", "the JVP is p v", SIBLING + JVP, jvp=lambda x, v: PLAIN.p(x) * v
    ),
    row_derivative_bug(
        "softmax",
        "jvp: <p, v> not scaled by p",
        "p v - <p, v>",
        SIBLING + JVP,
        jvp=lambda x, v: PLAIN.p(x) * v - row_sum(PLAIN.p(x) * v),
    ),
    row_derivative_bug(
        "softmax",
        "jvp diagonal only",
        "p (1 - p) v",
        SIBLING + JVP,
        jvp=lambda x, v: PLAIN.p(x) * (1 - PLAIN.p(x)) * v,
    ),
    row_derivative_bug(
        "softmax",
        "jvp with the direction's mean",
        "p (v - mean v)",
        SIBLING + JVP,
        jvp=lambda x, v: PLAIN.p(x) * (v - np.mean(v, axis=-1, keepdims=True)),
    ),
    row_derivative_bug(
        "softmax",
        "jvp with p in bfloat16",
        "the saved softmax is bfloat16",
        SIBLING + "te-ce-bf16-buffer-reuse",
        jvp=lambda x, v: vjp_softmax(through(BF16)(PLAIN.p(x)), v),
    ),
)
