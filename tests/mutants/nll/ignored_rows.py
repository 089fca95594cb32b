"""Mutants of ignore_index in nll_loss."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.mutants.kit.entries import SIBLING, loss_bug
from tests.mutants.kit.loss_mistakes import all_rows, ignoring
from tests.mutants.kit.loss_steps import NLL, relabelled
from tests.mutants.kit.mutant import Mutant
from tests.mutants.kit.softmax_steps import Array


def _no_sentinel(labels: Array, ignore: int | None, k: int) -> Array:
    return np.ones(labels.shape, dtype=bool)


MUTANTS: tuple[Mutant, ...] = (
    loss_bug(
        "gather first, mask by multiplication",
        "0 times the NaN or infinity of an ignored row",
        "torch-refs-nll-ignore-index-gather (pytorch/pytorch#192685)",
        replace(
            NLL,
            read=lambda case: relabelled(case, case.safe),
            mask=lambda case, rows: rows * case.kept,
        ),
        op="nll_loss",
        family="ignored_garbage",
    ),
    loss_bug(
        "ignored rows in the count",
        "the mean is divided by all rows",
        "torch-mlir-sce-ignore-index-mean (llvm/torch-mlir#3585), burn-pad-tokens-in-denominator",
        replace(NLL, denominator=all_rows),
        op="nll_loss",
    ),
    loss_bug(
        "nll: ignored rows kept by none",
        "the unreduced branch does not know ignore_index: the sentinel is taken for class 0",
        SIBLING + "torch-nll-none-uninitialised-ignored",
        replace(
            NLL, mask=lambda case, rows: np.where(case.kept, rows, -case.x[..., 0] if case.reduction == "none" else 0)
        ),
        op="nll_loss",
    ),
    loss_bug(
        "gather without ignore_index",
        "the batching rule does not know the option: a sentinel out of range is an error",
        "torch-vmap-ignore-index",
        replace(NLL, guard=ignoring(_no_sentinel)),
        op="nll_loss",
    ),
)
