"""Specification, section 4, clauses 10 and 11: empty and ignored rows."""

from __future__ import annotations

import numpy as np

from .clause import (
    EVEN,
    INF,
    LN2,
    MASKED,
    NAN,
    Clause,
    error,
    example,
    loss,
)

GARBAGE = [NAN, 0]
# Where all empty problems are.
SINGLE = ("float32",)


EMPTY = (
    Clause(
        "4.10-empty-none",
        "`N = 0`: none gives an empty result,",
        (error("10-no-rows-none", {"value": np.zeros(0)}, refuses=({"value": np.zeros(1)}, "bad_shape")),),
        ("clause cross_entropy: one loss for an empty batch",),
    ),
    Clause(
        "4.10-empty-sum",
        "`N = 0`: ... sum 0,",
        (error("10-no-rows-sum", {"value": 0}, refuses=({"value": NAN}, "bad_shape")),),
        ("clause cross_entropy: NaN for the sum of an empty batch",),
    ),
    Clause(
        "4.10-empty-mean",
        "`N = 0`: ... mean NaN.",
        (error("10-no-rows-mean", {"value": NAN}, refuses=({"value": 0}, "bad_shape")),),
        ("clause cross_entropy: 0 for the mean of an empty batch",),
    ),
    Clause(
        "4.10-ignored-mean",
        "all rows ignored, mean: {NaN, 0},",
        (
            example(
                loss([EVEN], [9], "mean", ignore=9),
                {"value": NAN},
                {"value": 0},
                refuses=({"value": INF}, {"value": 1}),
            ),
        ),
        ("clause cross_entropy: +inf for the mean over no row",),
        also=("4.10-ignored-gradient",),
        because="cross-entropy gives its value as well",
    ),
    Clause(
        "4.10-ignored-gradient",
        "all rows ignored, mean: ... gradient {0, NaN};",
        (
            example(
                loss([EVEN], [9], "mean", ignore=9, g=1.0),
                {"vjp": [[NAN, NAN]]},
                {"vjp": [[0, 0]]},
                refuses=({"vjp": [[INF, INF]]}, {"vjp": [[-0.5, 0.5]]}),
            ),
        ),
        ("clause cross_entropy: gradient +inf where every row is ignored",),
    ),
    Clause(
        "4.10-weightless-loss",
        "`sum w = 0` otherwise: loss {NaN, 0, +-inf},",
        (
            example(
                loss([EVEN], [0], "mean", w=[0, 1]),
                {"value": NAN},
                {"value": 0},
                {"value": INF},
                {"value": -INF},
                refuses=({"value": LN2},),
            ),
        ),
        ("clause cross_entropy: unweighted mean where all weights are 0",),
        also=("4.10-weightless-gradient",),
        because="cross-entropy gives its value as well",
    ),
    Clause(
        "4.10-weightless-gradient",
        "gradient entries {0, NaN, +-inf};",
        (
            example(
                loss([EVEN], [0], "mean", w=[0, 1], g=1.0),
                {"vjp": [[NAN, NAN]]},
                {"vjp": [[0, 0]]},
                {"vjp": [[-INF, INF]]},
                refuses=({"vjp": [[-0.5, 0.5]]},),
            ),
        ),
        ("clause cross_entropy: unweighted gradient where all weights are 0",),
        also=("4.0-weightless-nan",),
        because="there all weights are 0, too",
    ),
    Clause(
        "4.10-unjudged",
        "not judged where the computed denominator may vanish (`rho_W >= 1` in `bounds.md`).",
        (
            example(
                loss([EVEN] * 2, [0, 1], "mean", w=[1, -1], g=1.0),
                {"value": NAN, "vjp": [[NAN, NAN]] * 2},
                {"value": 3, "vjp": [[7, -7]] * 2},
            ),
        ),
        spared=True,
    ),
    Clause(
        "4.10-no-classes",
        "**may** `K = 0`: a clean error, or an empty p, log p and gradient,",
        tuple(
            error(
                "10-no-classes",
                {"value": np.zeros((2, 0)), "vjp": np.zeros((2, 0))},
                "bad_shape",
                op=op,
                refuses=({"value": np.zeros((2, 1)), "vjp": np.zeros((2, 0))},),
            )
            for op in ("softmax", "log_softmax")
        ),
        ("clause softmax: one class where there is none",),
    ),
    Clause(
        "4.10-no-classes-label",
        "`K = 0`: ... NaN for a row with a label,",
        (error("10-no-classes", "bad_shape", "bad_label", {"value": [NAN, NAN]}, refuses=({"value": [0, 0]},)),),
        ("clause cross_entropy: loss 0 without classes",),
    ),
    Clause(
        "4.10-no-classes-probabilities",
        "`K = 0`: ... {0, NaN} for one with probabilities,",
        (
            error(
                "10-no-classes-value-probabilities-none",
                "bad_shape",
                {"value": np.zeros(5)},
                {"value": np.full(5, NAN)},
                refuses=({"value": np.full(5, INF)},),
                dtypes=SINGLE,
            ),
        ),
        ("clause cross_entropy: loss +inf without classes",),
    ),
    Clause(
        "4.10-no-classes-reduced",
        "`K = 0`: ... sum and mean likewise",
        (
            error("10-no-classes-value-label-sum", "bad_label", {"value": NAN}, refuses=({"value": 0},), dtypes=SINGLE),
            error(
                "10-no-classes-value-label-mean", "bad_label", {"value": NAN}, refuses=({"value": 0},), dtypes=SINGLE
            ),
            error(
                "10-no-classes-value-probabilities-sum",
                {"value": NAN},
                {"value": 0},
                refuses=({"value": INF},),
                dtypes=SINGLE,
            ),
            error(
                "10-no-classes-value-probabilities-mean",
                {"value": NAN},
                {"value": 0},
                refuses=({"value": INF},),
                dtypes=SINGLE,
            ),
        ),
        ("clause cross_entropy: sum and mean 1 without classes",),
    ),
    Clause(
        "4.10-nothing",
        "(without rows what `N = 0` gives);",
        (
            error(
                "10-nothing-value-label-none",
                "bad_shape",
                {"value": np.zeros(0)},
                refuses=("crash",),
                dtypes=SINGLE,
            ),
            error("10-nothing-value-label-sum", "bad_shape", {"value": 0}, refuses=({"value": NAN},), dtypes=SINGLE),
            error("10-nothing-value-label-mean", "bad_shape", {"value": NAN}, refuses=({"value": 0},), dtypes=SINGLE),
        ),
        ("clause cross_entropy: mean 0 of nothing",),
    ),
    Clause(
        "4.10-no-crash",
        "**may** `K = 0`: ... never a crash.",
        (
            error(
                "10-no-classes",
                {"value": np.zeros((2, 0))},
                "bad_shape",
                op="log_softmax",
                refuses=("crash", "timeout"),
            ),
        ),
    ),
)

