"""Mutants of the JVPs of softmax, log_softmax and nll_loss and of the second derivative of log_softmax."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .bugs import INDEX, SIBLING, bug, loss_bug
from .later import Later, row_derivatives
from .loss import NLL, Loss
from .mutant import Mutant
from .parts import BF16, PLAIN, Array, Function, row_sum, through, vjp_softmax

HESSIAN = "tf-second-derivative-xent-wrong"


JVP = "optax-weighted-logsoftmax-jvp-nan"


def _rows(op: str, name: str, why: str, source: str, **steps: Callable[..., Array]) -> Mutant:
    return bug(op, name, why, source, derivatives=row_derivatives(op, PLAIN.p, **steps))


def _nll(name: str, why: str, source: str, f: Function) -> Mutant:
    return loss_bug(name, why, source, NLL, op="nll_loss", derivatives={"jvp": f}, targets=INDEX)


MUTANTS = (
    _rows("softmax", "jvp without -<p, v>", "the JVP is p v", SIBLING + JVP, jvp=lambda x, v: PLAIN.p(x) * v),
    _rows(
        "softmax",
        "jvp: <p, v> not scaled by p",
        "p v - <p, v>",
        SIBLING + JVP,
        jvp=lambda x, v: PLAIN.p(x) * v - row_sum(PLAIN.p(x) * v),
    ),
    _rows(
        "softmax",
        "jvp diagonal only",
        "p (1 - p) v",
        SIBLING + JVP,
        jvp=lambda x, v: PLAIN.p(x) * (1 - PLAIN.p(x)) * v,
    ),
    _rows(
        "softmax",
        "jvp with the direction's mean",
        "p (v - mean v)",
        SIBLING + JVP,
        jvp=lambda x, v: PLAIN.p(x) * (v - np.mean(v, axis=-1, keepdims=True)),
    ),
    _rows(
        "softmax",
        "jvp with p in bfloat16",
        "the saved softmax is bfloat16",
        SIBLING + "te-ce-bf16-buffer-reuse",
        jvp=lambda x, v: vjp_softmax(through(BF16)(PLAIN.p(x)), v),
    ),
    _rows("log_softmax", "jvp without -<p, v>", "the JVP is the direction", SIBLING + JVP, jvp=lambda x, v: v),
    _rows(
        "log_softmax",
        "jvp is the VJP",
        "v - p sum v: the transpose of the Jacobian",
        SIBLING + JVP,
        jvp=lambda x, v: v - PLAIN.p(x) * row_sum(v),
    ),
    _rows(
        "log_softmax",
        "jvp NaN at masked classes",
        "the rule multiplies a zero tangent by log p = -inf",
        JVP,
        jvp=lambda x, v: v - row_sum(PLAIN.p(x) * v) + 0 * PLAIN.y(x),
    ),
    _rows(
        "log_softmax",
        "second derivative 0",
        "the backward pass is taken for a constant",
        HESSIAN,
        hvp=lambda x, c, v: np.zeros_like(x),
    ),
    _rows(
        "log_softmax",
        "sign of the second derivative",
        "the minus of -(sum c) is lost",
        SIBLING + HESSIAN,
        hvp=lambda x, c, v: row_sum(c) * vjp_softmax(PLAIN.p(x), v),
    ),
    _rows(
        "log_softmax",
        "second derivative for sum c = 1",
        "right for one-hot cotangents only",
        SIBLING + HESSIAN,
        hvp=lambda x, c, v: -vjp_softmax(PLAIN.p(x), v),
    ),
    _rows(
        "log_softmax",
        "second derivative without -<p, v>",
        "the derivative of softmax is taken for diagonal",
        SIBLING + HESSIAN,
        hvp=lambda x, c, v: -row_sum(c) * PLAIN.p(x) * v,
    ),
    _nll(
        "jvp without weights",
        "-v at the target",
        SIBLING + JVP,
        Later(Loss(**{**vars(NLL), "weigh": lambda case, q: q})).jvp,
    ),
    _nll(
        "jvp of all classes",
        "the direction is summed over the classes",
        SIBLING + JVP,
        Later(NLL, jvp_rows=lambda case, p, c, v: -np.sum(row_sum(c) * v, axis=-1)).jvp,
    ),
)
