"""Softmax and log_softmax: numerics, special values, shapes; siblings of the upstream bugs and those not yet shown."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .bugs import both, bug
from .log_softmax import x_minus_lse
from .mutant import ALL_DTYPES
from .parts import (
    BF16,
    F16,
    F32,
    PLAIN,
    Array,
    Function,
    Softmax,
    one_by_one,
    over_rows,
    over_rows_vjp,
    row_max,
    row_sum,
    through,
    vjp_softmax,
    zero,
)

SIBLING = "sibling of "
MASK = SIBLING + "unsloth-softcap-padding-mass"
NAN = SIBLING + "torch-linear-cross-entropy-masked-row"
WIDTH = SIBLING + "colossalai-fused-softmax-length-200"
LOG2E = 1.4426950408889634
WIDE = ("float64", "float32")
HALF = ("float16",)


def _masked_as(value: Callable[[Array], float]) -> Softmax:
    return Softmax(enter=lambda x: np.where(np.isneginf(x), x.dtype.type(value(x)), x))


def _uniform(x: Array) -> Array:
    p = PLAIN.p(x)
    return np.where(np.isneginf(x).all(-1, keepdims=True), 1 / x.shape[-1], p).astype(x.dtype)


def _nothing(x: Array) -> Array:
    return np.where(np.isneginf(x).all(-1, keepdims=True), 0, PLAIN.p(x)).astype(x.dtype)


def _log_nothing(x: Array) -> Array:
    return np.where(np.isneginf(x).all(-1, keepdims=True), -np.inf, PLAIN.y(x)).astype(x.dtype)


def _shared_infinity(x: Array) -> Array:
    top = np.isposinf(x)
    share = top / np.maximum(row_sum(top.astype(x.dtype)), 1)
    clean = ~np.isnan(x).any(-1, keepdims=True)
    return np.where(top.any(-1, keepdims=True) & clean, share, PLAIN.p(x)).astype(x.dtype)


def _one_infinity_nan_elsewhere(x: Array) -> Array:
    top = np.isposinf(x)
    return np.where(top.any(-1, keepdims=True), np.where(top, 0.5, np.nan), PLAIN.p(x)).astype(x.dtype)


def _from_base_2(log: bool) -> Callable[[Array], Array]:
    """``x log2(e) - m log2(e)`` contracted to one rounding: the largest entry's difference is a rounding error."""

    def f(x: Array) -> Array:
        c = x.dtype.type(LOG2E)
        m = row_max(x)
        rounded = (m * c).astype(np.float64)
        t = (x.astype(np.float64) * np.float64(c) - rounded).astype(x.dtype)
        e = np.exp2(t)
        return t * x.dtype.type(1 / LOG2E) - np.log(row_sum(e)) if log else e / row_sum(e)

    return f


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


def _where(log: bool) -> Callable[[Array, Array], Array]:
    """The double-where trick forgotten: a masked exponential is multiplied by zero, also where it is infinite."""

    def f(x: Array, v: Array) -> Array:
        p = PLAIN.p(x)
        out = v - p * row_sum(v) if log else vjp_softmax(p, v)
        return np.where(np.isneginf(x), np.nan, out) if log else out + 0 * row_sum(np.where(np.isneginf(x), np.inf, 0))

    return f


def _when(bad: Callable[[int], bool], f: Callable[[Array], Array]) -> Callable[[Array], Array]:
    return lambda x: f(x) if bad(x.shape[-1]) else PLAIN.p(x)


def _lost_last(x: Array) -> Array:
    return Softmax(total=lambda e: row_sum(e[..., :-1]) if e.shape[-1] > 1 else row_sum(e)).p(x)


def _column_major(x: Array, *, axis: int = -1) -> Array:
    return over_rows(PLAIN.p)(x, axis=axis).ravel(order="F").reshape(x.shape)


