"""Correct implementations, each with a legitimate choice of algorithm: the suite must never touch them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from .kit.algorithms import FTZ, exp2, log1p, online, p_minus_c, sequential, torch_order, zero_times_inf
from .kit.derivative_steps import Later, row_derivatives
from .kit.loss_mistakes import all_rows, kept_rows, only_whole
from .kit.loss_steps import NLL, Case, Loss
from .kit.mutant import ALL_DTYPES, ALL_WIDE, TABLE, WIDE_DTYPES, Mutant, options
from .kit.sixteen_bit import FORMATS, op_by_op
from .kit.softmax_steps import (
    PLAIN,
    Array,
    Softmax,
    Step,
    one_by_one,
    over_rows,
    over_rows_vjp,
    same,
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


def _online(block: int) -> tuple[Mutant, ...]:
    steps = online(block)

    def p(x: Array) -> Array:
        m, s = steps(x)
        return np.exp(x - m) / s

    def y(x: Array) -> Array:
        m, s = steps(x)
        return (x - m) - np.log(s)

    return _softmax(f"online blocks of {block}", "the running sum is rescaled whenever the maximum grows", p, y)


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


def _negative_zeros(f: Step) -> Step:
    return lambda x: np.where(f(x) == 0, -0.0, f(x)).astype(x.dtype)


def _p_minus_wq(case: Case, p: Array, c: Array) -> Array:
    # With one class the gradient is 0 whatever the target (clause 8).
    return np.zeros_like(p) if case.k == 1 else p_minus_c(case, p, c)


_FMAX = Softmax(shift=lambda x: np.fmax.reduce(x, axis=-1, keepdims=True))
_SEQUENTIAL = Softmax(total=one_by_one())


MUTANTS: tuple[Mutant, ...] = (
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
        FTZ.p,
        FTZ.y,
        dtypes=(*WIDE_DTYPES, "bfloat16"),
    ),
    *_softmax("log1p form", "log1p of the other terms", PLAIN.p, log1p),
    *_softmax(
        "exp2(d*log2e)",
        "a hardware power of two: the argument is rounded three times (profile F)",
        Softmax(exp=exp2).p,
        Softmax(exp=exp2).y,
        dtypes=WIDE_DTYPES,
        profiles={"float64": "F", "float32": "F"},
    ),
    *_NARROW,
    _loss("np", "the formula", Loss()),
    _loss(
        "sequential",
        "row losses and weights summed one after the other",
        Loss(total=sequential, denominator=lambda case: sequential(case.scale)),
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
        Loss(rows=zero_times_inf),
        allowed="section 4, clause 6",
        source="tf-dense-xent-neginf-zero-label-nan, optax-softmax-xent-neginf-zero-label (optax#896)",
    ),
    replace(
        _loss(
            "p - w q' for probability targets",
            "section 3: accepted as a convention where targets do not sum to 1",
            Loss(slope=_p_minus_wq),
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
    *_softmax(
        "negative zeros",
        "every 0 is -0 (clause 8: its sign is not compared)",
        _negative_zeros(PLAIN.p),
        _negative_zeros(PLAIN.y),
    ),
    _loss(
        "negative zeros",
        "every 0 is -0 (clause 8: its sign is not compared)",
        Loss(leave=_negative_zeros(same), leave_grad=_negative_zeros(same)),
    ),
    replace(
        _loss("mean over rows", "section 2: another named reduction, declared", Loss(denominator=all_rows)),
        mean="mean_over_rows",
    ),
    replace(
        _loss("mean over kept rows", "section 2: another named reduction, declared", Loss(denominator=kept_rows)),
        mean="mean_over_kept",
    ),
    replace(
        _loss("targets that sum to 1", "section 2: refuses others, which is declared", Loss(guard=only_whole)),
        normalised_targets=True,
    ),
    _loss("np", "the formula", NLL, op="nll_loss"),
)
