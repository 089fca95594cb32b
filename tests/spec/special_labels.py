"""Specification, section 4, clauses 12 to 15: labels, options, numbers that are not finite."""

from __future__ import annotations

import math

import numpy as np

from .clause import (
    DENSE,
    EVEN,
    LN2,
    NAN,
    PLAIN,
    Clause,
    error,
    example,
    loss,
    row_loss,
)

SECOND = {"value": [NAN, PLAIN[1]]}


ROWS = ([0.5, -1.0, 2.0, 0.25], [1.5, 0.0, -0.75, 1.0])


WRAPPED = {"value": [row_loss(ROWS[0], [0, 0, 0, 1]), PLAIN[1]]}


P = [[math.exp(-row_loss(x, onehot)) for onehot in np.eye(4).tolist()] for x in ROWS]


SLOPE = [p - (i == 2) for i, p in enumerate(P[1])]


# The gradient of the first row if its label were the first class.
CLAMPED = [p - (i == 0) for i, p in enumerate(P[0])]


MEAN = sum(p * v for p, v in zip(P[1], ROWS[1], strict=True))


# A NaN in the first row of the cotangent; that of the second is its logits.
SPOILT = {"value": P, "vjp": [[NAN] * 4, [p * (v - MEAN) for p, v in zip(P[1], ROWS[1], strict=True)]]}


LABELS = (
    Clause(
        "4.12-int64",
        "**must** accept int64 labels.",
        (
            example(loss([EVEN] * 2, [1, 2**40], ignore=2**40), {"value": [LN2, 0]}, refuses=("bad_dtype",)),
            example(loss([EVEN] * 2, [1, -(2**63)], ignore=-(2**63)), {"value": [LN2, 0]}, refuses=("bad_dtype",)),
        ),
        ("clause cross_entropy: labels beyond 32 bits refused",),
    ),
    Clause(
        "4.12-other-types",
        "Other integer label dtypes: the same result or a clean error.",
        (error("12-int32", "bad_dtype", {"value": PLAIN}, refuses=({"value": PLAIN[::-1]},)),),
        ("clause cross_entropy: labels of other types are class 0",),
    ),
    Clause(
        "4.12-truncated-label",
        "Truncating a label ... to fewer bits is a silent finite value (13).",
        (error("13-32-bit", "bad_label", SECOND, refuses=({"value": PLAIN},)),),
        ("upstream cross_entropy: labels cast to int32",),
        also=("4.13-alone",),
        because="of a label so far out nothing is left",
    ),
    Clause(
        "4.12-truncated-sentinel",
        "Truncating a label or `ignore_index` to fewer bits",
        (error("12-ignore-32-bit", {"value": PLAIN}, refuses=({"value": [0, PLAIN[1]]}, "bad_label")),),
        ("upstream cross_entropy: ignore_index compared as int32",),
    ),
    Clause(
        "4.13-out-of-range",
        "Label out of range (and not `ignore_index`): a clean error, or NaN for that row",
        (error("13-k", "bad_label", SECOND, refuses=({"value": PLAIN}, {"value": [NAN, NAN]})),),
        ("upstream cross_entropy: unknown label accepted at K",),
        also=("4.0-exempt", "4.13-gradient", "4.13-recorded"),
        because="their label is K as well",
    ),
    Clause(
        "4.13-gradient",
        "(then its gradient row is NaN, 0 or `g Q p`, recorded).",
        tuple(
            error("13-k", {**SECOND, "vjp": [row, SLOPE]}, refuses=({**SECOND, "vjp": [[1, 0, 0, 0], SLOPE]},))
            for row in ([NAN] * 4, [0.0] * 4, P[0])
        ),
        ("clause cross_entropy: unknown label gives NaN and the gradient -p",),
        also=(
            *(
                "2-ignore-absent",
                "4.0-exempt",
                "4.12-truncated-label",
                "4.13-alone",
                "4.13-memory",
                "4.13-modes",
                "4.13-out-of-range",
            ),
            *("4.13-recorded", "4.13-silent", "4.13-wrap", "4.13-zero-row"),
        ),
        because="every unknown label is answered in the same way",
    ),
    Clause(
        "4.13-alone",
        "Asked without the value, the gradient is held to the same.",
        (
            error("13-far", "bad_label", {"vjp": [[0.0] * 4, SLOPE]}, refuses=({"vjp": [CLAMPED, SLOPE]},)),
            error(
                "13-far",
                "bad_label",
                {"vjp": [[0.0] * 4, [0, 0, -1, 0]]},
                op="nll_loss",
                refuses=({"vjp": [[-1, 0, 0, 0], [0, 0, -1, 0]]},),
            ),
        ),
        (
            "clause cross_entropy: the gradient alone clamps far labels",
            "clause nll_loss: the gradient alone clamps far labels",
        ),
        also=("4.12-truncated-label",),
        because="a label beyond 32 bits is far out, too",
    ),
    Clause(
        "4.13-wrap",
        "Wrapping negative labels (`-1` is the last class) ... accepted only where the adapter declares that "
        "convention.",
        (
            error(
                "13-minus-one",
                "bad_label",
                SECOND,
                refuses=(WRAPPED,),
            ),
            error(
                "13-minus-one",
                WRAPPED,
                declares={"wraps_negative_labels": True},
            ),
        ),
        ("upstream cross_entropy: negative labels wrap",),
    ),
    Clause(
        "4.13-zero-row",
        "and the zero one-hot row are accepted only where the adapter declares that convention.",
        (
            error("13-void", "bad_label", SECOND, refuses=({"value": [0, PLAIN[1]]},)),
            error("13-void", {"value": [0, PLAIN[1]]}, declares={"zeroes_unknown_labels": True}),
        ),
        ("upstream cross_entropy: 255 ignored without being asked",),
    ),
    Clause(
        "4.13-memory",
        "Reading other memory,",
        (error("13-16-bit", "bad_label", SECOND, refuses=({"value": PLAIN}, {"value": [123.25, PLAIN[1]]})),),
        ("clause cross_entropy: labels beyond 15 bits read by address",),
    ),
    Clause(
        "4.13-silent",
        "a silent finite value,",
        (error("13-minus-five", "bad_label", SECOND, refuses=({"value": PLAIN}, {"value": [0, PLAIN[1]]})),),
        ("clause cross_entropy: labels from -2 K on wrap twice",),
    ),
    Clause(
        "4.13-crash",
        "or a crash fails.",
        (error("13-k", "bad_label", op="nll_loss", refuses=("crash", "timeout", "resource")),),
    ),
    Clause(
        "4.13-modes",
        "Eager and compiled must agree on whether it is an error or a value;",
        (error("13-minus-one", "bad_label", SECOND),),
        ("upstream cross_entropy: negative labels wrap",),
        across="mode",
        declares={"wraps_negative_labels": True},
        also=("4.13-wrap",),
        because="without the declaration the value alone fails",
    ),
    Clause(
        "4.13-recorded",
        "where a compiler cannot raise, that is recorded and listed.",
        (error("13-k", "bad_label", SECOND),),
        ("upstream cross_entropy: unknown label gives NaN",),
        spared=True,
        across="mode",
        records={"13": "nan"},
    ),
)

