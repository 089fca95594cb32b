"""Specification, section 4, clauses 4 to 6: +inf, infinite losses, 0 times infinity."""

from __future__ import annotations

from dataclasses import replace

from lossproof.adapters.protocol import Problem
from lossproof.core.formats import FORMATS

from .clause import EVEN, INF, LN2, MASKED, NAN, Clause, example, log_softmax, loss, nll, softmax

SIGNED = [1, -2, 3]


def _either(*rows: list[float]) -> tuple[dict[str, list[list[float]]], ...]:
    return tuple({"value": [row]} for row in rows)


def _far(dtype: str) -> Problem:
    """Logits so far apart that log p overflows."""
    top = FORMATS[dtype].max
    return replace(loss([[top, -top]], [0]), dtype=dtype)


POSITIVE = (
    Clause(
        "4.4-one",
        "Exactly one `+inf`: each entry NaN or the limit",
        (example(softmax([[0, INF]]), *_either([0, 1], [NAN, NAN], [0, NAN]), refuses=_either([0, 0.5], [0.5, 1])),),
        ("clause softmax: one +inf gets 1/2",),
        also=("4.0-keyed", "4.0-device", "4.0-mode", "4.0-dtype", "4.0-precedence"),
        because="their calls hold one +inf",
    ),
    Clause(
        "4.4-one-log",
        "(one-hot; 0 and `-inf` in log).",
        (example(log_softmax([[0, INF]]), *_either([-INF, 0], [NAN, NAN]), refuses=_either([-1e4, 0], [0, -INF])),),
        ("upstream log_softmax: infinite logits made finite",),
    ),
    Clause(
        "4.4-two",
        "Two or more: NaN at `+inf` entries,",
        (example(softmax([[INF, INF, 0]]), *_either([NAN, NAN, 0]), refuses=_either([0.5, 0.5, 0])),),
        ("upstream softmax: two +inf share the mass",),
        also=("4.4-two-elsewhere",),
        because="two +inf are the case of both",
    ),
    Clause(
        "4.4-two-elsewhere",
        "Two or more: ... NaN or limit elsewhere.",
        (example(softmax([[INF, 0, INF]]), *_either([NAN, 0, NAN], [NAN] * 3), refuses=_either([NAN, 0.25, NAN])),),
        ("clause softmax: 1/4 beside two +inf",),
        also=("4.4-two",),
        because="two +inf are the case of both",
    ),
    Clause(
        "4.4-loss",
        "Loss and logit-gradient entries: NaN or their limit (p = one-hot; `+inf` loss where log p tends to `-inf`);",
        (example(loss([[0, INF]], [0]), {"value": [INF]}, {"value": [NAN]}, refuses=({"value": [6e4]},)),),
        ("clause cross_entropy: loss of a label beside +inf saturates",),
        also=("4.4-gradient",),
        because="cross-entropy gives its value as well",
    ),
    Clause(
        "4.4-gradient",
        "Loss and logit-gradient entries: NaN or their limit (p = one-hot;",
        (
            example(
                loss([[0, INF]], [0], g=[1]),
                {"vjp": [[-1, 1]]},
                {"vjp": [[NAN, NAN]]},
                refuses=({"vjp": [[0, 0]]}, {"vjp": [[-0.5, 0.5]]}),
            ),
        ),
        ("clause cross_entropy: no gradient beside +inf",),
    ),
    Clause(
        "4.4-two-loss",
        "with two or more `+inf` the loss is NaN if any `+inf` class has `w_j q'_j != 0`.",
        (example(loss([[INF, INF, 0]], [0]), {"value": [NAN]}, refuses=({"value": [LN2]}, {"value": [0]})),),
        ("clause cross_entropy: log 2 for a label among two +inf",),
    ),
    Clause(
        "4.4-finite",
        "A finite value that is not the limit fails.",
        (example(loss([[0, INF]], [1]), {"value": [0]}, {"value": [NAN]}, refuses=({"value": [LN2]},)),),
        ("clause cross_entropy: log 2 for a label at +inf",),
    ),
)

