"""Mutants of the clauses of SPEC section 3, one each: first and second derivatives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .bugs import INDEX
from .clause_kit import CORRECT, DENSE, of_loss
from .clauses_forward import _renormalised
from .later import Later
from .loss import NLL, Case, Loss, mixed, slope
from .mutant import ONE_OF_EACH, Mutant
from .parts import F16, Array, row_sum, vjp_softmax


def _leaking(case: Case, p: Array, c: Array) -> Array:
    return -c - (np.roll(c, 1, axis=-1) / 4 if case.k > 2 else 0)


def _whole(case: Case) -> Array:
    """Rows of probability targets that sum to 1, with an axis for the classes."""
    return np.asarray(case.labels is None) & (case.q.sum(axis=-1, keepdims=True) == 1)


def _by_format(case: Case, p: Array, c: Array) -> Array:
    other = ~_whole(case) & (case.labels is None and case.io == F16 and case.k > 1)
    return np.where(other, p - c, slope(case, p, c)).astype(p.dtype)


def _folded(case: Case, p: Array, c: Array) -> Array:
    return np.where(_whole(case), p - c, slope(case, p, c)).astype(p.dtype)


MUTANTS: tuple[Mutant, ...] = (
    of_loss(
        "3-nll-elsewhere",
        "gradient leaks into the next class",
        "a scatter of two entries for more than two classes",
        replace(NLL, slope=_leaking),
        op="nll_loss",
    ),
    of_loss(
        "3-ce-vjp",
        "gradient with the class's weight for labels",
        "w_i (p_i - q'_i)",
        Loss(slope=lambda case, p, c: case.w * (p - mixed(case))),
        targets=INDEX,
    ),
    of_loss(
        "3-unnormalised-gradient",
        "targets renormalised in the gradient",
        "p - q / sum q, which is neither of the accepted formulas",
        value=CORRECT.value,
        grad=Loss(read=_renormalised).grad,
        targets=DENSE,
    ),
    of_loss(
        "3-unnormalised-consistent",
        "formula of unnormalised targets by format",
        "a float16 kernel takes p - w q' where the others take Q p - w q'",
        Loss(slope=_by_format),
        targets=DENSE,
        expect=ONE_OF_EACH,
    ),
    of_loss(
        "3-no-folding",
        "weights folded into probability targets",
        "p - w q' where the targets sum to 1",
        Loss(slope=_folded),
        targets=DENSE,
    ),
    of_loss(
        "3-ce-jvp-target",
        "jvp in the targets without 1 - eps",
        "smoothing is not differentiated",
        derivatives=Later(
            target_jvp_rows=lambda case, u, y: -np.sum(np.where(u == 0, 0, case.w * u * y), -1, dtype=y.dtype)
        ).functions(),
        targets=DENSE,
    ),
    of_loss(
        "3-nll-hvp",
        "nll: second derivative of cross-entropy",
        "log-probabilities are taken for logits",
        NLL,
        op="nll_loss",
        derivatives={"hvp": Later(NLL, hvp_rows=lambda case, p, c, v: row_sum(c) * vjp_softmax(np.exp(p), v)).hvp},
    ),
)