OPTIONS = (
    Clause(
        "4.15-eps",
        "`eps` outside [0, 1]",
        (error("15-eps-negative", "bad_option", refuses=({"value": [1, 1]},)), error("15-eps-large", "bad_option")),
        ("clause cross_entropy: smoothing out of range is 0.25",),
    ),
    Clause(
        "4.15-eps-nan",
        "or NaN,",
        (error("15-eps-nan", "bad_option", {"value": [NAN, NAN]}, {"value": PLAIN}, refuses=({"value": [1, 1]},)),),
        ("clause cross_entropy: smoothing NaN is 0.25",),
    ),
    Clause(
        "4.15-weight",
        "non-finite weight,",
        (error("15-weight-nan", "bad_option", refuses=({"value": PLAIN},)), error("15-weight-inf", "bad_option")),
        ("clause cross_entropy: weights that are not finite are 1",),
    ),
    Clause(
        "4.15-target",
        "non-finite weight, q",
        (error("15-target-nan", "bad_option", {"value": [NAN, DENSE[1]]}, refuses=({"value": DENSE},)),),
        ("clause cross_entropy: probabilities that are not finite are 0 or 1",),
    ),
    Clause(
        "4.15-cotangent",
        "or cotangent,",
        (error("15-cotangent-nan", SPOILT, op="softmax", refuses=({"vjp": np.zeros((2, 4))},)),),
        ("clause softmax: cotangents that are not finite are 0",),
    ),
    Clause(
        "4.15-shapes",
        "mismatched shapes,",
        (
            error("15-labels-long", "bad_shape", refuses=({"value": PLAIN},)),
            error("15-labels-short", "bad_shape", refuses=({"value": PLAIN},)),
        ),
        ("clause cross_entropy: labels repeated until they fit",),
    ),
    Clause(
        "4.15-reduction",
        "unknown reductions: a clean error or a recorded convention.",
        (error("15-reduction", "bad_option", refuses=({"value": sum(PLAIN)}, {"value": sum(PLAIN) / 2})),),
        ("clause cross_entropy: unknown reduction is sum",),
    ),
    Clause(
        "4.15-negative-weights",
        "Finite negative weights follow section 2.",
        (example(loss([EVEN], [1], w=[1, -3]), {"value": [-3 * LN2]}, refuses=({"value": [0]}, {"value": [3 * LN2]})),),
        ("clause cross_entropy: losses clamped at 0",),
    ),
)

CLAUSES = (*LABELS, *OPTIONS)