INFINITE_LOSSES = (
    Clause(
        "4.5-positive",
        "With `c_j = w_j q'_j` and some `c_j != 0` at `x_j = -inf`: row loss `+inf` if all such `c_j > 0`,",
        (example(nll([MASKED], [1]), {"value": [INF]}, refuses=({"value": [6e4]}, {"value": [0]})),),
        ("clause nll_loss: nll: infinite losses are 60 000",),
    ),
    Clause(
        "4.5-negative",
        "`-inf` if all `< 0`,",
        (example(loss([MASKED], [1], w=[1, -2]), {"value": [-INF]}, refuses=({"value": [INF]},)),),
        ("clause cross_entropy: infinite losses lose their sign without reduction",),
    ),
    Clause(
        "4.5-mixed",
        "NaN if mixed;",
        (example(loss([[0, -INF, -INF]], [0], w=SIGNED, eps=0.5), {"value": [NAN]}, refuses=({"value": [INF]},)),),
        ("clause cross_entropy: opposite infinities give +inf",),
    ),
    Clause(
        "4.5-gradient",
        "logit gradient finite by section 3;",
        (example(loss([MASKED], [1], g=[1]), {"vjp": [[1, -1]]}, refuses=({"vjp": [[1, NAN]]}, {"vjp": [[1, -INF]]})),),
        ("clause cross_entropy: gradient NaN at a masked label",),
    ),
    Clause(
        "4.5-reduced",
        "sum and mean follow IEEE.",
        (
            example(loss([MASKED, EVEN], [1, 0], "sum"), {"value": INF}, refuses=({"value": LN2},)),
            example(loss([MASKED, EVEN], [1, 0], "mean"), {"value": INF}, refuses=({"value": LN2 / 2},)),
            example(loss([[0, -INF, -INF]] * 2, [1, 2], "sum", w=SIGNED), {"value": NAN}, refuses=({"value": INF},)),
        ),
        ("clause cross_entropy: infinite losses skipped by sum and mean",),
    ),
    Clause(
        "4.5-dq",
        "d/dq_j at `-inf`: `sign(g w_j) inf`;",
        (
            example(
                loss([[0, 0, -INF]], [[0.25, 0.25, 0.5]], g=[-2], dq=True),
                {"grad_target": [[-2 * LN2, -2 * LN2, -INF]]},
                refuses=({"grad_target": [[-2 * LN2, -2 * LN2, -32]]}, {"grad_target": [[-2 * LN2, -2 * LN2, INF]]}),
            ),
        ),
        ("upstream cross_entropy: target gradient clipped",),
        quotes=("d/dq_j as in clause 5.",),
    ),
    Clause(
        "4.5-dq-weightless",
        "{0, NaN} if `(1-eps) g w_j = 0`.",
        (
            example(
                loss([[0, 0, -INF]], [[0.25, 0.25, 0.5]], w=[2, 2, 0], g=[1], dq=True),
                {"grad_target": [[2 * LN2, 2 * LN2, 0]]},
                {"grad_target": [[2 * LN2, 2 * LN2, NAN]]},
                refuses=({"grad_target": [[2 * LN2, 2 * LN2, INF]]},),
            ),
        ),
        ("clause cross_entropy: target gradient infinite whatever the weight",),
    ),
)

VANISHING = (
    Clause(
        "4.6-index",
        "`q'_j = 0` with `log p_j = -inf` ... contributes 0: **must** for index targets,",
        (example(loss([[0, 0, -INF]], [0]), {"value": [LN2]}, refuses=({"value": [NAN]}, {"value": [INF]})),),
        ("clause cross_entropy: 0 times -inf without reduction",),
    ),
    Clause(
        "4.6-overflow",
        "(also where it overflows for finite logits)",
        (example(_far, {"value": [0]}, refuses=({"value": [1]},)),),
        ("clause cross_entropy: 0 times an overflowed log-probability",),
    ),
    Clause(
        "4.6-dense",
        "**may** {0, NaN} for dense ones.",
        (
            example(
                loss([[0, 0, -INF]], [[1.0, 0.0, 0.0]]),
                {"value": [LN2]},
                {"value": [NAN]},
                refuses=({"value": [INF]}, {"value": [0]}),
            ),
        ),
        ("clause cross_entropy: masked class of probability 0 makes the loss +inf",),
        also=("4.6-gradient",),
        because="cross-entropy gives its value as well",
    ),
    Clause(
        "4.6-weightless",
        "`w_j = 0`, `q'_j != 0`: **may** {0, NaN}.",
        (example(loss([MASKED], [1], w=[1, 0]), {"value": [0]}, {"value": [NAN]}, refuses=({"value": [INF]},)),),
        ("clause cross_entropy: masked label of weight 0 makes the loss +inf",),
    ),
    Clause(
        "4.6-gradient",
        "The logit gradient is finite in all cases.",
        (
            example(
                loss([[0, 0, -INF]], [[1.0, 0.0, 0.0]], g=[1]),
                {"vjp": [[-0.5, 0.5, 0]]},
                refuses=({"vjp": [[-0.5, 0.5, NAN]]},),
            ),
        ),
        ("clause cross_entropy: gradient NaN at masked classes of probability 0",),
    ),
)

CLAUSES = (*POSITIVE, *INFINITE_LOSSES, *VANISHING)
