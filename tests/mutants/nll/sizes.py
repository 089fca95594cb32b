"""Mutants of nll_loss in images of many positions."""

from __future__ import annotations

from dataclasses import replace

from tests.mutants.kit.entries import SIBLING, loss_bug
from tests.mutants.kit.loss_steps import NLL, Case
from tests.mutants.kit.mutant import Mutant
from tests.mutants.kit.softmax_steps import Array

# What 255 blocks of 1024 threads take.
_FULL = 255 * 1024


def _first_block(case: Case, rows: Array) -> Array:
    kept = NLL.mask(case, rows)
    if kept.ndim < 2 or not kept.size or kept[0].size <= _FULL:
        return kept
    kept = kept.copy()
    kept.reshape(len(kept), -1)[:, _FULL:] = 0
    return kept


MUTANTS: tuple[Mutant, ...] = (
    loss_bug(
        "nll: second block of an image",
        "an image of more positions than one block takes loses what the second block adds",
        SIBLING + "torch-cuda-nll2d-backward-int32",
        replace(NLL, mask=_first_block),
        op="nll_loss",
        expect=("float32", "bfloat16"),
        family="long_batch",
    ),
)
