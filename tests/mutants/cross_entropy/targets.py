"""Mutants of the probability targets of cross_entropy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.mutants.kit.clause_kit import of_loss
from tests.mutants.kit.entries import DENSE, loss_bug
from tests.mutants.kit.loss_mistakes import denominator, only_whole
from tests.mutants.kit.loss_steps import CORRECT, Case, Loss, mixed
from tests.mutants.kit.mutant import Mutant
from tests.mutants.kit.softmax_steps import BF16, Array, row_sum, through
from tests.mutants.kit.sources import COUNT, EXACT_INPUTS


def _renormalised(case: Case) -> Case:
    return case if case.labels is not None else replace(case, q=case.q / row_sum(case.q))


def _hardened(case: Case) -> Array:
    if case.labels is not None or case.k > 2:
        return mixed(case)
    hard = (np.arange(case.k) == case.q.argmax(axis=-1)[..., None]).astype(case.x.dtype)
    whole = case.q.sum(axis=-1, keepdims=True) == 1
    return mixed(replace(case, q=np.where(whole, hard, case.q)))


def _at_most_1(case: Case) -> Case:
    if case.labels is not None:
        return case
    total = case.q.sum(axis=-1, keepdims=True)
    return replace(case, q=(case.q / np.maximum(total, 1)).astype(case.x.dtype))


MUTANTS: tuple[Mutant, ...] = (
    loss_bug(
        "arguments swapped",
        "-sum p log q instead of -sum q log p",
        "keras-theano-sparse-swapped-args (keras-team/keras#7512)",
        Loss(rows=lambda case, y, c: -np.sum(np.exp(y) * np.log(mixed(case)), axis=-1, dtype=y.dtype)),
        targets=("probability",),
    ),
    loss_bug(
        "targets renormalised",
        "q / sum q: rows that do not sum to 1 lose their mass",
        "specification section 2: q is not renormalised",
        Loss(read=_renormalised),
        targets=("probability",),
    ),
    of_loss(
        "2-cross_entropy-probability",
        "likeliest of two classes",
        "probabilities of two classes that sum to 1 are taken for their likeliest class, in the value",
        Loss(mix=_hardened),
        grad=CORRECT.grad,
        targets=DENSE,
    ),
    of_loss(
        "2-not-renormalised",
        "mass above 1 renormalised in the value",
        "q / max(sum q, 1), only in the forward pass",
        Loss(read=_at_most_1),
        grad=CORRECT.grad,
        targets=DENSE,
    ),
    of_loss(
        "2-normalised-targets",
        "undeclared need of targets that sum to 1",
        "other targets are an error, which is not declared",
        Loss(guard=only_whole),
        targets=DENSE,
    ),
    loss_bug(
        "dense mean over the mass", "sum q instead of N", COUNT, denominator(lambda case: case.q.sum()), targets=DENSE
    ),
    loss_bug(
        "dense rows of no mass dropped",
        "rows whose targets are 0 are left out of the count",
        COUNT,
        denominator(lambda case: (case.q.sum(-1) != 0).sum()),
        targets=DENSE,
    ),
    loss_bug(
        "dense mean over weights",
        "sum w q instead of N",
        COUNT,
        denominator(lambda case: (case.w * case.q).sum()),
        targets=DENSE,
    ),
    loss_bug(
        "targets in bfloat16",
        "probabilities are kept in 16 bits: multiples of 1/128 are whole there",
        EXACT_INPUTS,
        Loss(read=lambda case: case if case.labels is not None else replace(case, q=through(BF16)(case.q))),
        targets=DENSE,
        expect=("float64", "float32"),
        family="full_mantissas",
    ),
)
