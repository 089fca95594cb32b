"""Correct implementations, each with a legitimate choice of algorithm: the suite must never touch them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from .later import Later, row_derivatives
from .loss import NLL, Case, Loss, row_losses
from .mutant import ALL_DTYPES, ALL_WIDE, TABLE, WIDE_DTYPES, Mutant, options
from .narrow import FORMATS, op_by_op
from .parts import (
    PLAIN,
    Array,
    Softmax,
    Step,
    one_by_one,
    over_rows,
    over_rows_vjp,
    row_max,
    row_sum,
    vjp_log_softmax,
    vjp_softmax,
)


def _softmax(
    name: str,
    why: str,
    p: Step,
    y: Step | None = None,
    *,
    dtypes: tuple[str, ...] = ALL_DTYPES,
    profiles: Mapping[str, str] = ALL_WIDE,
) -> tuple[Mutant, ...]:
    """A control of softmax and, given ``y``, one of log_softmax; the gradients use ``p``."""
    forms = [("softmax", p, vjp_softmax)] + ([("log_softmax", y, vjp_log_softmax)] if y else [])
    return tuple(
        Mutant(
            name,
            op,
            f"control {op}",
            why,
            over_rows(f),
            over_rows_vjp(lambda x, v, rule=rule: rule(p(x), v)),  # type: ignore[misc]
            dtypes=dtypes,
            expect=(),
            options=options(op),
            profiles={k: v for k, v in profiles.items() if k in dtypes},
            kind="control",
            derivatives=row_derivatives(op, p),
        )
        for op, f, rule in forms
    )


def _loss(name: str, why: str, of: Loss, *, op: str = "cross_entropy", source: str = "", allowed: str = "") -> Mutant:
    targets = ("index",) if op == "nll_loss" else ("index", "probability")
    return Mutant(
        name,
        op,
        f"control {op}",
        why,
        of.value,
        of.grad,
        dtypes=ALL_DTYPES,
        expect=(),
        options=options(op),
        targets=targets,
        profiles=ALL_WIDE,
        kind="control",
        source=source or TABLE,
        derivatives=Later(of).functions(op),
        allowed=allowed,
    )


def online(block: int) -> Step:
    """Blocks with a running maximum and a rescaled running sum, as in flash attention: the normaliser."""

    def steps(x: Array) -> tuple[Array, Array]:
        m, s = np.full_like(x[..., :1], -np.inf), np.zeros_like(x[..., :1])
        for start in range(0, x.shape[-1], block):
            part = x[..., start : start + block]
            new = np.maximum(m, row_max(part))
            safe = np.where(np.isneginf(new), 0, new).astype(x.dtype)
            s = s * np.exp(m - safe) + row_sum(np.exp(part - safe))
            m = new
        return m, s

    return steps  # type: ignore[return-value]


def _online(block: int) -> tuple[Mutant, ...]:
    steps = online(block)

    def p(x: Array) -> Array:
        m, s = steps(x)
        return np.exp(x - m) / s

    def y(x: Array) -> Array:
        m, s = steps(x)
        return (x - m) - np.log(s)

    return _softmax(f"online blocks of {block}", "the running sum is rescaled whenever the maximum grows", p, y)


def _log1p(x: Array) -> Array:
    d, e, _ = PLAIN.steps(x)
    top = np.argmax(x, axis=-1)[..., None]
    broken = np.isnan(d).any(axis=-1, keepdims=True)
    np.put_along_axis(e, top, 0, axis=-1)
    return np.where(broken, np.nan, d - np.log1p(row_sum(e))).astype(x.dtype)


def _flushed(a: Array) -> Array:
    return np.where(np.abs(a) < np.finfo(a.dtype).tiny, 0, a).astype(a.dtype)


_FTZ = Softmax(enter=_flushed, gap=_flushed, exp=lambda d: _flushed(np.exp(d)), leave=_flushed)


def torch_order(case: Case, y: Array, c: Array) -> Array:
    """``(1 - eps) w_y nll + (eps / K) sum_j w_j (-log p_j)``: two sums, scaled afterwards.

    The second sum is held as a multiple of 2^16, which changes no rounding: without it a sum of K log-probabilities
    overflows where the loss does not, which clause 7 forbids (the mutant is in upstream_losses).
    """
    if case.labels is None or case.eps == 0:
        return row_losses(case, y, c)
    one = np.zeros_like(y) if case.eps == 1 else (1 - case.eps) * np.where(case.q == 0, 0, case.w * y)
    held = np.where(case.w == 0, 0, case.w * (y * y.dtype.type(2.0**-16))).sum(axis=-1)
    total = -(one.sum(axis=-1) + (case.eps / case.k * 2**16) * held)
    return np.where(np.isnan(y).any(axis=-1), np.nan, total).astype(y.dtype)


def _exp2(d: Array) -> Array:
    return np.exp2(d * d.dtype.type(np.log2(np.e)))


def _sequential(a: Array) -> Array:
    return one_by_one()(a.reshape(-1))[0] if a.size else np.zeros((), a.dtype)


def _zero_times_inf(case: Case, y: Array, c: Array) -> Array:
    return row_losses(case, y, c) if case.labels is not None else -np.sum(c * y, axis=-1, dtype=y.dtype)


def _p_minus_c(case: Case, p: Array, c: Array) -> Array:
    return p - c if case.labels is None else row_sum(c) * p - c


_NARROW = tuple(
    mutant
    for dtype, fmt in FORMATS.items()
    for profile in "WN"
    for mutant in (
        replace(m, row=f"{m.op} {dtype} {profile}")
        for m in _softmax(
            "C(W): fp32 internal",
            "one rounding to 16 bits",
            PLAIN.p,
            PLAIN.y,
            dtypes=(dtype,),
            profiles={dtype: profile},
        )
    )
) + tuple(
    replace(m, row=f"{m.op} {dtype} N", grad=None)
    for dtype, fmt in FORMATS.items()
    for m in _softmax(
        "C(N): op-by-op",
        "every elementwise result in 16 bits, sums in float32",
        op_by_op(fmt).p,
        op_by_op(fmt).y,
        dtypes=(dtype,),
        profiles={dtype: "N"},
    )
)
_FMAX = Softmax(shift=lambda x: np.fmax.reduce(x, axis=-1, keepdims=True))
_SEQUENTIAL = Softmax(total=one_by_one())

MUTANTS = (
    *_softmax("np", "shift, exp, pairwise sum, divide", PLAIN.p, PLAIN.y),
    *_softmax(
        "NaN-dropping maximum",
        "np.fmax: the maximum skips NaN, the sum does not (clause 1)",
        _FMAX.p,
        _FMAX.y,
    ),
    *_softmax("sequential sum", "the plainest loop", _SEQUENTIAL.p, _SEQUENTIAL.y),
    *_online(1),
    *_online(7),
    *_softmax("recip*mul", "one division a row", Softmax(divide=lambda e, s: e * (1 / s)).p),
    *_softmax("exp(lsm)", "softmax as the exponential of log-softmax", lambda x: np.exp(PLAIN.y(x))),
    *_softmax(
        "FTZ",
        "subnormal inputs, intermediates and results are flushed",
        _FTZ.p,
        _FTZ.y,
        dtypes=(*WIDE_DTYPES, "bfloat16"),
    ),
    *_softmax("log1p form", "log1p of the other terms", PLAIN.p, _log1p),
    *_softmax(
        "exp2(d*log2e)",
        "a hardware power of two: the argument is rounded three times (profile F)",
        Softmax(exp=_exp2).p,
        Softmax(exp=_exp2).y,
        dtypes=WIDE_DTYPES,
        profiles={"float64": "F", "float32": "F"},
    ),
    *_NARROW,
    _loss("np", "the formula", Loss()),
    _loss(
        "sequential",
        "row losses and weights summed one after the other",
        Loss(total=_sequential, denominator=lambda case: _sequential(case.scale)),
    ),
    _loss("torch-order", "smoothing as two sums, scaled afterwards", Loss(rows=torch_order)),
    _loss(
        "saved logp",
        "the gradient uses the exponential of the saved log-softmax",
        Loss(prob=lambda x: np.exp(PLAIN.y(x))),
    ),
    _loss(
        "dense 0 * -inf is NaN",
        "clause 6: a class of probability 0 at -inf may give NaN for probability targets",
        Loss(rows=_zero_times_inf),
        allowed="section 4, clause 6",
        source="tf-dense-xent-neginf-zero-label-nan, optax-softmax-xent-neginf-zero-label (optax#896)",
    ),
    replace(
        _loss(
            "p - w q' for probability targets",
            "section 3: accepted as a convention where targets do not sum to 1",
            Loss(slope=_p_minus_c),
            allowed="section 3",
            source="tf-xent-unnormalised-labels-gradient (tensorflow#60314, #2327)",
        ),
        options=frozenset({"axis", "reduction", "label_smoothing"}),
        targets=("probability",),
    ),
    _loss(
        "all ignored gives 0",
        "clause 10: the mean over no row may be 0",
        Loss(
            mean=lambda case, rows: (
                np.zeros((), rows.dtype)
                if case.kept.size and not case.kept.any()
                else np.sum(rows) / np.sum(case.scale)
            )
        ),
        allowed="section 4, clause 10",
        source="paddle-all-ignored-mean-zero, torch-all-ignored-mean-0-but-empty-nan (pytorch#64572)",
    ),
    _loss("np", "the formula", NLL, op="nll_loss"),
)
