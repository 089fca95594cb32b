"""Regular calls, judged in one pass: those of the four operations that ask for nothing but the value and the VJP.

Not among them are what has no rows or one class, means without a weight (clauses 8 and 10 of the specification), and
sums that may overflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossproof.core.batch import Batch, Bools
from lossproof.core.formats import F64, FLOAT64, FORMATS
from lossproof.core.profiles import Declared
from lossproof.judging.fused.cross_entropy_pass import judge_cross_entropy_rows
from lossproof.judging.fused.cross_entropy_rows import HARD, MEAN, NONE, SMOOTHED, SOFT, SUM
from lossproof.judging.fused.entries import BLOCK_SHAPE, EMPTY, LOSS_ROWS, SOFTMAX_ROWS
from lossproof.judging.fused.model_table import model_table
from lossproof.judging.fused.nll_pass import judge_nll_rows
from lossproof.judging.fused.softmax_pass import judge_softmax_rows
from lossproof.truth.bounds.error_model import Model
from lossproof.truth.bounds.losses import denominator_error
from lossproof.truth.oracle import in_double_double, in_float64
from lossproof.truth.row_quantities import counted, either_gradient, partial_limit, scales

OUTPUTS = ("value", "vjp")
_REDUCTIONS = {"none": NONE, "sum": SUM, "mean": MEAN}
# Classes that a pass works on at once: of a row that has more only so many are kept.
WINDOW = 1 << 15
_NOTHING = {n: np.zeros((0,) * n) for n in (2, 3, 4)}


@dataclass(frozen=True)
class Summaries:
    """The summaries of a pass: ``found`` is (T, 2, B, M, SUMMARY_FIELDS), of the value and the VJP under every model.

    ``models`` are these, ``asked`` (T, M) says by which of them a target is judged, and ``regular`` (2, B) of which
    problems it holds, for each of the two: what the VJP depends on alone is no matter to the value.
    """

    found: F64
    models: tuple[Model, ...]
    asked: Bools
    regular: Bools


@dataclass(frozen=True)
class _Question:
    """The models of a pass, and which of them each target is judged by, in the order that the kernels want."""

    models: tuple[Model, ...]
    asked: Bools
    declared: NDArray[np.int64]


def judge_regular(
    batch: Batch, answers: Mapping[str, F64], declared: Sequence[Declared], *, random: bool, met: bool = True
) -> Summaries | None:
    """Judge the answers of targets to a batch in one pass, None where it is not for this pass.

    ``answers`` hold arrays by output, the targets first and then the batch's layout. ``random`` adds the model of
    randomly ordered terms; without ``met`` they are judged by the declared profiles alone.
    """
    if not _is_simple(batch) or not all(map(is_for_the_pass, declared)):
        return None
    question = _question(batch.fmt.name, tuple(declared), random, met)
    size = (len(declared), len(OUTPUTS), batch.x.shape[0], len(question.models), 1)
    found = np.tile(EMPTY, size)
    regular = np.ones((len(OUTPUTS), batch.x.shape[0]), dtype=bool)
    if batch.fmt.precision >= FLOAT64.precision:
        regular[0] = in_double_double.suitable(replace(batch, cot=None))
        regular[1] = in_double_double.suitable(batch)
    with np.errstate(all="ignore"):
        if batch.is_loss:
            _losses(batch, question, answers, found, regular)
        else:
            _softmax(batch, question, answers, found, regular)
    return Summaries(found, question.models, question.asked, regular)


def is_for_the_pass(declared: Declared) -> bool:
    """Say whether the pass judges answers under a declaration: of profile S a logarithm near 0 has an error of its own,
    which the rows here do not have."""
    return declared.profile != "S"


def _is_simple(batch: Batch) -> bool:
    return (
        batch.product_error is None
        and not batch.is_variant
        and batch.back is None
        and batch.k > 1
        and batch.n > 0
        and set(batch.outputs) <= set(OUTPUTS)
    )


@lru_cache(maxsize=64)
def _question(dtype: str, declared: tuple[Declared, ...], random: bool, met: bool) -> _Question:
    fmt = FORMATS[dtype]
    oracle = in_double_double.DOUBLE_DOUBLE_MODEL if fmt.precision >= FLOAT64.precision else in_float64.ORACLE_MODEL
    per_target = []
    for one in declared:
        profiles = dict.fromkeys((one.profile, "W", fmt.default_profile) if met else (one.profile,))
        several = [Model(fmt, profile, online=one.online) for profile in profiles]
        per_target.append([*several, replace(several[0], random=True)] if random else several)
    judged = tuple(dict.fromkeys(m for several in per_target for m in several))
    models = (oracle, *judged, in_float64.FLOAT64_MODEL)
    asked = np.array(
        [[0 < i < len(models) - 1 and m in several for i, m in enumerate(models)] for several in per_target]
    )
    return _Question(models, asked, np.array([models.index(several[0], 1) for several in per_target]))


@lru_cache(maxsize=4096)
def table_of(models: tuple[Model, ...], n: int, k: int) -> NDArray[Any]:
    """The table of models for problems of n rows and k classes, made once."""
    return model_table(models, n, k)


def _limits(batch: Batch) -> F64:
    fmt = batch.fmt
    own = fmt.max * (1 - 2 * fmt.u)
    return np.array([fmt.max, fmt.u, 2.0 ** (fmt.emin - fmt.precision + 1), own, partial_limit(batch)])


def _given(a: F64 | None, ndim: int) -> F64:
    """An array as the loops are compiled for; one without entries for none."""
    return _NOTHING[ndim] if a is None else np.ascontiguousarray(a)


def _cotangent(batch: Batch, ndim: int) -> F64:
    return _given(batch.cot if "vjp" in batch.outputs else None, ndim)


def _softmax(batch: Batch, question: _Question, answers: Mapping[str, F64], found: F64, regular: Bools) -> None:
    judge_softmax_rows(
        batch.op == "log_softmax",
        batch.fmt.precision >= FLOAT64.precision,
        table_of(question.models, batch.n, batch.k),
        _limits(batch),
        _given(batch.x, 3),
        _cotangent(batch, 3),
        _given(answers.get("value"), 4),
        _given(answers.get("vjp"), 4),
        question.asked,
        question.declared,
        np.zeros((SOFTMAX_ROWS, min(batch.k, WINDOW))),
        np.empty(BLOCK_SHAPE),
        found,
        regular,
    )


def _losses(batch: Batch, question: _Question, answers: Mapping[str, F64], found: F64, regular: Bools) -> None:
    share, w = counted(batch), _given(batch.w if batch.weighted else None, 2)
    denominator, row_scale = scales(batch)
    regular &= batch.kept.any(axis=1)
    if batch.reduction == "mean":
        weights = np.abs(share).sum(axis=1)
        regular &= (weights > 0) & (weights < partial_limit(batch))
    rho = np.zeros((len(question.models), batch.x.shape[0]))
    for i, model in enumerate(question.models[:-1]):
        error, unjudged = denominator_error(batch, model)
        rho[i] = error[:, 0]
        regular &= ~unjudged
    shared = (
        batch.fmt.precision >= FLOAT64.precision,
        table_of(question.models, batch.n, batch.k),
        _limits(batch),
        _given(batch.x, 3),
    )
    later = (
        _cotangent(batch, 2),
        row_scale,
        np.ascontiguousarray(denominator[:, 0]),
        rho,
        _given(answers.get("value"), 3),
    )
    reduction, vjps = _REDUCTIONS[batch.reduction], _given(answers.get("vjp"), 4)
    y = batch.y if batch.y is not None else np.full(batch.kept.shape, -1)
    if batch.op == "nll_loss":
        judge_nll_rows(
            reduction,
            batch.weighted,
            *shared,
            y,
            w,
            batch.kept,
            share,
            *later,
            vjps,
            question.asked,
            question.declared,
            np.empty(BLOCK_SHAPE),
            found,
            regular,
        )
        return
    kind = SMOOTHED if batch.smoothed else HARD if batch.hard else SOFT
    q = _given(batch.q, 3)
    judge_cross_entropy_rows(
        kind,
        reduction,
        batch.weighted,
        *shared,
        y,
        q,
        w,
        batch.kept,
        either_gradient(batch),
        np.ascontiguousarray(batch.eps[:, 0, 0]),
        share,
        *later,
        vjps,
        question.asked,
        question.declared,
        np.zeros((LOSS_ROWS, min(batch.k, WINDOW))),
        np.empty(BLOCK_SHAPE),
        found,
        regular,
    )
