"""Mutants of ignore_index in nll_loss."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.mutants.kit.entries import INDEX, SIBLING, loss_bug
from tests.mutants.kit.loss_mistakes import all_rows, ignored_by_flat_index, ignoring
from tests.mutants.kit.loss_steps import NLL, Case, relabelled
from tests.mutants.kit.mutant import Mutant
from tests.mutants.kit.softmax_steps import Array, one_by_one


def _no_sentinel(labels: Array, ignore: int | None, k: int) -> Array:
    return np.ones(labels.shape, dtype=bool)


def _all_but_minus_one(case: Case) -> Array:
    """The number of rows where -1 is ignored and there are no weights."""
    return all_rows(case) if case.ignore_index == -1 and not case.weighted else NLL.denominator(case)


def _without_steps(case: Case, rows: Array) -> Array:
    """Rows that are added in the format one by one, where each row at whose number a block of 16 ends is ignored."""
    kept = NLL.mask(case, rows)
    if case.reduction == "none" or kept.size <= 16 or case.kept.reshape(-1)[::16].any():
        return kept
    out = np.zeros_like(kept)
    out.reshape(-1)[0] = one_by_one(case.io)(kept.reshape(-1))[0]
    return out


MUTANTS: tuple[Mutant, ...] = (
    loss_bug(
        "ignored row skips the step of a cascade",
        "rows are added in blocks of 16, and an ignored row leaves before the block that ends with it is taken over",
        "torch-ignored-rows-skip-cascade (docs/findings.md)",
        replace(NLL, mask=_without_steps),
        op="nll_loss",
        expect=("float16", "bfloat16"),
        family="long_batch",
    ),
    loss_bug(
        "sentinels marked by flat index",
        "label K is marked where class 0 of the next row is: a row of class 0 after it is ignored",
        SIBLING + "flaggems-default-ignore-not-ignored",
        replace(NLL, guard=ignored_by_flat_index),
        op="nll_loss",
        targets=INDEX,
    ),
    loss_bug(
        "sentinel -1 counted without weights",
        "-1 means off for the count: rows labelled -1 are left out of the sum and counted in the mean",
        SIBLING + "tinygrad-ignore-index-minus-one-sentinel",
        replace(NLL, denominator=_all_but_minus_one),
        op="nll_loss",
    ),
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
