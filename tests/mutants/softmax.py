"""Mutants of softmax: the kill table's rows."""

from __future__ import annotations

import numpy as np

from .mutant import WIDE_DTYPES, Mutant, options
from .parts import (
    BF16,
    F16,
    F32,
    PLAIN,
    Array,
    Softmax,
    Step,
    exp_off,
    one_by_one,
    over_rows,
    row_sum,
    tf32,
    through,
    times,
    zero,
)

F64_ONLY = ("float64",)


def _mutant(
    name: str, why: str, of: Softmax | Step, *, expect: tuple[str, ...] = WIDE_DTYPES, family: str = ""
) -> Mutant:
    value = over_rows(of.p if isinstance(of, Softmax) else of)
    return Mutant(name, "softmax", "softmax", why, value, expect=expect, options=options("softmax"), family=family)


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


def _wrong_axis(x: Array, *, axis: int = -1) -> Array:
    return over_rows(PLAIN.p)(x, axis=axis - 1 if x.ndim > 1 else axis)


MUTANTS = (
    _mutant(
        "naive exp (no shift)",
        "exp of a raw logit overflows past 88 (709 in float64); of a very negative row all terms vanish",
        Softmax(shift=zero),
        family="offset",
    ),
    _mutant(
        "shift by row mean",
        "the largest shifted logit is not 0 and overflows where one class is far above the mean",
        Softmax(shift=lambda x: np.mean(x, axis=-1, keepdims=True)),
        family="dominating",
    ),
    _mutant(
        "shift by x[0]", "the first class is not the maximum", Softmax(shift=lambda x: x[..., :1]), family="dominating"
    ),
    _mutant(
        "shift by batch max",
        "the maximum is taken along the batch axis: each class gets a shift of its own, which does not cancel",
        Softmax(shift=lambda x: np.max(x, axis=tuple(range(x.ndim - 1)), keepdims=True)),
    ),
    _mutant("drop class K-1", "a loop bound off by one: the last class gets no mass", drop_last, family="last_class"),
    _mutant(
        "drop K-1 from denominator",
        "the sum stops one class short",
        Softmax(total=lambda e: row_sum(e[..., :-1])),
        family="last_class",
    ),
    _mutant(
        "pad lanes with 0 (16)",
        "rows are padded to 16 lanes with logit 0 instead of -inf, and the padding takes part",
        _zero_padded,
        family="all_negative",
    ),
    _mutant(
        "online w/o rescale",
        "the running sum is not multiplied by exp(m_old - m_new) when the maximum grows",
        _no_rescale,
        family="ascending",
    ),
    _mutant("fp16 accumulator", "the sum is kept in float16", Softmax(total=one_by_one(F16)), family="stagnation"),
    _mutant("bf16 accumulator", "the sum is kept in bfloat16", Softmax(total=one_by_one(BF16)), family="stagnation"),
    _mutant("inputs rounded to bf16", "an autocast of the logits", Softmax(enter=through(BF16))),
    _mutant("inputs rounded to tf32", "a matrix unit's input format", Softmax(enter=tf32)),
    _mutant("exp in bf16", "each exponential is rounded to bfloat16", Softmax(exp=lambda d: through(BF16)(np.exp(d)))),
    _mutant("exp in fp16", "each exponential is rounded to float16", Softmax(exp=lambda d: through(F16)(np.exp(d)))),
    _mutant("exp rel err 0.001 (osc)", "a coarse table or polynomial for exp", Softmax(exp=exp_off(1e-3))),
    _mutant("exp rel err 0.0001 (osc)", "a coarse polynomial for exp", Softmax(exp=exp_off(1e-4)), family="hot"),
    _mutant("exp rel err 1e-05 (osc)", "a polynomial for exp, 80 ulp off", Softmax(exp=exp_off(1e-5)), family="hot"),
    _mutant("exp rel err 3e-06 (osc)", "a polynomial for exp, 25 ulp off", Softmax(exp=exp_off(3e-6)), family="binary"),
    _mutant(
        "exp rel err 1e-06 (osc)",
        "8 ulp in float32: within exp's contract and the other roundings",
        Softmax(exp=exp_off(1e-6)),
        expect=F64_ONLY,
    ),
    _mutant("result*(1+0.0001)", "a systematic error", Softmax(leave=times(1 + 1e-4))),
    _mutant("result*(1+1e-05)", "a systematic error", Softmax(leave=times(1 + 1e-5)), family="binary"),
    _mutant(
        "result*(1+1e-06)", "a systematic error of 8 ulp in float32", Softmax(leave=times(1 + 1e-6)), family="binary"
    ),
    _mutant(
        "rcp 12-bit",
        "the hardware's approximate reciprocal (1.5 * 2^-12) without a Newton step",
        Softmax(divide=lambda e, s: e * (s.dtype.type(1 + 1.5 * 2.0**-12) / s)),
    ),
    _mutant(
        "denominator + 0.0001",
        "a guard against division by zero",
        Softmax(total=lambda e: row_sum(e) + e.dtype.type(1e-4)),
    ),
    _mutant(
        "denominator + 1e-06",
        "a guard against division by zero",
        Softmax(total=lambda e: row_sum(e) + e.dtype.type(1e-6)),
    ),
    _mutant(
        "denominator + 1e-08",
        "a guard below float32's roundoff of a sum that is at least 1",
        Softmax(total=lambda e: row_sum(e) + e.dtype.type(1e-8)),
        expect=F64_ONLY,
    ),
    _mutant(
        "denominator + 1e-12",
        "a guard below float32's roundoff of a sum that is at least 1",
        Softmax(total=lambda e: row_sum(e) + e.dtype.type(1e-12)),
        expect=F64_ONLY,
    ),
    _mutant(
        "clamp d at -50",
        "a guard of exp: p never falls below 2e-22",
        Softmax(gap=lambda d: np.maximum(d, d.dtype.type(-50))),
        family="spread",
    ),
    _mutant(
        "clamp d at -20",
        "a guard of exp: p never falls below 2e-9",
        Softmax(gap=lambda d: np.maximum(d, d.dtype.type(-20))),
        family="spread",
    ),
    _mutant(
        "flush p<1e-30",
        "a threshold far above the underflow",
        Softmax(leave=lambda p: np.where(p < 1e-30, 0, p)),
        family="spread",
    ),
    _mutant(
        "flush p<1e-10",
        "a threshold far above the underflow",
        Softmax(leave=lambda p: np.where(p < 1e-10, 0, p)),
        family="spread",
    ),
    _mutant(
        "clip p to [1e-7,1-1e-7]",
        "Keras' epsilon applied to the result",
        Softmax(leave=lambda p: np.clip(p, p.dtype.type(1e-7), p.dtype.type(1 - 1e-7))),
        family="confident",
    ),
    _mutant("base 2 exponent", "2^d instead of e^d: a forgotten log2(e)", Softmax(exp=np.exp2)),
    Mutant(
        "wrong axis",
        "softmax",
        "softmax",
        "normalises over the neighbouring axis",
        _wrong_axis,
        options=options("softmax"),
    ),
    _mutant("computed in bf16", "everything in bfloat16", Softmax(inner=BF16, total=one_by_one())),
    _mutant("computed in fp16", "everything in float16", Softmax(inner=F16, total=one_by_one())),
    _mutant("computed in fp32", "everything in float32", Softmax(inner=F32), expect=F64_ONLY),
)
