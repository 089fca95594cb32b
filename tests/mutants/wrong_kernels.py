"""Axes, widths and missing gradients of softmax and log_softmax."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .bugs import SIBLING, both, bug
from .mutant import ALL_DTYPES
from .parts import (
    F16,
    F32,
    PLAIN,
    Array,
    Function,
    Softmax,
    over_rows,
    over_rows_vjp,
    row_max,
    row_sum,
    through,
    vjp_softmax,
)
from .wrong_values import HALF

WIDTH = SIBLING + "colossalai-fused-softmax-length-200"


def _on_inner_axes(wrong: Callable[[Array], Array], right: Callable[[Array], Array]) -> Function:
    def value(x: Array, *, axis: int = -1) -> Array:
        return over_rows(right if axis in (-1, x.ndim - 1) else wrong)(x, axis=axis)

    return value


def _half_lse(x: Array) -> Array:
    m = row_max(x)
    return x - through(F16)(m + np.log(row_sum(np.exp(x - m))))


def _unmoved(x: Array, *, axis: int = -1) -> Array:
    p = over_rows(PLAIN.p)(x, axis=axis)
    return np.ascontiguousarray(np.moveaxis(p, axis, -1)).reshape(x.shape)


def _no_backward(x: Array, cotangent: Array, *, axis: int = -1) -> Array:
    raise LookupError("no gradient defined")


def _no_inner_backward(x: Array, cotangent: Array, *, axis: int = -1) -> Array:
    if axis not in (-1, x.ndim - 1):
        raise TypeError("expected Half, got Float")
    return over_rows_vjp(lambda r, v: vjp_softmax(PLAIN.p(r), v))(x, cotangent, axis=axis)


def _when(bad: Callable[[int], bool], f: Callable[[Array], Array]) -> Callable[[Array], Array]:
    return lambda x: f(x) if bad(x.shape[-1]) else PLAIN.p(x)


def _lost_last(x: Array) -> Array:
    return Softmax(total=lambda e: row_sum(e[..., :-1]) if e.shape[-1] > 1 else row_sum(e)).p(x)


def _column_major(x: Array, *, axis: int = -1) -> Array:
    return over_rows(PLAIN.p)(x, axis=axis).ravel(order="F").reshape(x.shape)


MUTANTS = (
    bug(
        "log_softmax",
        "log(softmax) in the io format",
        "probabilities are rounded to the format: -inf from a gap of 17 on in float16",
        "logsoftmax-lowered-to-log-softmax-converters",
        lambda x, axis=-1: np.log(over_rows(PLAIN.p)(x, axis=axis)),
        expect=("bfloat16", "float16"),
    ),
    bug(
        "log_softmax",
        "naive on inner axes",
        "the spatial kernel does not subtract the maximum",
        "torch-cuda-logsoftmax-nan-2017",
        _on_inner_axes(lambda x: np.log(np.exp(x) / row_sum(np.exp(x))), PLAIN.y),
        expect=ALL_DTYPES,
    ),
    bug(
        "log_softmax",
        "lse in float16 on inner axes",
        "max + log sum is kept in float16",
        "torch-cpu-half-logsoftmax-inner-dim",
        _on_inner_axes(_half_lse, PLAIN.y),
        expect=HALF,
    ),
    *both(
        "float32 internals, float64 inputs",
        "one cast in a generic kernel",
        "computed in fp32",
        Softmax(gap=through(F32)),
        expect=("float64",),
    ),
    *both(
        "maximum of absolute values",
        "max |x| as in a rescaling pass",
        "sibling of onnxruntime-cuda-half-softmax-infinity",
        Softmax(shift=lambda x: np.max(np.abs(x), axis=-1, keepdims=True)),
        family="all_negative",
    ),
    *both(
        "minimum subtracted",
        "the reduction is the wrong one",
        "sibling of torch-bf16-nonlast-softmax-no-max",
        Softmax(shift=lambda x: np.min(x, axis=-1, keepdims=True)),
        family="spread",
    ),
    bug(
        "softmax",
        "result written in storage order",
        "out is filled as if the class axis were last",
        "torch-softmax-out-noncontiguous",
        _unmoved,
    ),
    bug(
        "softmax",
        "result in column order",
        "out has the strides of the other order",
        "sibling of torch-softmax-out-noncontiguous",
        _column_major,
    ),
    bug(
        "log_softmax",
        "no gradient",
        "the backward pass is not registered",
        "tf-logsoftmax-no-gradient",
        grad=_no_backward,
    ),
    bug(
        "softmax",
        "no gradient on inner axes",
        "raises for float16 and an axis that is not the last",
        "torch-cuda-half-float-softmax-backward-dim",
        grad=_no_inner_backward,
        expect=HALF,
    ),
    bug(
        "softmax",
        "vector of two for odd widths",
        "half2 loads: the last class of an odd row is not in the sum",
        "tf-xent-fp16-illegal-address",
        over_rows(_when(lambda k: k % 2 == 1, _lost_last)),
        expect=HALF,
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
    bug(
        "log_softmax",
        "error for another axis",
        "axis is taken for the last one, others raise",
        "sibling of optax-integer-labels-axis-tuple",
        lambda x, axis=-1: over_rows(PLAIN.y)(np.expand_dims(x, 0) if axis not in (-1, x.ndim - 1) else x),
    ),
)
