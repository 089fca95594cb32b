"""Mutants of the value of softmax, or of it and log_softmax: shift, sum, exponential, clamps."""

from __future__ import annotations

import numpy as np

from tests.mutants.kit.clause_kit import of_rows, of_two
from tests.mutants.kit.entries import both, bug
from tests.mutants.kit.kill_table import softmax_row
from tests.mutants.kit.mutant import F64_ONLY, WIDE_DTYPES, Mutant
from tests.mutants.kit.softmax_mistakes import BASE_2, from_base_2
from tests.mutants.kit.softmax_steps import PLAIN, Array, Softmax, over_rows, row_max, row_sum, zero


def drop_last(x: Array) -> Array:
    """A loop bound off by one."""
    if x.shape[-1] == 1:
        return PLAIN.p(x)
    return np.concatenate([PLAIN.p(x[..., :-1]), np.zeros_like(x[..., :1])], axis=-1)


def _zero_padded(x: Array) -> Array:
    k = x.shape[-1]
    padding = np.zeros((*x.shape[:-1], -k % 16), x.dtype)
    return PLAIN.p(np.concatenate([x, padding], axis=-1))[..., :k]


def _no_rescale(x: Array) -> Array:
    m, s = np.full_like(x[..., :1], -np.inf), np.zeros_like(x[..., :1])
    for start in range(0, x.shape[-1], 7):
        block = x[..., start : start + 7]
        m = np.maximum(m, np.max(block, axis=-1, keepdims=True))
        s = s + row_sum(np.exp(block - np.where(np.isneginf(m), 0, m)))
    return np.exp(x - m) / s


def _with_row_sum(x: Array) -> Array:
    crowded = np.isinf(x.sum(axis=-1, keepdims=True)) & np.isfinite(x).all(axis=-1, keepdims=True)
    return np.where(crowded, np.nan, PLAIN.p(x)).astype(x.dtype)


MUTANTS: tuple[Mutant, ...] = (
    softmax_row(
        "naive exp (no shift)",
        "exp of a raw logit overflows past 88 (709 in float64); of a very negative row all terms vanish",
        Softmax(shift=zero),
        family="offset",
    ),
    softmax_row(
        "shift by row mean",
        "the largest shifted logit is not 0 and overflows where one class is far above the mean",
        Softmax(shift=lambda x: np.mean(x, axis=-1, keepdims=True)),
        family="dominating",
    ),
    softmax_row(
        "shift by x[0]", "the first class is not the maximum", Softmax(shift=lambda x: x[..., :1]), family="dominating"
    ),
    softmax_row(
        "shift by batch max",
        "the maximum is taken along the batch axis: each class gets a shift of its own, which does not cancel",
        Softmax(shift=lambda x: np.max(x, axis=tuple(range(x.ndim - 1)), keepdims=True)),
    ),
    softmax_row(
        "drop class K-1", "a loop bound off by one: the last class gets no mass", drop_last, family="last_class"
    ),
    softmax_row(
        "drop K-1 from denominator",
        "the sum stops one class short",
        Softmax(total=lambda e: row_sum(e[..., :-1])),
        family="last_class",
    ),
    softmax_row(
        "pad lanes with 0 (16)",
        "rows are padded to 16 lanes with logit 0 instead of -inf, and the padding takes part",
        _zero_padded,
        family="all_negative",
    ),
    softmax_row(
        "online w/o rescale",
        "the running sum is not multiplied by exp(m_old - m_new) when the maximum grows",
        _no_rescale,
        family="ascending",
    ),
    softmax_row(
        "denominator + 0.0001",
        "a guard against division by zero",
        Softmax(total=lambda e: row_sum(e) + e.dtype.type(1e-4)),
    ),
    softmax_row(
        "denominator + 1e-06",
        "a guard against division by zero",
        Softmax(total=lambda e: row_sum(e) + e.dtype.type(1e-6)),
    ),
    softmax_row(
        "denominator + 1e-08",
        "a guard below float32's roundoff of a sum that is at least 1",
        Softmax(total=lambda e: row_sum(e) + e.dtype.type(1e-8)),
        expect=F64_ONLY,
    ),
    softmax_row(
        "denominator + 1e-12",
        "a guard below float32's roundoff of a sum that is at least 1",
        Softmax(total=lambda e: row_sum(e) + e.dtype.type(1e-12)),
        expect=F64_ONLY,
    ),
    softmax_row(
        "clamp d at -50",
        "a guard of exp: p never falls below 2e-22",
        Softmax(gap=lambda d: np.maximum(d, d.dtype.type(-50))),
        family="spread",
    ),
    softmax_row(
        "clamp d at -20",
        "a guard of exp: p never falls below 2e-9",
        Softmax(gap=lambda d: np.maximum(d, d.dtype.type(-20))),
        family="spread",
    ),
    softmax_row(
        "flush p<1e-30",
        "a threshold far above the underflow",
        Softmax(leave=lambda p: np.where(p < 1e-30, 0, p)),
        family="spread",
    ),
    softmax_row(
        "flush p<1e-10",
        "a threshold far above the underflow",
        Softmax(leave=lambda p: np.where(p < 1e-10, 0, p)),
        family="spread",
    ),
    softmax_row(
        "clip p to [1e-7,1-1e-7]",
        "Keras' epsilon applied to the result",
        Softmax(leave=lambda p: np.clip(p, p.dtype.type(1e-7), p.dtype.type(1 - 1e-7))),
        family="confident",
    ),
    softmax_row("base 2 exponent", "2^d instead of e^d: a forgotten log2(e)", Softmax(exp=np.exp2)),
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
        "exp(x - lse)",
        "log s is absorbed by a large maximum: two equal logits of 1e8 get probability 1 each",
        "scipy-softmax-exp-x-minus-lse (scipy/scipy#8872)",
        over_rows(lambda x: np.exp(x - (row_max(x) + np.log(PLAIN.steps(x)[2])))),
        expect=("float64", "float32"),
        family="offset",
    ),
    bug(
        "softmax",
        "base 2 with a fused product",
        "the largest entry's shift is a rounding error of m log2(e), not 0",
        "tf-xla-cpu-scaled-logsoftmax-neginf",
        over_rows(from_base_2(False)),
        expect=WIDE_DTYPES,
        family="near_overflow",
    ),
    *both(
        "maximum without the last class",
        "the loop of the maximum stops one short",
        "sibling of torch-bf16-nonlast-softmax-no-max",
        Softmax(shift=lambda x: row_max(x[..., :-1]) if x.shape[-1] > 1 else row_max(x)),
        family="near_overflow",
    ),
    *both(
        "exponent saturates",
        "shifted logits are at least -708 and results at least the smallest normal",
        "sibling of paddle-softmax-clip-minus-64",
        Softmax(gap=lambda d: np.maximum(d, d.dtype.type(-88))),
        expect=WIDE_DTYPES,
    ),
    *both(
        "no shift in float32",
        "float16 logits never overflow float32's exp, they are told; 89 does",
        "sibling of torch-bf16-nonlast-softmax-no-max",
        Softmax(shift=zero),
        expect=("bfloat16", "float16"),
        family="offset",
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
    of_rows("softmax", "2-softmax", "base 2 exponent for two classes", "2^d instead of e^d", of_two(BASE_2.p)),
    of_rows(
        "softmax",
        "4.7-no-nan",
        "NaN where the sum of the logits overflows",
        "the row is centred first",
        _with_row_sum,
    ),
)