IGNORED = (
    *(
        Clause(
            f"4.11-{reduction}",
            "An ignored row that holds NaN or +inf, or only -inf: " + quote,
            tuple(
                example(
                    loss([row, EVEN], [9, 0], reduction, ignore=9),
                    {"value": [0, LN2] if reduction == "none" else LN2},
                    refuses=({"value": [NAN, LN2] if reduction == "none" else NAN},),
                )
                for row in (GARBAGE, [INF, 0], [-INF, -INF])
            ),
            (f"clause cross_entropy: ignored rows multiplied by 0: {reduction}",),
            also=also,
            because="such a row is ignored there, too" if also else "",
        )
        for reduction, quote, also in (
            ("sum", "sum,", ("4.0-precedence",)),
            ("mean", "... mean", ()),
            ("none", "... and its `none` entry unaffected (**must**),", ("4.11-gradient",)),
        )
    ),
    Clause(
        "4.11-gradient",
        "its gradient row **may** be {0, NaN}.",
        (
            example(
                loss([GARBAGE, EVEN], [9, 0], ignore=9, g=[1, 1]),
                {"vjp": [[0, 0], [-0.5, 0.5]]},
                {"vjp": [[NAN, NAN], [-0.5, 0.5]]},
                refuses=({"vjp": [[0.5, 0.5], [-0.5, 0.5]]}, {"vjp": [[INF, 0], [-0.5, 0.5]]}),
            ),
        ),
        ("clause cross_entropy: uniform gradient of ignored rows without probabilities",),
    ),
    Clause(
        "4.11-masked",
        "With only some -inf: exactly 0.",
        (
            example(
                loss([MASKED, EVEN], [9, 0], ignore=9, g=[1, 1]),
                {"vjp": [[0, 0], [-0.5, 0.5]]},
                refuses=({"vjp": [[NAN, NAN], [-0.5, 0.5]]},),
            ),
        ),
        ("clause cross_entropy: gradient NaN of ignored rows with a masked class",),
    ),
)

CLAUSES = (*EMPTY, *IGNORED)
