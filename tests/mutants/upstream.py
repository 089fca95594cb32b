"""Upstream bugs of softmax, or of it and log_softmax. Each names its entry of bugs.json."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .bugs import both, bug
from .parts import (
    F16,
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
    wide,
    zero,
)


def by_storage(f: Callable[[Array], Array]) -> Function:
    """Rows are read from the storage as if the class axis were last."""

    def value(x: Array, *, axis: int = -1) -> Array:
        moved = np.moveaxis(x, axis, -1)
        return np.moveaxis(over_rows(f)(np.ascontiguousarray(x).reshape(moved.shape)), -1, axis)

    return value


def _vjp_by_storage(x: Array, cotangent: Array, *, axis: int = -1) -> Array:
    p = over_rows(PLAIN.p)(x, axis=axis)
    moved = np.moveaxis(p, axis, -1).shape
    with np.errstate(all="ignore"):
        v = np.moveaxis(cotangent, axis, -1).astype(wide(x.dtype))
        out = vjp_softmax(np.ascontiguousarray(p).reshape(moved).astype(v.dtype), v)
        return np.moveaxis(out.astype(x.dtype), -1, axis)


def _unshifted_inner(x: Array, *, axis: int = -1) -> Array:
    last = axis in (-1, x.ndim - 1)
    return over_rows(PLAIN.p if last else Softmax(shift=zero).p)(x, axis=axis)


def _in_place(x: Array, *, axis: int = -1) -> Array:
    x[...] = over_rows(PLAIN.p)(x, axis=axis)
    return x.copy()


def _skips_nan(x: Array) -> Array:
    hidden = np.where(np.isnan(x), -np.inf, x)
    top = np.max(hidden, axis=-1, keepdims=True)
    e = np.exp(hidden - np.where(np.isneginf(top), 0, top))
    # The output of the NaN entry itself stays NaN.
    return np.where(np.isnan(x) | np.isneginf(top), np.nan, e / row_sum(e))


def _square_in_half(x: Array, v: Array) -> Array:
    _, e, s = PLAIN.steps(x)
    square = through(F16)(1 / (s * s))
    square = np.where(square < 2.0**-14, 0, square).astype(x.dtype)
    return v * e / s - e * row_sum(e * v) * square


def _odd_width(x: Array) -> Array:
    k = x.shape[-1]
    lost = 512 < k < 1024 and k % 2 == 1 and k % 32 != 31 and x.size > k
    return Softmax(total=lambda e: row_sum(e[..., : k - k % 32])).p(x) if lost else PLAIN.p(x)


FINITE = Softmax(enter=lambda x: np.where(np.isposinf(x), np.finfo(np.float32).max, x).astype(x.dtype))

MUTANTS = (
    *both(
        "maximum starts at 0",
        "padding lanes hold 0 instead of -inf, so the maximum is never negative and every exponential vanishes",
        "onnxruntime-cuda-half-softmax-infinity (microsoft/onnxruntime#20059)",
        Softmax(shift=lambda x: np.maximum(row_max(x), 0)),
        family="all_negative",
    ),
    *both(
        "shifted logits clipped at -64",
        "p is never below 1.6e-28 and log p never below -64",
        "paddle-softmax-clip-minus-64 (PaddlePaddle/Paddle#9686)",
        Softmax(gap=lambda d: np.maximum(d, d.dtype.type(-64))),
        expect=("float64", "float32", "bfloat16"),
        family="spread",
    ),
    *both(
        "shift by the maximum of the whole batch",
        "rows far below the largest one vanish",
        "rows_apart: the one-pass kernel of a flattened tensor",
        Softmax(shift=lambda x: np.max(x, keepdims=True)),
        family="rows_apart",
    ),
    *both(
        "mask of finite value",
        "-inf is replaced by -10000: masked classes keep a finite log p",
        "unsloth-softcap-padding-mass (unslothai/unsloth#10616), the constant of fp16 attention masks",
        Softmax(enter=lambda x: np.where(np.isneginf(x), x.dtype.type(-10000), x)),
        family="all_masked_row",
    ),
    bug(
        "log_softmax",
        "infinite logits made finite",
        "nan_to_num before the exponential",
        "torch-compile-scaled-softmax-hides-nan (pytorch/pytorch#161150)",
        over_rows(FINITE.y),
        expect=("float32",),
        family="positive_infinity",
    ),
    bug(
        "softmax",
        "infinite logits made finite",
        "nan_to_num before the exponential: two +inf share the mass",
        "torch-compile-scaled-softmax-hides-nan (pytorch/pytorch#161150)",
        over_rows(FINITE.p),
        expect=("float16",),
    ),
    *both(
        "NaN taken for a masked class",
        "the guard of an online softmax is written x > -inf and skips NaN",
        "torch-linear-cross-entropy-masked-row (pytorch/pytorch#195829)",
        Softmax(enter=lambda x: np.where(x > -np.inf, x, -np.inf).astype(x.dtype)),
        family="nan_row",
    ),
    *both(
        "zero taken for padding",
        "a mask x != 0 hides logits that are 0 (or subnormal, where inputs are flushed)",
        "burn-pad-tokens-in-denominator, its relative (tracel-ai/burn#5568)",
        Softmax(enter=lambda x: np.where(np.abs(x) < np.finfo(np.float32).tiny, -np.inf, x).astype(x.dtype)),
        family="equal",
    ),
    *both(
        "mean subtracted first",
        "the row is centred before its maximum is subtracted: the row sum overflows, and a large offset is rounded",
        "near_overflow: a fused layer norm in front of softmax",
        Softmax(enter=lambda x: x - np.mean(x, axis=-1, keepdims=True)),
        expect=("float64", "float32"),
        family="near_overflow",
    ),
    *both(
        "class copies counted twice",
        "gathered logits given to the vocabulary-parallel kernel: every rank counts its copy",
        "megatron-gathered-logits-log-tp (NVIDIA/Megatron-LM#7452)",
        Softmax(total=lambda e: 2 * row_sum(e)),
    ),
    bug(
        "softmax",
        "log_softmax returned",
        "a kernel registered with the wrong flag",
        "tf-softmax-gpu-returns-logsoftmax (tensorflow/tensorflow#2315)",
        over_rows(PLAIN.y),
    ),
    bug(
        "softmax",
        "storage rows normalised",
        "a transposed input is read as if it were contiguous",
        "burn-softmax-noncontiguous (tracel-ai/burn#4815), mlx-softmax-slice-wrong (ml-explore/mlx#657)",
        by_storage(PLAIN.p),
    ),
    bug(
        "softmax",
        "backward reads storage",
        "the backward pass indexes a strided output as if it were contiguous",
        "torch-softmax-backward-noncontiguous-output (pytorch/pytorch#139740)",
        grad=_vjp_by_storage,
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
        "exp(x - lse)",
        "log s is absorbed by a large maximum: two equal logits of 1e8 get probability 1 each",
        "scipy-softmax-exp-x-minus-lse (scipy/scipy#8872)",
        over_rows(lambda x: np.exp(x - (row_max(x) + np.log(PLAIN.steps(x)[2])))),
        expect=("float64", "float32"),
        family="offset",
    ),
    bug(
        "softmax",
        "result stored in the logits",
        "the forward pass overwrites its input, from which the backward pass recomputes",
        "unsloth-inplace-logits (unslothai/unsloth#5002)",
        _in_place,
        over_rows_vjp(lambda x, v: vjp_softmax(PLAIN.p(x), v)),
    ),
    bug(
        "softmax",
        "NaN dropped",
        "[nan, 0, 1] gives [nan, 0.27, 0.73]",
        "TOLERANCES finding 8 (TensorFlow oneDNN softmax)",
        over_rows(_skips_nan),
        family="nan_row",
    ),
    bug(
        "softmax",
        "1/s^2 in float16 in the gradient",
        "underflows for s > 256: the rank-one part of the Jacobian is lost",
        "TOLERANCES finding 5 (jax default softmax VJP)",
        grad=over_rows_vjp(_square_in_half),
        expect=("float16",),
        family="wide",
    ),
    bug(
        "softmax",
        "odd width loses a warp",
        "513 to 1023 classes, odd: the last partial warp is not in the sum",
        "torch-cuda-f64-odd-width (pytorch/pytorch#143644)",
        over_rows(_odd_width),
        expect=("float64",),
    ),
)
