"""Correct implementations, each with a legitimate choice of algorithm: the suite must never touch them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .kit.algorithms import FTZ, log1p, p_minus_c, torch_order, zero_times_inf
from .kit.control_entries import loss_control, softmax_controls
from .kit.loss_mistakes import all_rows, kept_rows, only_whole
from .kit.loss_steps import NLL, Case, Loss
from .kit.mutant import WIDE_DTYPES, Mutant
from .kit.shaders import Shader
from .kit.sixteen_bit import FORMATS, op_by_op
from .kit.softmax_steps import (
    PLAIN,
    Array,
    Softmax,
    Step,
    same,
)

_NARROW = tuple(
    mutant
    for dtype, fmt in FORMATS.items()
    for profile in "WN"
    for mutant in (
        replace(m, row=f"{m.op} {dtype} {profile}")
        for m in softmax_controls(
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
    for m in softmax_controls(
        "C(N): op-by-op",
        "every elementwise result in 16 bits, sums in float32",
        op_by_op(fmt).p,
        op_by_op(fmt).y,
        dtypes=(dtype,),
        profiles={dtype: "N"},
    )
)
# Profile S has no compiled pass, and so one op and reduction of each kind.
_SHADERS = (
    *(
        replace(m, row=f"{m.op} float32 S")
        for side in (1, -1)
        for m in softmax_controls(
            f"C(S): all of its contracts, {'up' if side > 0 else 'down'}",
            "a shader in base 2 whose every step errs to one side by all that it may",
            Shader(side).p,
            Shader(side).y,
            dtypes=("float32",),
            profiles={"float32": "S"},
        )
        if (m.op == "softmax") == (side > 0)
    ),
    replace(
        loss_control("C(S): all of its contracts", "the same in a loss", Loss(logp=Shader().y, prob=Shader().p)),
        row="cross_entropy float32 S",
        dtypes=("float32",),
        profiles={"float32": "S"},
    ),
)


def _negative_zeros(f: Step) -> Step:
    return lambda x: np.where(f(x) == 0, -0.0, f(x)).astype(x.dtype)


def _p_minus_wq(case: Case, p: Array, c: Array) -> Array:
    # With one class the gradient is 0 whatever the target (clause 8).
    return np.zeros_like(p) if case.k == 1 else p_minus_c(case, p, c)


_FMAX = Softmax(shift=lambda x: np.fmax.reduce(x, axis=-1, keepdims=True))


MUTANTS: tuple[Mutant, ...] = (
    *softmax_controls("np", "shift, exp, pairwise sum, divide", PLAIN.p, PLAIN.y),
    *softmax_controls(
        "NaN-dropping maximum",
        "np.fmax: the maximum skips NaN, the sum does not (clause 1)",
        _FMAX.p,
        _FMAX.y,
    ),
    *softmax_controls(
        "FTZ",
        "subnormal inputs, intermediates and results are flushed",
        FTZ.p,
        FTZ.y,
        dtypes=(*WIDE_DTYPES, "bfloat16"),
    ),
    *softmax_controls("log1p form", "log1p of the other terms", PLAIN.p, log1p),
    *_NARROW,
    *_SHADERS,
    loss_control("np", "the formula", Loss()),
    loss_control("torch-order", "smoothing as two sums, scaled afterwards", Loss(rows=torch_order)),
    loss_control(
        "saved logp",
        "the gradient uses the exponential of the saved log-softmax",
        Loss(prob=lambda x: np.exp(PLAIN.y(x))),
    ),
    loss_control(
        "dense 0 * -inf is NaN",
        "clause 6: a class of probability 0 at -inf may give NaN for probability targets",
        Loss(rows=zero_times_inf),
        allowed="section 4, clause 6",
        source="tf-dense-xent-neginf-zero-label-nan, optax-softmax-xent-neginf-zero-label (optax#896)",
    ),
    replace(
        loss_control(
            "p - w q' for probability targets",
            "section 3: accepted as a convention where targets do not sum to 1",
            Loss(slope=_p_minus_wq),
            allowed="section 3",
            source="tf-xent-unnormalised-labels-gradient (tensorflow#60314, #2327)",
        ),
        options=frozenset({"axis", "reduction", "label_smoothing"}),
        targets=("probability",),
    ),
    loss_control(
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
    *softmax_controls(
        "negative zeros",
        "every 0 is -0 (clause 8: its sign is not compared)",
        _negative_zeros(PLAIN.p),
        _negative_zeros(PLAIN.y),
    ),
    loss_control(
        "negative zeros",
        "every 0 is -0 (clause 8: its sign is not compared)",
        Loss(leave=_negative_zeros(same), leave_grad=_negative_zeros(same)),
    ),
    replace(
        loss_control("mean over rows", "section 2: another named reduction, declared", Loss(denominator=all_rows)),
        mean="mean_over_rows",
    ),
    replace(
        loss_control(
            "mean over kept rows", "section 2: another named reduction, declared", Loss(denominator=kept_rows)
        ),
        mean="mean_over_kept",
    ),
    replace(
        loss_control("targets that sum to 1", "section 2: refuses others, which is declared", Loss(guard=only_whole)),
        normalised_targets=True,
    ),
    loss_control("np", "the formula", NLL, op="nll_loss"),
)
