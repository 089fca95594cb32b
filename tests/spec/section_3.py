"""Specification, section 3: gradients, directions, second derivatives."""

from __future__ import annotations

import numpy as np

from .clause import EVEN, INF, LN2, Clause, example, log_softmax, loss, nll, softmax

# Two classes of probability 1/2 and a masked one.
HALVES, V = [[0, 0, -INF]], [[1, 2, 4]]
# Sums to 1 + 1.5e-8; and times the weights 1, 2, 3.
FIFTHS = np.array([0.2, 0.3, 0.5], dtype=np.float32).tolist()
WEIGHTED = np.array(FIFTHS) * [1, 2, 3]

CLAUSES = (
    Clause(
        "3-exact",
        "Judged against the exact derivative, in every dtype, not by finite differences.",
        (
            example(
                softmax(np.zeros((1, 512)), np.ones((1, 512))),
                {"vjp": np.zeros((1, 512))},
                refuses=({"vjp": np.full((1, 512), 1 / 512)},),
            ),
        ),
        ("upstream softmax: 1/s^2 in float16 in the gradient",),
    ),
    Clause(
        "3-softmax-vjp",
        "- `softmax` VJP with cotangent `v`: `p_i (v_i - sum_j p_j v_j)`.",
        (example(softmax(HALVES, V), {"vjp": [[-0.25, 0.25, 0]]}),),
        ("upstream softmax: mean instead of <p, v>",),
        also=("4.15-cotangent",),
        because="its second row is an ordinary gradient",
    ),
    Clause(
        "3-log_softmax-vjp",
        "`log_softmax` VJP: `v_i - p_i sum_j v_j`.",
        (example(log_softmax(HALVES, V), {"vjp": [[-2.5, -1.5, 4]]}),),
        ("upstream log_softmax: uniform instead of p",),
    ),
    Clause(
        "3-nll-target",
        "`nll_loss`: `-w_y g` at the target entry,",
        (example(nll([[-1, -2], [-3, -4]], [0, 0], w=[2, 4], g=[1, 0.5]), {"vjp": [[-2, 0], [-1, 0]]}),),
        ("upstream nll_loss: nll: gradient without weights",),
    ),
    Clause(
        "3-nll-elsewhere",
        "`nll_loss`: `-w_y g` at ... 0 elsewhere.",
        (example(nll([[-1, -2, -3]], [1], g=[1]), {"vjp": [[0, -1, 0]]}),),
        ("clause nll_loss: gradient leaks into the next class",),
    ),
    Clause(
        "3-ce-vjp",
        "- `cross_entropy` w.r.t. logits: `g_n (Q_n p_i - w_i q'_{n,i})` with `Q_n = sum_j w_j q'_{n,j}`,",
        (example(loss([EVEN, EVEN], [0, 1], w=[1, 3], g=[1, 1]), {"vjp": [[-0.5, 0.5], [1.5, -1.5]]}),),
        ("clause cross_entropy: gradient with the class's weight for labels",),
    ),
    Clause(
        "3-ce-scale",
        "and `g_n` the exact row scale of the reduction (upstream cotangent times `1/denominator` for mean).",
        (example(loss([EVEN, EVEN], [0, 1], "mean", g=1.0), {"vjp": [[-0.25, 0.25], [0.25, -0.25]]}),),
        ("g_ce: missing 1/N",),
    ),
    Clause(
        "3-cotangent",
        "Upstream cotangents other than 1",
        (example(loss([EVEN], [0], "sum", g=3.0), {"vjp": [[-1.5, 1.5]]}),),
        ("upstream cross_entropy: scalar cotangent ignored",),
    ),
    Clause(
        "3-cotangent-rows",
        "Upstream cotangents other than 1 ... and non-uniform ones for `none` are part of the spec.",
        (example(loss([EVEN, EVEN], [0, 1], g=[1, -2]), {"vjp": [[-0.5, 0.5], [-1, 1]]}),),
        ("upstream cross_entropy: first cotangent for all rows",),
        also=("3-rounded-sum",),
        because="its cotangents differ, too",
    ),
    Clause(
        "3-unnormalised-gradient",
        "the gradient w.r.t. logits **may** be `Q_n p - w q'` or `p - w q'`",
        (
            example(
                loss([EVEN], [[0.5, 0.0]], g=[1]),
                {"vjp": [[-0.25, 0.25]]},
                {"vjp": [[0, 0.5]]},
                refuses=({"vjp": [[-0.5, 0.5]]},),
            ),
        ),
        ("clause cross_entropy: targets renormalised in the gradient",),
        also=("3-unnormalised-consistent",),
        because="its call has such targets, too",
    ),
    Clause(
        "3-unnormalised-consistent",
        "the gradient w.r.t. logits ... (a convention).",
        (example(loss([EVEN], [[0.25, 0.0]], g=[1]), {"vjp": [[-0.125, 0.125]]}, {"vjp": [[0.25, 0.5]]}),),
        ("clause cross_entropy: formula of unnormalised targets by format",),
        also=("3-unnormalised-gradient",),
        because="its call has such targets, too",
    ),
    Clause(
        "3-rounded-sum",
        "A row sums to 1 when its sum is what rounding to its format may make of 1 (`bounds.md`, section 6), as that "
        "of float32(0.2, 0.3, 0.5): there the gradient is `Q_n p - w q'`, whatever other rows hold,",
        (
            example(
                loss([[0, 0, 0], [0, 0, 0]], [FIFTHS, [0.25, 0, 0.25]], w=[1, 2, 3], g=[1, 0]),
                {"vjp": [2.3 / 3 - WEIGHTED, [0, 0, 0]]},
                refuses=({"vjp": [1 / 3 - WEIGHTED, [0, 0, 0]]},),
                dtypes=("float32",),
            ),
        ),
        ("clause cross_entropy: p - w q' where targets sum to 1 but for rounding",),
    ),
    Clause(
        "3-rounded-sum-unweighted",
        "there the gradient is `Q_n p - w q'`, ... or, where all weights are 1, `p - w q'`.",
        (example(loss([[0, 0, 0]], [FIFTHS], g=[1]), {"vjp": [1 / 3 - np.array(FIFTHS)]}, dtypes=("float32",)),),
        spared=True,
    ),
    Clause(
        "3-no-folding",
        "Never fold weights or smoothing into a framework's labels to obtain them: that changes its gradient.",
        (
            example(
                loss([EVEN], [[1.0, 0.0]], w=[3, 1], g=[1]),
                {"vjp": [[-1.5, 1.5]]},
                refuses=({"vjp": [[-2.5, 0.5]]},),
            ),
        ),
        ("clause cross_entropy: weights folded into probability targets",),
        also=("3-rounded-sum",),
        because="its rounded targets add up to 1 in float32",
    ),
    Clause(
        "3-dq",
        "- w.r.t. probability targets: `-g_n w_j log p_j`",
        (example(loss([EVEN], [[1.0, 0.0]], w=[1, 3], g=[2], dq=True), {"grad_target": [[2 * LN2, 6 * LN2]]}),),
        ("upstream cross_entropy: target gradient 0 where the target is 0",),
    ),
    Clause(
        "3-dq-smoothed",
        "- w.r.t. probability targets: ... (times `1-eps`).",
        (example(loss([EVEN], [[0.5, 0.5]], g=[1], eps=0.25, dq=True), {"grad_target": [[0.75 * LN2, 0.75 * LN2]]}),),
        ("upstream cross_entropy: target gradient without 1 - eps",),
    ),
    Clause(
        "3-softmax-jvp",
        "- JVP with direction `v`: softmax `p o (v - <p, v>)`;",
        (example(softmax(HALVES, t=V), {"jvp": [[-0.25, 0.25, 0]]}),),
        ("upstream softmax: jvp with the direction's mean",),
    ),
    Clause(
        "3-log_softmax-jvp",
        "log_softmax `v_i - <p, v>`;",
        (example(log_softmax(HALVES, t=V), {"jvp": [[-0.5, 0.5, 2.5]]}),),
        ("upstream log_softmax: jvp is the VJP",),
    ),
    Clause(
        "3-ce-jvp",
        "cross_entropy, per row, `<Q p - w q', v>`,",
        (example(loss([EVEN], [1], w=[1, 3], t=[[1, 2]]), {"jvp": [-1.5]}),),
        ("upstream cross_entropy: jvp without Q",),
    ),
    Clause(
        "3-ce-jvp-reduced",
        "cross_entropy, per row, ... then the reduction",
        (example(loss([EVEN, EVEN], [0, 1], "mean", t=[[1, 2], [2, 1]]), {"jvp": 0.5}),),
        ("upstream cross_entropy: jvp of the sum",),
    ),
    Clause(
        "3-ce-jvp-target",
        "(likewise in q).",
        (
            example(
                loss([EVEN], [[1.0, 0.0]], eps=0.25, u=[[2, 1]]),
                {"jvp_target": [0.75 * 3 * LN2]},
                refuses=({"jvp_target": [3 * LN2]},),
            ),
        ),
        ("clause cross_entropy: jvp in the targets without 1 - eps",),
    ),
    Clause(
        "3-ce-hvp",
        "HVP of cross_entropy `g Q (p o (v - <p, v>))`;",
        (example(loss([EVEN], [1], w=[3, 3], g=[2], t=[[1, -1]]), {"hvp": [[3, -3]]}),),
        ("upstream cross_entropy: second derivative without Q",),
    ),
    Clause(
        "3-log_softmax-hvp",
        "of log_softmax with cotangent c `-(sum c) p o (v - <p, v>)`;",
        (example(log_softmax([EVEN], [[1, 2]], [[1, 2]]), {"hvp": [[0.75, -0.75]]}),),
        ("upstream log_softmax: second derivative for sum c = 1",),
    ),
    Clause(
        "3-nll-hvp",
        "of nll_loss 0;",
        (example(nll([[-1, -2]], [0], g=[1], t=[[1, 2]]), {"hvp": [[0, 0]]}, refuses=({"hvp": [[0.25, 0]]},)),),
        ("clause nll_loss: nll: second derivative of cross-entropy",),
    ),
    Clause(
        "3-ce-mixed",
        "mixed, with `u` a direction in q: `g (1-eps) (p_i sum_j w_j u_j - w_i u_i)`.",
        (
            example(
                loss([[0, 0, 0]], [[0.25, 0.25, 0.5]], w=[2, 1, 0.5], g=[2], dq=True, u=[[1, 1, 1]]),
                {"mixed": [[-5 / 3, 1 / 3, 4 / 3]]},
            ),
        ),
        ("upstream cross_entropy: mixed derivative without weights",),
    ),
)
