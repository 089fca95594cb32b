"""Mutants of sum, mean and none in cross_entropy, class weights aside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.mutants.kit.clause_kit import FEW, largest, of_loss
from tests.mutants.kit.entries import DENSE, INDEX, SIBLING, loss_bug
from tests.mutants.kit.kill_table import plain_row
from tests.mutants.kit.loss_mistakes import all_rows, counted, denominator, kept_rows
from tests.mutants.kit.loss_steps import CORRECT, Case, Loss, sum_of_weights
from tests.mutants.kit.mutant import ALL_DTYPES, Mutant
from tests.mutants.kit.softmax_steps import BF16, F16, F32, Array, one_by_one, through
from tests.mutants.kit.sources import COUNT, SECTION_2


def batch_sum(fmt: np.dtype[Any]) -> Loss:
    """The losses of the batch are summed one after the other in a format."""
    return Loss(total=lambda rows: one_by_one(fmt)(rows.reshape(-1))[0])


def _without_last(case: Case, rows: Array) -> Array:
    flat = rows.reshape(-1)
    return np.asarray(np.mean(flat[:-1] if flat.size > 1 else flat, dtype=flat.dtype))


def _mean_of_shards(case: Case, rows: Array) -> Array:
    halves = zip(np.array_split(rows.reshape(-1), 2), np.array_split(case.scale.reshape(-1), 2), strict=True)
    return np.mean([np.sum(r) / np.sum(w) for r, w in halves if r.size])


def _mean_for_sum(x: Array, **options: Any) -> Array:
    plain = options["reduction"] == "sum" and options["ignore_index"] is None and x.shape[options["axis"]] <= FEW
    out = CORRECT.value(x, **options)
    rows = max(x.size // max(x.shape[options["axis"]], 1), 1)
    return (out / x.dtype.type(rows)).astype(x.dtype) if plain else out


def _mean_of_halves(case: Case, rows: Array) -> Array:
    apart = case.ignore_index is None and case.k <= FEW and rows.size % 2 == 0
    pieces = 2 if apart and case.labels is not None and rows.size else 1
    parts = zip(np.split(rows.reshape(-1), pieces), np.split(case.scale.reshape(-1), pieces), strict=True)
    return np.mean([np.sum(r, dtype=r.dtype) / np.sum(w, dtype=w.dtype) for r, w in parts], dtype=rows.dtype)


def _flat(x: Array, **options: Any) -> Array:
    out = CORRECT.value(x, **options)
    return out.reshape(-1) if out.ndim > 1 else out


def _one_row_less(case: Case) -> Array:
    return sum_of_weights(case) if case.labels is not None else counted(case, max(case.kept.size - 1, 1))


def _rows_unless_weighted(wrong: Callable[[Case], Array], right: Callable[[Case], Array]) -> Callable[[Case], Array]:
    """Another denominator where rows are ignored and weighted."""
    return lambda case: (wrong if case.weighted and not case.kept.all() else right)(case)


def _capped(a: Array) -> Array:
    return np.minimum(np.sum(a, dtype=a.dtype), largest(a.dtype)).astype(a.dtype)


def _capped_sum(weighted: bool) -> Any:
    def mean(case: Case, rows: Array) -> Array:
        if case.weighted != weighted or not np.isfinite(rows).all():
            return np.sum(rows, dtype=rows.dtype) / sum_of_weights(case)
        return _capped(rows) / _capped(case.scale)

    return mean


def _mean_of_means(case: Case, rows: Array) -> Array:
    if rows.ndim < 2:
        return np.sum(rows) / np.sum(case.scale, dtype=rows.dtype)
    axes = tuple(range(1, rows.ndim))
    return np.mean(rows.sum(axis=axes) / case.scale.sum(axis=axes))


def _random(a: Array) -> Array:
    flat = a.reshape(-1)
    return one_by_one()(np.random.default_rng().permutation(flat))[0] if a.size else np.zeros((), a.dtype)


MUTANTS: tuple[Mutant, ...] = (
    plain_row("sum not mean", "mean is not divided", Loss(denominator=lambda case: counted(case, 1))),
    plain_row(
        "mean over N*K", "the mean of the one-hot products", Loss(denominator=lambda case: counted(case, case.x.size))
    ),
    plain_row(
        "mean over N-1", "Bessel's correction", Loss(denominator=lambda case: counted(case, max(case.kept.size - 1, 1)))
    ),
    plain_row("fp16 batch accumulator", "the batch is summed in float16", batch_sum(F16), family="long_batch"),
    plain_row("bf16 batch accumulator", "the batch is summed in bfloat16", batch_sum(BF16), family="long_batch"),
    plain_row("dropped last sample", "the batch loop stops one row short", Loss(mean=_without_last)),
    loss_bug(
        "float16 sum and count",
        "numerator and denominator are float16: 4096 losses of 20 are infinite",
        "torch-fp16-mean-overflow-nan (pytorch/pytorch#61523)",
        Loss(
            total=lambda rows: through(F16)(np.sum(rows)),
            denominator=lambda case: through(F16)(np.sum(case.scale, dtype=case.x.dtype)),
        ),
        expect=("float16",),
        family="long_batch",
    ),
    loss_bug(
        "mean of shard means",
        "halves with different weights get the same say",
        "torch-dtensor-nll-weighted-mean (pytorch/pytorch#185167), mixed-framework-gradient-accumulation-mean",
        Loss(mean=_mean_of_shards),
        targets=INDEX,
    ),
    of_loss("2-none", "losses of several axes flattened", "reduction none returns one axis", value=_flat),
    of_loss(
        "2-sum",
        "sum over few classes is the mean",
        "divided by the rows where nothing is ignored",
        value=_mean_for_sum,
    ),
    of_loss(
        "2-mean-index",
        "mean of the means of two halves",
        "halves with different weights get the same say",
        Loss(mean=_mean_of_halves),
    ),
    of_loss(
        "2-mean-probability",
        "dense mean over N - 1",
        "Bessel's correction",
        Loss(denominator=_one_row_less),
        grad=CORRECT.grad,
        targets=DENSE,
    ),
    of_loss(
        "2-mean_over_rows",
        "declared mean over rows leaves out ignored rows",
        "where there are weights, the reduction that is declared is not the one that is implemented",
        Loss(denominator=_rows_unless_weighted(kept_rows, all_rows)),
        targets=INDEX,
        mean="mean_over_rows",
    ),
    of_loss(
        "2-mean_over_kept",
        "declared mean over kept rows divides by all rows",
        "where there are weights, the reduction that is declared is not the one that is implemented",
        Loss(denominator=_rows_unless_weighted(all_rows, kept_rows)),
        targets=INDEX,
        mean="mean_over_kept",
    ),
    of_loss(
        "4.7-may-sum",
        "overflowed sum of losses saturates",
        "the mean of a sum that stopped growing",
        Loss(mean=_capped_sum(weighted=False)),
    ),
    of_loss(
        "4.7-may-weights",
        "overflowed sums of weights saturate",
        "the quotient of two sums that stopped growing",
        Loss(mean=_capped_sum(weighted=True)),
    ),
    of_loss(
        "4.7-float16-sums",
        "float16 sum",
        "the losses of the batch are added up in float16",
        Loss(total=lambda rows: through(F16)(np.sum(rows, dtype=rows.dtype))),
        expect=("float16",),
    ),
    loss_bug(
        "mean is the first row",
        "only row 0 reaches the result",
        COUNT,
        Loss(mean=lambda case, rows: rows.reshape(-1)[:1].sum()),
    ),
    loss_bug(
        "mean over the batch axis only",
        "means of means: samples with few kept rows get the same say",
        "mixed-framework-gradient-accumulation-mean",
        Loss(mean=_mean_of_means),
        targets=INDEX,
    ),
    loss_bug(
        "denominator at least 1",
        "a guard max(sum w, 1) against division by zero",
        COUNT,
        Loss(denominator=lambda case: np.maximum(np.sum(case.scale, dtype=case.x.dtype), case.x.dtype.type(1))),
        targets=INDEX,
    ),
    loss_bug("one row too many in the count", "N + 1", COUNT, denominator(lambda case: case.kept.size + 1)),
    loss_bug(
        "float16 count",
        "100 000 rows are infinitely many in float16",
        SIBLING + "torch-fp16-mean-overflow-nan",
        Loss(denominator=lambda case: through(F16)(np.sum(case.scale, dtype=case.x.dtype))),
        takes=frozenset({"axis", "reduction"}),
        targets=INDEX,
        expect=("float16",),
        family="long_batch",
    ),
    loss_bug(
        "float16 count saturates",
        "the count of rows is at most 65504",
        SIBLING + "torch-fp16-mean-overflow-nan",
        Loss(denominator=lambda case: np.minimum(np.sum(case.scale, dtype=case.x.dtype), case.x.dtype.type(65504))),
        takes=frozenset({"axis", "reduction"}),
        targets=INDEX,
        expect=("bfloat16", "float16"),
        family="long_batch",
    ),
    loss_bug(
        "sum is the mean",
        "reduction sum is divided by N",
        SECTION_2,
        Loss(
            total=lambda rows: np.asarray(np.mean(rows) if rows.size else 0, rows.dtype),
            denominator=lambda case: np.sum(case.scale, dtype=case.x.dtype) / case.x.dtype.type(max(case.kept.size, 1)),
        ),
    ),
    loss_bug(
        "rows summed in random order",
        "atomics: the last bits differ from call to call",
        "torch-ce-segmentation-nondeterministic",
        Loss(total=_random),
        expect=ALL_DTYPES,
        allowed="section 5: determinism is a grade",
    ),
    loss_bug(
        "rows summed one after the other",
        "a single float32 accumulator; 2^24 rows, where it stagnates, are not in the deck",
        "torch-cpu-float32-mean-large-batch",
        Loss(total=lambda rows: one_by_one()(rows.reshape(-1))[0] if rows.size else np.zeros((), rows.dtype)),
        expect=("float64", "float32"),
        allowed="docs/bounds.md section 1: sums in any order",
    ),
    loss_bug(
        "batch summed in float32",
        "float64 losses are summed in float32",
        "computed in fp32, the reduction",
        Loss(total=lambda rows: through(F32)(np.asarray(np.sum(rows, dtype=F32))).astype(rows.dtype)),
        expect=("float64",),
    ),
)
