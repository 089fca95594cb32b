"""Mutants of nll_loss that accept labels out of range."""

from __future__ import annotations

from dataclasses import replace

from tests.mutants.kit.entries import loss_bug
from tests.mutants.kit.loss_mistakes import checked_by_reduction
from tests.mutants.kit.loss_steps import NLL
from tests.mutants.kit.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
    loss_bug(
        "bounds checked in the reduced branch only",
        "reduction none accepts any label",
        "torch-nll-none-oob-accepted",
        replace(NLL, guard=checked_by_reduction(True)),
        op="nll_loss",
    ),
)
