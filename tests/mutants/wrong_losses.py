"""Denominators, sums, axes and masks of cross-entropy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .bugs import INDEX, SIBLING, loss_bug
from .loss import Case, Loss, row_losses
from .mutant import ALL_DTYPES
from .parts import F16, F32, Array, Softmax, one_by_one, through

COUNT = SIBLING + "torch-mlir-sce-ignore-index-mean"


DENSE = ("probability",)


SECTION_2 = "SPEC section 2"


def denominator(f: Callable[[Case], object]) -> Loss:
    return Loss(denominator=lambda case: np.asarray(f(case), case.x.dtype))


def _mean_of_means(case: Case, rows: Array) -> Array:
    if rows.ndim < 2:
        return np.sum(rows) / np.sum(case.scale, dtype=rows.dtype)
    axes = tuple(range(1, rows.ndim))
    return np.mean(rows.sum(axis=axes) / case.scale.sum(axis=axes))


def _random(a: Array) -> Array:
    flat = a.reshape(-1)
    return one_by_one()(np.random.default_rng().permutation(flat))[0] if a.size else np.zeros((), a.dtype)


def _flattened_wrongly(x: Array, *, axis: int = -1, **options: object) -> Array:
    at = axis % x.ndim
    moved = np.moveaxis(x, at, -1).shape
    return Loss().value(np.ascontiguousarray(x).reshape(moved), axis=-1, **_targets(options, at, moved))  # type: ignore[arg-type]


def _targets(options: dict[str, object], axis: int, shape: tuple[int, ...]) -> dict[str, object]:
    target = options["target"]
    # sanity check: losses have targets
    assert isinstance(target, np.ndarray)
    return options | {"target": np.moveaxis(target, axis, -1) if target.dtype.kind == "f" else target}


def _fortran_labels(case: Case) -> Case:
    if case.labels is None or case.labels.ndim < 2:
        return case
    order = case.labels.ravel(order="F").reshape(case.labels.shape)
    q = (np.arange(case.k) == order[..., None]).astype(case.x.dtype)
    kept = case.kept.ravel(order="F").reshape(case.labels.shape)
    return replace(case, labels=order, q=q, kept=kept)


def _bias(case: Case, y: Array, c: Array) -> Array:
    """The target logit has a bias that the normaliser has not."""
    bias = (np.arange(case.k) == 0).astype(y.dtype)
    return row_losses(case, y + np.where(np.isinf(y), 0, bias), c)


MUTANTS = (
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
    loss_bug(
        "mask by multiplication",
        "0 times the NaN or infinity of an ignored row",
        SIBLING + "torch-refs-nll-ignore-index-gather",
        Loss(mask=lambda case, rows: rows * case.kept),
        targets=INDEX,
        family="ignored_garbage",
    ),
    loss_bug("one row too many in the count", "N + 1", COUNT, denominator(lambda case: case.kept.size + 1)),
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
            total=lambda rows: np.mean(rows) if rows.size else np.zeros((), rows.dtype),
            denominator=lambda case: np.sum(case.scale, dtype=case.x.dtype) / case.x.dtype.type(max(case.kept.size, 1)),
        ),
    ),
    loss_bug(
        "biased target logit",
        "a bias is in the target's logit and not in the normaliser",
        "cce-bias-path",
        Loss(rows=_bias),
    ),
    loss_bug(
        "axes flattened in the wrong order",
        "the storage is read as (N, K) whatever the class axis",
        SIBLING + "keras3-sparse-axis-squeeze",
        Loss(),
        value=_flattened_wrongly,
    ),
    loss_bug(
        "labels in column order",
        "labels of several axes are flattened the other way round",
        SIBLING + "tinygrad-cross-entropy-kd-indices",
        Loss(read=_fortran_labels),
        targets=INDEX,
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
        allowed="TOLERANCES: sums in any order",
    ),
    loss_bug(
        "everything in float32",
        "float64 inputs are computed in float32",
        "computed in fp32, the loss",
        Loss(logp=Softmax(inner=F32).y),
        expect=("float64",),
    ),
    loss_bug(
        "batch summed in float32",
        "float64 losses are summed in float32",
        "computed in fp32, the reduction",
        Loss(total=lambda rows: through(F32)(np.sum(rows, dtype=F32)).astype(rows.dtype)),
        expect=("float64",),
    ),
)