MUTANTS = (
    *both(
        "NaN-dropping sum",
        "nansum: the other entries of the row stay finite",
        NAN,
        Softmax(
            shift=lambda x: np.fmax.reduce(x, axis=-1, keepdims=True),
            total=lambda e: np.nansum(e, axis=-1, keepdims=True),
        ),
    ),
    *both(
        "NaN taken for 0",
        "nan_to_num before the exponential",
        NAN,
        Softmax(enter=lambda x: np.where(np.isnan(x), 0, x).astype(x.dtype)),
    ),
    *both(
        "NaN hidden by the maximum",
        "comparisons with NaN are false: NaN in the first place is replaced",
        NAN,
        Softmax(enter=lambda x: np.where(x == x, x, np.finfo(F16).min).astype(x.dtype)),
    ),
    *both(
        "mask of -1e9",
        "-inf is replaced by -1e9: masked classes keep a finite log p",
        "jax-logsoftmax-where-masked-entries-finite",
        _masked_as(lambda x: -1e9),
    ),
    *both(
        "mask of the dtype's minimum",
        "-inf is replaced by the most negative number",
        MASK,
        _masked_as(lambda x: float(np.finfo(x.dtype).min)),
    ),
    *both("mask of -100", "a finite mask that confident logits reach", MASK, _masked_as(lambda x: -100)),
    *both(
        "log p of masked classes kept finite",
        "log p is at least float16's minimum",
        MASK,
        Softmax(leave=lambda p: np.maximum(p, p.dtype.type(-65504))),
    )[1:],
    bug(
        "softmax",
        "all -inf row uniform",
        "1/K for a row without a class",
        "sibling of jax-logsumexp-all-neginf-grad-nan",
        over_rows(_uniform),
        family="all_masked_row",
    ),
    bug(
        "softmax",
        "all -inf row 0",
        "safe softmax: 0 for a row without a class",
        "sibling of jax-logsumexp-all-neginf-grad-nan",
        over_rows(_nothing),
        family="all_masked_row",
    ),
    bug(
        "log_softmax",
        "all -inf row -inf",
        "log 0 for a row without a class",
        "sibling of jax-logsumexp-all-neginf-grad-nan",
        over_rows(_log_nothing),
        family="all_masked_row",
    ),
    bug(
        "softmax",
        "gradient of an all -inf row 0",
        "the NaN is replaced by 0 in the backward pass",
        "sibling of jax-logsumexp-all-neginf-grad-nan",
        grad=over_rows_vjp(lambda x, v: np.where(np.isneginf(x).all(-1, keepdims=True), 0, vjp_softmax(PLAIN.p(x), v))),
        family="all_masked_row",
    ),
    bug(
        "softmax",
        "two +inf share the mass",
        "each gets 1/2 instead of NaN",
        "torch-compile-scaled-softmax-hides-nan",
        over_rows(_shared_infinity),
        family="positive_infinity",
    ),
    bug(
        "softmax",
        "+inf gets 1/2",
        "a finite value that is not the limit",
        "torch-compile-scaled-softmax-hides-nan",
        over_rows(_one_infinity_nan_elsewhere),
        family="positive_infinity",
    ),
    bug(
        "softmax",
        "gradient through a masked exponential",
        "where-trick: infinity times 0 in the backward pass",
        "jax-softmax-where-masked-large-grad-nan",
        grad=over_rows_vjp(_where(False)),
        family="masked",
    ),
    bug(
        "log_softmax",
        "gradient through a masked exponential",
        "NaN at masked entries",
        "jax-softmax-where-masked-large-grad-nan",
        grad=over_rows_vjp(_where(True)),
        family="masked",
    ),
    bug(
        "softmax",
        "base 2 with a fused product",
        "the largest entry's shift is a rounding error of m log2(e), not 0",
        "tf-xla-cpu-scaled-logsoftmax-neginf",
        over_rows(_from_base_2(False)),
        expect=WIDE,
        family="near_overflow",
    ),
    bug(
        "log_softmax",
        "base 2 with a fused product",
        "the largest entry's shift is a rounding error of m log2(e), not 0",
        "tf-xla-cpu-scaled-logsoftmax-neginf",
        over_rows(_from_base_2(True)),
        expect=WIDE,
        family="near_overflow",
    ),
    bug(
        "log_softmax",
        "log(softmax)",
        "the log of an underflowed probability is -inf",
        "torch-mps-logsoftmax-as-log-of-softmax, logsoftmax-lowered-to-log-softmax-converters",
        over_rows(lambda x: np.log(PLAIN.p(x))),
        expect=ALL_DTYPES,
        family="spread",
    ),
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
        "x - lse",
        "log sum is rounded to the spacing of a large offset",
        "torch-cuda-logsoftmax-large-offset",
        over_rows(x_minus_lse),
        expect=ALL_DTYPES,
        family="offset",
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
    bug(
        "log_softmax",
        "tail flushed",
        "log(sum) is exactly 0 at a dominant class, where log1p of the rest is not",
        "scipy-logsoftmax-tail-flush",
        over_rows(PLAIN.y),
        expect=ALL_DTYPES,
        allowed="TOLERANCES: the bound of log s",
        parent="control log_softmax: log1p form",
    ),
    bug(
        "log_softmax",
        "log1p of the whole sum",
        "log(1 + s) instead of log s",
        "sibling of scipy-logsoftmax-tail-flush",
        over_rows(Softmax(log=np.log1p).y),
    ),
    bug(
        "log_softmax",
        "log1p of the sum of ratios to the first class",
        "the first class is taken for the maximum",
        "sibling of scipy-logsoftmax-tail-flush",
        over_rows(Softmax(shift=lambda x: x[..., :1], log=lambda s: np.log1p(s - 1)).y),
        family="dominating",
    ),
    bug(
        "log_softmax",
        "subnormal results flushed",
        "float16 results below 2^-14 are 0",
        "onnxruntime-webgpu-f16-softmax-sum, in the result",
        over_rows(Softmax(leave=lambda y: np.where(np.abs(y) < 2.0**-14, 0, y)).y),
        expect=HALF,
    ),
    *both(
        "float16 running sum",
        "the sum is kept in float16, term after term",
        "onnxruntime-webgpu-f16-softmax-sum",
        Softmax(total=one_by_one(F16)),
        expect=HALF,
    ),
    *both(
        "rounded twice, through bfloat16",
        "the result takes a detour through the other 16-bit format",
        "sibling of te-ce-bf16-buffer-reuse",
        Softmax(leave=through(BF16)),
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
    *both(
        "maximum without the last class",
        "the loop of the maximum stops one short",
        "sibling of torch-bf16-nonlast-softmax-no-max",
        Softmax(shift=lambda x: row_max(x[..., :-1]) if x.shape[-1] > 1 else row_max(x)),
        family="near_overflow",
    ),
    bug(
        "softmax",
        "maximum of the first 32 classes",
        "one warp's maximum",
        "sibling of torch-cuda-f64-odd-width",
        over_rows(Softmax(shift=lambda x: row_max(x[..., :32])).p),
    ),
    bug(
        "log_softmax",
        "maximum of the first 32 classes",
        "one warp's maximum",
        "sibling of torch-cuda-f64-odd-width",
        over_rows(Softmax(shift=lambda x: row_max(x[..., :32])).y),
        gap="no row of log_softmax whose class beyond the 32nd is 90 above the others",
    ),
    *both(
        "sum of the first 32 classes",
        "one warp's sum",
        "sibling of torch-cuda-f64-odd-width",
        Softmax(total=lambda e: row_sum(e[..., :32])),
    ),
    *both(
        "exponent saturates",
        "shifted logits are at least -708 and results at least the smallest normal",
        "sibling of paddle-softmax-clip-minus-64",
        Softmax(gap=lambda d: np.maximum(d, d.dtype.type(-88))),
        expect=WIDE,
    ),
    bug(
        "softmax",
        "infinite logits saturate",
        "clip to the largest finite number of float16",
        "sibling of torch-compile-scaled-softmax-hides-nan",
        over_rows(Softmax(enter=lambda x: np.clip(x, -65504, 65504)).p),
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
    *both(
        "no shift in float32",
        "float16 logits never overflow float32's exp, they are told; 89 does",
        "sibling of torch-bf16-nonlast-softmax-no-max",
        Softmax(shift=zero),
        expect=("bfloat16", "float16"),
        family="offset",
    ),
)
