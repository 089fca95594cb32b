"""Mutants of the gradient of cross_entropy: formula and rounding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.mutants.kit.clause_kit import of_loss
from tests.mutants.kit.entries import INDEX, SIBLING, gradient_bug, loss_bug
from tests.mutants.kit.loss_mistakes import over_k_minus_1, unnormalised
from tests.mutants.kit.loss_steps import CORRECT, Case, Loss, slope
from tests.mutants.kit.mutant import Mutant
from tests.mutants.kit.softmax_mistakes import clip
from tests.mutants.kit.softmax_steps import (
    BF16,
    F16,
    PLAIN,
    Array,
    Softmax,
    exp_off,
    one_by_one,
    row_sum,
    tf32,
    through,
    times,
    vjp_softmax,
    zero,
)


def _both(name: str, why: str, of: Loss, family: str = "") -> tuple[Mutant, ...]:
    return (_grad("g_ce", name, why, of, family), _grad("g_smooth", name, why, of, family))


def _grad(row: str, name: str, why: str, of: Loss, family: str = "") -> Mutant:
    takes = frozenset({"axis"}) if row == "g_ce" else frozenset({"axis", "label_smoothing"})
    return Mutant(
        name, "cross_entropy", row, why, CORRECT.value, of.grad, options=takes, targets=("index",), family=family
    )


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


def _wrong_axis_loss(x: Array, cotangent: Array, *, axis: int = -1, **options: Any) -> Array:
    of = Loss(prob=lambda r: PLAIN.p(np.swapaxes(r, -1, 0)).swapaxes(-1, 0) if r.ndim > 1 else PLAIN.p(r))
    return of.grad(x, cotangent, axis=axis, **options)


def _flushed(a: Array) -> Array:
    return np.where(np.abs(a) < 2.0**-14, 0, a).astype(a.dtype)


MUTANTS: tuple[Mutant, ...] = (
    *_PAIRS,
    _grad("g_smooth", "eps/(K-1)", "the smoothing mass goes to the other K - 1 classes", Loss(mix=over_k_minus_1)),
    _grad("g_smooth", "grad ignores smoothing", "only the value is smoothed", Loss(mix=_no_mix)),
    _grad(
        "g_smooth",
        "unnormalised q",
        "the target gets no share of the uniform part",
        Loss(mix=unnormalised, slope=_unscaled),
    ),
    of_loss(
        "4.8-gradient",
        "gradient of one class p - w q'",
        "a class that is alone gets a gradient for targets that are not 1",
        Loss(slope=lambda case, p, c: p - c if case.k == 1 else CORRECT.slope(case, p, c)),
    ),
    loss_bug(
        "softmax along the wrong axis in the gradient",
        "the backward kernel normalises over the first axis",
        SIBLING + "torch-softmax-backward-noncontiguous-output",
        Loss(),
        grad=_wrong_axis_loss,
    ),
    gradient_bug(
        "gradient rounded to bfloat16 before the target is subtracted",
        "the softmax buffer is bfloat16",
        "te-ce-bf16-buffer-reuse",
        Loss(prob=Softmax(leave=through(BF16)).p),
        family="confident",
    ),
    gradient_bug(
        "gradient zero below float16's normal range",
        "subnormal gradients are flushed",
        SIBLING + "onnxruntime-webgpu-f16-softmax-sum",
        Loss(leave_grad=_flushed),
        expect=("float16",),
    ),
    gradient_bug(
        "gradient 0 where p saturates",
        "clipped probabilities have no derivative",
        "keras-cce-probs-clipped-1e-7",
        Loss(slope=lambda case, p, c: np.where((p < 1e-7) | (p > 1 - 1e-7), 0, slope(case, p, c))),
        family="confident",
    ),
    gradient_bug(
        "p - q' at the target only",
        "the other classes get no gradient",
        SIBLING + "mlpack-logsoftmax-backward",
        Loss(slope=lambda case, p, c: slope(case, p, c) * (case.q > 0)),
        targets=INDEX,
    ),
    gradient_bug(
        "onehot at the wrong class",
        "the target is subtracted one class further",
        SIBLING + "mlpack-logsoftmax-backward",
        Loss(slope=lambda case, p, c: row_sum(c) * p - np.roll(c, 1, axis=-1)),
    ),
    gradient_bug(
        "second moment",
        "p - q' is squared",
        SIBLING + "mlpack-logsoftmax-backward",
        Loss(slope=lambda case, p, c: np.square(slope(case, p, c))),
    ),
    gradient_bug(
        "gradient in random order",
        "rows are scattered into the next ones",
        SIBLING + "torch-cuda-nll2d-backward-int32",
        Loss(leave_grad=lambda z: np.roll(z.reshape(-1, z.shape[-1]), 1, axis=0).reshape(z.shape)),
    ),
)
