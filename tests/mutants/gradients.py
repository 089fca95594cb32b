"""Mutants of gradients: cross-entropy, smoothed cross-entropy, softmax and log_softmax; the kill table's rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .log_softmax import clip
from .loss import Case, Loss, slope
from .losses import over_k_minus_1, unnormalised
from .mutant import Mutant, options
from .parts import (
    BF16,
    F16,
    PLAIN,
    Array,
    Softmax,
    exp_off,
    one_by_one,
    over_rows,
    over_rows_vjp,
    row_sum,
    tf32,
    through,
    times,
    vjp_log_softmax,
    vjp_softmax,
    zero,
)

CORRECT = Loss()


def _both(name: str, why: str, of: Loss, family: str = "") -> tuple[Mutant, ...]:
    return (_grad("g_ce", name, why, of, family), _grad("g_smooth", name, why, of, family))


def _grad(row: str, name: str, why: str, of: Loss, family: str = "") -> Mutant:
    takes = frozenset({"axis"}) if row == "g_ce" else frozenset({"axis", "label_smoothing"})
    return Mutant(
        name, "cross_entropy", row, why, CORRECT.value, of.grad, options=takes, targets=("index",), family=family
    )


def _vjp(row: str, name: str, why: str, f: Callable[[Array, Array], Array]) -> Mutant:
    op = row.removeprefix("vjp_")
    value = over_rows(PLAIN.p if op == "softmax" else PLAIN.y)
    return Mutant(name, op, row, why, value, over_rows_vjp(f), options=options(op))


def _count(change: Callable[[int], int]) -> Loss:
    return Loss(count=lambda case: np.asarray(change(case.kept.size), case.x.dtype))


def _clipped(case: Case, p: Array, c: Array) -> Array:
    return np.clip(slope(case, p, c), -0.999, 0.999).astype(p.dtype)


def _last_missing(case: Case, p: Array, c: Array) -> Array:
    z = slope(case, p, c)
    z[..., -1] = 0
    return z


def through_probabilities(case: Case, p: Array, c: Array) -> Array:
    """The chain rule by hand: ``-c/p``, then softmax's Jacobian; p is clipped."""
    p = clip(p)
    return vjp_softmax(p, -c / p)


def saved_bf16(x: Array) -> Array:
    """Softmax from a log-softmax that was saved in bfloat16."""
    return np.exp(through(BF16)(PLAIN.y(x)))


def _no_mix(case: Case) -> Array:
    return case.q


def _unscaled(case: Case, p: Array, c: Array) -> Array:
    return p - c


_PAIRS = (
    *_both("missing 1/N", "the gradient of the sum", _count(lambda n: 1)),
    *_both("1/(N-1)", "Bessel's correction", _count(lambda n: max(n - 1, 1))),
    *_both("p without -q", "the target's term is lost", Loss(slope=lambda case, p, c: p)),
    *_both("sign flip", "q - p", Loss(leave_grad=np.negative)),
    *_both(
        "softmax in bf16",
        "the backward pass recomputes softmax in bfloat16",
        Loss(prob=Softmax(inner=BF16, total=one_by_one()).p),
    ),
    *_both(
        "softmax rounded to bf16",
        "the saved softmax is bfloat16",
        Loss(prob=Softmax(leave=through(BF16)).p),
        "confident",
    ),
    *_both(
        "softmax in fp16",
        "the backward pass recomputes softmax in float16",
        Loss(prob=Softmax(inner=F16, total=one_by_one()).p),
    ),
    *_both("logits tf32", "a matrix unit's input format", Loss(prob=Softmax(enter=tf32).p)),
    *_both("saved logp in bf16", "the saved log-softmax is bfloat16", Loss(prob=saved_bf16)),
    *_both("exp err 1e-5", "a polynomial for exp, 80 ulp off", Loss(prob=Softmax(exp=exp_off(1e-5)).p)),
    *_both("exp err 3e-6", "a polynomial for exp, 25 ulp off", Loss(prob=Softmax(exp=exp_off(3e-6)).p)),
    *_both("result*(1+1e-4)", "a systematic error", Loss(leave_grad=times(1 + 1e-4))),
    *_both("result*(1+1e-5)", "a systematic error", Loss(leave_grad=times(1 + 1e-5))),
    _grad(
        "g_ce",
        "fp16 accumulator",
        "softmax's sum is kept in float16",
        Loss(prob=Softmax(total=one_by_one(F16)).p),
        # No plain mean of the deck has stagnation's wider gap.
        "descending",
    ),
    _grad(
        "g_smooth",
        "fp16 accumulator",
        "softmax's sum is kept in float16",
        Loss(prob=Softmax(total=one_by_one(F16)).p),
        "stagnation",
    ),
    *_both(
        "clip grad [-1,1]/N*0.999",
        "the row gradient is clipped just inside its range",
        Loss(slope=_clipped),
        "confident",
    ),
    *_both(
        "naive softmax",
        "no maximum is subtracted",
        Loss(prob=Softmax(shift=zero).p),
        "offset",
    ),
    *_both("missing grad at class K-1", "the class loop stops one short", Loss(slope=_last_missing)),
    *_both(
        "1/p * p chain (p clipped 1e-7)",
        "the gradient goes through a clipped probability",
        Loss(slope=through_probabilities),
        "spread",
    ),
)

MUTANTS = (
    *_PAIRS,
    _grad("g_smooth", "eps/(K-1)", "the smoothing mass goes to the other K - 1 classes", Loss(mix=over_k_minus_1)),
    _grad("g_smooth", "grad ignores smoothing", "only the value is smoothed", Loss(mix=_no_mix)),
    _grad(
        "g_smooth",
        "unnormalised q",
        "the target gets no share of the uniform part",
        Loss(mix=unnormalised, slope=_unscaled),
    ),
    _vjp("vjp_softmax", "missing -p<p,v>", "the Jacobian's rank-one part is lost", lambda x, v: PLAIN.p(x) * v),
    _vjp(
        "vjp_softmax",
        "diag only p(1-p)v",
        "the Jacobian is taken for diagonal",
        lambda x, v: PLAIN.p(x) * (1 - PLAIN.p(x)) * v,
    ),
    _vjp(
        "vjp_softmax",
        "<p,v> in bf16",
        "the inner product is rounded to bfloat16",
        lambda x, v: PLAIN.p(x) * (v - through(BF16)(row_sum(PLAIN.p(x) * v))),
    ),
    _vjp(
        "vjp_softmax",
        "p in bf16",
        "the saved softmax is bfloat16",
        lambda x, v: vjp_softmax(through(BF16)(PLAIN.p(x)), v),
    ),
    _vjp(
        "vjp_softmax", "result*(1+1e-5)", "a systematic error", lambda x, v: times(1 + 1e-5)(vjp_softmax(PLAIN.p(x), v))
    ),
    _vjp("vjp_log_softmax", "sum(v) assumed 1", "right for one-hot cotangents only", lambda x, v: v - PLAIN.p(x)),
    _vjp(
        "vjp_log_softmax",
        "sum(v) in bf16",
        "the sum is rounded to bfloat16",
        lambda x, v: v - PLAIN.p(x) * through(BF16)(row_sum(v)),
    ),
    _vjp(
        "vjp_log_softmax",
        "p in bf16",
        "the saved softmax is bfloat16",
        lambda x, v: vjp_log_softmax(through(BF16)(PLAIN.p(x)), v),
    ),
    _vjp(
        "vjp_log_softmax",
        "result*(1+1e-5)",
        "a systematic error",
        lambda x, v: times(1 + 1e-5)(vjp_log_softmax(PLAIN.p(x), v)),
    ),
)
