"""Mutants of nll_loss that accept labels out of range."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.mutants.kit.clause_kit import of_loss
from tests.mutants.kit.entries import SIBLING, loss_bug
from tests.mutants.kit.loss_mistakes import checked_by_reduction
from tests.mutants.kit.loss_steps import NLL, Case, known_labels, relabelled
from tests.mutants.kit.mutant import Mutant


def _far_clamped(case: Case) -> Case:
    if case.labels is None:
        return case
    far = np.abs(case.labels.astype(np.float64)) > 2**31
    return relabelled(case, np.where(far & case.kept, np.clip(case.labels, 0, case.k - 1), case.labels))


def _cut_in_images(case: Case) -> Case:
    # sanity check: nll_loss has labels
    assert case.labels is not None
    return relabelled(case, case.labels.astype(np.int32).astype(np.int64)) if case.x.ndim > 2 else case


def _clamped_rows_of_images(case: Case) -> Case:
    # sanity check: nll_loss has labels
    assert case.labels is not None
    alone = case.x.ndim > 2 and case.reduction == "none"
    return relabelled(case, np.where(case.kept, np.clip(case.labels, 0, case.k - 1), case.labels)) if alone else case


MUTANTS: tuple[Mutant, ...] = (
    loss_bug(
        "labels of images cut to 32 bits in the value",
        "an index type of 32 bits in the forward kernel for images; the backward kernel refuses the label",
        SIBLING + "torch-cuda-nll2d-backward-int32",
        replace(NLL, guard=lambda case: known_labels(_cut_in_images(case))),
        op="nll_loss",
        grad=NLL.grad,
    ),
    of_loss(
        "4.13-alone",
        "the gradient alone clamps far labels",
        "the value refuses them, and comes first where anybody asks both",
        NLL,
        op="nll_loss",
        grad=replace(NLL, guard=lambda case: known_labels(_far_clamped(case))).grad,
    ),
    loss_bug(
        "bounds checked in images that are reduced only",
        "the kernel for images without a reduction has no assertion",
        SIBLING + "torch-nll-none-oob-accepted",
        replace(NLL, guard=lambda case: known_labels(_clamped_rows_of_images(case))),
        op="nll_loss",
        expect=("float32",),
    ),
    loss_bug(
        "bounds checked in the reduced branch only",
        "reduction none accepts any label",
        "torch-nll-none-oob-accepted",
        replace(NLL, guard=checked_by_reduction(True)),
        op="nll_loss",
    ),
)
