"""Mutants of the class weights of nll_loss."""

from __future__ import annotations

from dataclasses import replace

from tests.mutants.kit.entries import loss_bug
from tests.mutants.kit.loss_steps import NLL
from tests.mutants.kit.mutant import Mutant
from tests.mutants.kit.sources import WEIGHT

MUTANTS: tuple[Mutant, ...] = (
    loss_bug(
        "nll: weights dropped by none",
        "the unreduced branch does not know the weights",
        WEIGHT,
        replace(NLL, weigh=lambda case, q: q if case.reduction == "none" else case.w * q),
        op="nll_loss",
    ),
    loss_bug(
        "nll: weight of class 0",
        "weight[0] for every row",
        WEIGHT,
        replace(NLL, weigh=lambda case, q: case.w[:1] * q),
        op="nll_loss",
    ),
)
