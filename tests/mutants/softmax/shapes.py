"""Mutants of softmax, or of it and log_softmax, that depend on the axis or on the number of classes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.mutants.kit.clause_kit import of_rows
from tests.mutants.kit.entries import SIBLING, both, bug
from tests.mutants.kit.mutant import F16_ONLY, Mutant, options
from tests.mutants.kit.softmax_steps import PLAIN, Array, Softmax, over_rows, row_max, row_sum, zero


def _wrong_axis(x: Array, *, axis: int = -1) -> Array:
    return over_rows(PLAIN.p)(x, axis=axis - 1 if x.ndim > 1 else axis)


def _unshifted_inner(x: Array, *, axis: int = -1) -> Array:
    last = axis in (-1, x.ndim - 1)
    return over_rows(PLAIN.p if last else Softmax(shift=zero).p)(x, axis=axis)


def _odd_width(x: Array) -> Array:
    k = x.shape[-1]
    lost = 512 < k < 1024 and k % 2 == 1 and k % 32 != 31 and x.size > k
    return Softmax(total=lambda e: row_sum(e[..., : k - k % 32])).p(x) if lost else PLAIN.p(x)


WIDTH = SIBLING + "colossalai-fused-softmax-length-200"


def _when(bad: Callable[[int], bool], f: Callable[[Array], Array]) -> Callable[[Array], Array]:
    return lambda x: f(x) if bad(x.shape[-1]) else PLAIN.p(x)


def _lost_last(x: Array) -> Array:
    return Softmax(total=lambda e: row_sum(e[..., :-1]) if e.shape[-1] > 1 else row_sum(e)).p(x)


def _at_least_one(x: Array, *, axis: int = -1) -> Array:
    padded = np.zeros((*x.shape[:axis], 1, *x.shape[axis % x.ndim + 1 :]), x.dtype) if x.shape[axis] == 0 else x
    return over_rows(PLAIN.p)(padded, axis=axis)


MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "wrong axis",
        "softmax",
        "softmax",
        "normalises over the neighbouring axis",
        _wrong_axis,
        options=options("softmax"),
    ),
    bug(
        "softmax",
        "no maximum on inner axes",
        "the vector body of the kernel for other axes than the last lost the shift",
        "torch-bf16-nonlast-softmax-no-max (pytorch/pytorch#60371)",
        _unshifted_inner,
        family="offset",
    ),
    bug(
        "softmax",
        "odd width loses a warp",
        "513 to 1023 classes, odd: the last partial warp is not in the sum",
        "torch-cuda-f64-odd-width (pytorch/pytorch#143644)",
        over_rows(_odd_width),
        expect=("float64",),
    ),
    bug(
        "softmax",
        "maximum of the first 32 classes",
        "one warp's maximum",
        "sibling of torch-cuda-f64-odd-width",
        over_rows(Softmax(shift=lambda x: row_max(x[..., :32])).p),
    ),
    *both(
        "sum of the first 32 classes",
        "one warp's sum",
        "sibling of torch-cuda-f64-odd-width",
        Softmax(total=lambda e: row_sum(e[..., :32])),
    ),
    bug(
        "softmax",
        "vector of two for odd widths",
        "half2 loads: the last class of an odd row is not in the sum",
        "tf-xent-fp16-illegal-address",
        over_rows(_when(lambda k: k % 2 == 1, _lost_last)),
        expect=F16_ONLY,
    ),
    bug(
        "softmax",
        "wrong kernel above 128 classes",
        "the fused kernel is chosen for widths that it cannot do: rows sum to 1e-5",
        "colossalai-fused-softmax-length-200",
        over_rows(_when(lambda k: k > 128 and k % 64 != 0, lambda x: PLAIN.p(x) * x.dtype.type(1e-5))),
    ),
    bug(
        "softmax",
        "wrong kernel at 1024 classes",
        "the boundary of two kernels",
        WIDTH,
        over_rows(_when(lambda k: k == 1024, _lost_last)),
        expect=("float32",),
    ),
    bug(
        "softmax",
        "wrong kernel at 33 classes",
        "one more than a warp",
        WIDTH,
        over_rows(_when(lambda k: k == 33, _lost_last)),
        expect=("float32",),
    ),
    bug(
        "softmax",
        "wrong kernel for one class",
        "K = 1 gives 0",
        WIDTH,
        over_rows(_when(lambda k: k == 1, np.zeros_like)),
        family="single",
    ),
    bug(
        "softmax",
        "sixteen-bit class index",
        "classes past 65536 read the first ones: an index overflow scaled down",
        "sibling of tf-softmax-gpu-over-2^31, torch-cuda-softmax-dimsize-near-int32max",
        over_rows(lambda x: PLAIN.p(x[..., np.arange(x.shape[-1]) % 2**16])),
        expect=("bfloat16", "float16"),
    ),
    of_rows(
        "softmax",
        "4.10-no-classes",
        "one class where there is none",
        "a row has at least one class, it is assumed",
        value=_at_least_one,
    ),
)
