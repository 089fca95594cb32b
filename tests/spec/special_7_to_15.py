"""SPEC section 4, clauses 7 to 15: range, one class, subnormals, empty and ignored rows, labels, options."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from lossproof.adapters.protocol import Problem
from lossproof.deck import build
from lossproof.floats import FORMATS

from .clause import (
    DENSE,
    INF,
    LN2,
    NAN,
    PLAIN,
    Clause,
    Example,
    error,
    example,
    log_softmax,
    loss,
    nll,
    row_loss,
    softmax,
)

EVEN, MASKED, SURE = [0, 0], [0, -INF], [0, -1000]
# In float64 the bound itself overflows where sums do: see "What is not covered" in docs/bounds.md.
SINGLE = ("float32", "bfloat16")
GARBAGE = [NAN, 0]
SECOND = {"value": [NAN, PLAIN[1]]}
ROWS = ([0.5, -1.0, 2.0, 0.25], [1.5, 0.0, -0.75, 1.0])
WRAPPED = {"value": [row_loss(ROWS[0], [0, 0, 0, 1]), PLAIN[1]]}
P = [[math.exp(-row_loss(x, onehot)) for onehot in np.eye(4).tolist()] for x in ROWS]
SLOPE = [p - (i == 2) for i, p in enumerate(P[1])]
MEAN = sum(p * v for p, v in zip(P[1], ROWS[1], strict=True))
# A NaN in the first row of the cotangent; that of the second is its logits.
SPOILT = {"value": P, "vjp": [[NAN] * 4, [p * (v - MEAN) for p, v in zip(P[1], ROWS[1], strict=True)]]}


def _top(dtype: str) -> float:
    return FORMATS[dtype].max


def _quarter(dtype: str) -> Problem:
    return replace(log_softmax([[_top(dtype) / 4, -_top(dtype) / 4]]), dtype=dtype)


def _halves(dtype: str, **options: object) -> Problem:
    """Eight rows of loss a quarter of the largest number."""
    x = np.array([[_top(dtype) / 8, -_top(dtype) / 8]] * 8)
    return replace(loss(x, [1] * 8, "mean"), dtype=dtype, **options)  # type: ignore[arg-type]


def _whole(dtype: str) -> Problem:
    return replace(log_softmax([[_top(dtype), -_top(dtype)]]), dtype=dtype)


def _whole_loss(dtype: str) -> Problem:
    return replace(loss([[_top(dtype), -_top(dtype)]], [1]), dtype=dtype)


def _heavy(dtype: str) -> Problem:
    return replace(loss([EVEN] * 4, [0] * 4, "mean", w=[_top(dtype) / 2] * 2), dtype=dtype)


def _crowded_cotangent(dtype: str) -> Problem:
    return replace(log_softmax([EVEN], [[_top(dtype), _top(dtype)]]), dtype=dtype)


def _by_format(make, answers, **given) -> tuple[Example, ...]:  # type: ignore[no-untyped-def]
    """One example a format, whose answers depend on its largest number."""
    dtypes = given.pop("dtypes", tuple(FORMATS))
    return tuple(example(make, *answers(_top(d)), dtypes=(d,), **given) for d in dtypes)


def _deck_of_normal_numbers() -> None:
    def normal(p: Problem, a: np.ndarray | None) -> bool:
        return a is None or a.dtype.kind != "f" or bool(np.all((a == 0) | (np.abs(a) >= FORMATS[p.dtype].min_normal)))

    problems = [c.problem for c in build()]
    given = ("weight", "target", "cotangent", "tangent", "target_tangent")
    assert all(normal(p, getattr(p, name)) for p in problems for name in given)
    # The test would see one that is not.
    assert not normal(problems[0], np.array([FORMATS[problems[0].dtype].min_subnormal]))


RANGE = (
    Clause(
        "4.7-infinity",
        "Infinity only where `|exact| + bound >= max (1 + u_o)`.",
        _by_format(
            _quarter,
            lambda top: ({"value": [[0, -top / 2]]},),
            refuses=({"value": [[0, -INF]]}, {"value": [[0, INF]]}),
        ),
        ("clause log_softmax: -inf from a quarter of the range on",),
    ),
    Clause(
        "4.7-no-inf",
        "No spurious inf,",
        (example(loss([[-200, -200]], [0]), {"value": [LN2]}, refuses=({"value": [INF]},)),),
        ("upstream cross_entropy: row maximum clipped at -64",),
    ),
    Clause(
        "4.7-no-nan",
        "No spurious inf, NaN",
        (
            example(
                lambda dtype: replace(softmax([[_top(dtype)] * 2]), dtype=dtype),
                {"value": [[0.5, 0.5]]},
                refuses=({"value": [[NAN, NAN]]},),
            ),
        ),
        ("clause softmax: NaN where the sum of the logits overflows",),
    ),
    Clause(
        "4.7-no-zero",
        "No spurious inf, NaN or zero where the exact result is representable,",
        (
            example(
                softmax([[0, 0, -80]]),
                {"value": [[0.5, 0.5, math.exp(-80) / 2]]},
                refuses=({"value": [[0.5, 0.5, 0]]},),
                dtypes=("float64", "float32", "bfloat16"),
            ),
        ),
        ("softmax: flush p<1e-30",),
    ),
    Clause(
        "4.7-batch",
        "whatever the batch ... count (float16 means over 10^5 rows,",
        (
            example(
                loss([SURE] * 80_000 + [EVEN] * 20_000, [0] * 100_000, "mean"),
                {"value": 0.2 * LN2},
                refuses=({"value": 0}, {"value": NAN}),
                dtypes=("float16",),
            ),
        ),
        ("upstream cross_entropy: float16 count",),
    ),
    Clause(
        "4.7-classes",
        "whatever the batch or class count ... 70 000 classes).",
        (
            example(
                log_softmax(np.zeros((1, 70_000))),
                {"value": np.full((1, 70_000), -math.log(70_000))},
                refuses=({"value": np.full((1, 70_000), -INF)},),
                dtypes=("float16",),
            ),
        ),
        ("clause log_softmax: -inf where the sum of exponentials is beyond float16",),
    ),
    Clause(
        "4.7-may-row",
        "**may** {inf, NaN, exact} where some `d_j`, ... overflows: the IO format in float64, float32, bfloat16; ... "
        "in float16 also where one row's `d_j` or `log p_j` overflows.",
        _by_format(
            _whole,
            lambda top: ({"value": [[0, -INF]]}, {"value": [[NAN, NAN]]}),
            refuses=({"value": [[0, -1]]}, {"value": [[1, -INF]]}),
        ),
        ("clause log_softmax: overflow gives the largest number",),
    ),
    Clause(
        "4.7-may-loss",
        "**may** {inf, NaN, exact} where some ... row loss,",
        (example(_whole_loss, {"value": [INF]}, {"value": [NAN]}, refuses=({"value": [1]}, {"value": [0]})),),
        ("clause cross_entropy: overflowed loss gives the largest number",),
    ),
    Clause(
        "4.7-may-sum",
        "**may** {inf, NaN, exact} where some ... `|l|`- ... partial sum,",
        _by_format(
            _halves,
            lambda top: ({"value": INF}, {"value": NAN}, {"value": top / 4}),
            refuses=({"value": 0},),
            dtypes=SINGLE,
        ),
        ("clause cross_entropy: overflowed sum of losses saturates",),
    ),
    Clause(
        "4.7-may-weights",
        "or `|w|`-partial sum,",
        (
            example(
                _heavy,
                {"value": INF},
                {"value": NAN},
                {"value": LN2},
                refuses=({"value": 1},),
                dtypes=SINGLE,
            ),
        ),
        ("clause cross_entropy: overflowed sums of weights saturate",),
    ),
    Clause(
        "4.7-may-cotangent",
        "or cotangent expression (`v_i - <p, v>`, `sum v`) overflows:",
        _by_format(
            _crowded_cotangent,
            lambda top: ({"vjp": [[0, 0]]}, {"vjp": [[NAN, NAN]]}, {"vjp": [[-INF, -INF]]}),
            refuses=({"vjp": [[2.0**126, 2.0**126]]},),
            dtypes=("float32",),
        ),
        ("clause log_softmax: overflowed sum of the cotangent saturates",),
    ),
    Clause(
        "4.7-float16-sums",
        "the IO format in float64, float32, bfloat16; float32 in float16;",
        _by_format(
            _halves,
            lambda top: ({"value": top / 4},),
            refuses=({"value": INF}, {"value": NAN}, {"value": 0}),
            dtypes=("float16",),
        ),
        ("clause cross_entropy: float16 sum",),
    ),
)

ONE_CLASS = (
    Clause(
        "4.8-p",
        "`K = 1` and a finite logit: p = 1,",
        (example(softmax([[3]]), {"value": [[1]]}, refuses=({"value": [[0]]}, {"value": [[NAN]]})),),
        ("upstream softmax: wrong kernel for one class",),
        also=("4.0-precedence", "4.3-one-class"),
        because="their rows have one class, too",
    ),
    Clause(
        "4.8-log-p",
        "`K = 1` and a finite logit: ... log p = 0,",
        (example(log_softmax([[3]]), {"value": [[0]]}, refuses=({"value": [[-3]]}, {"value": [[NAN]]})),),
        ("upstream log_softmax: sigmoid for one class",),
    ),
    Clause(
        "4.8-gradient",
        "`K = 1` and a finite logit: ... gradient 0, for any eps and finite w, q, where the row scale g is finite "
        "(else clause 10).",
        (
            example(loss([[3]], [[0.5]], w=[3], g=[2], eps=0.25), {"vjp": [[0]]}, refuses=({"vjp": [[1.125]]},)),
            example(loss([[3]], [0], "mean", w=[-3], g=2.0, eps=0.25), {"vjp": [[0]]}, refuses=({"vjp": [[1]]},)),
        ),
        ("clause cross_entropy: gradient of one class p - w q'",),
    ),
    Clause(
        "4.8-sign-of-zero",
        "The sign of zero is never compared.",
        (
            example(softmax([SURE]), {"value": [[1, 0.0]]}, {"value": [[1, -0.0]]}),
            example(loss([[3]], [0], g=[1]), {"value": [-0.0], "vjp": [[-0.0]]}, {"value": [0.0], "vjp": [[0.0]]}),
        ),
        ("control softmax: negative zeros", "control cross_entropy: negative zeros"),
        spared=True,
    ),
    Clause(
        "4.9-float16",
        "**must** not flush subnormal results in float16;",
        (
            example(
                softmax([[0, 0, -12]]),
                {"value": [[0.5, 0.5, math.exp(-12) / 2]]},
                refuses=({"value": [[0.5, 0.5, 0]]},),
                dtypes=("float16",),
                declares={"profiles": {("softmax", "float16"): "W"}},
            ),
        ),
        ("softmax float16 W: FTZ of fp16 subnormals",),
    ),
    Clause(
        "4.9-flush",
        "**may** flush inputs and results in float64, float32, bfloat16 (the underflow term of the bound).",
        (
            example(
                softmax([[0, 0, -90]]),
                {"value": [[0.5, 0.5, math.exp(-90) / 2]]},
                {"value": [[0.5, 0.5, 0]]},
                refuses=({"value": [[0.5, 0.5, 2.0**-120]]},),
                dtypes=SINGLE,
            ),
            example(nll([[-(2.0**-130), -1]], [0]), {"value": [2.0**-130]}, {"value": [0]}, dtypes=SINGLE),
        ),
        ("clause softmax: subnormal results rounded up",),
    ),
    Clause(
        "4.9-deck",
        "Weights, probability targets and cotangents in the deck are 0 or normal, and large enough that no product in "
        "the formulas is subnormal, unless the bound carries the underflow term times `sum |d out / d input|`.",
        shows=_deck_of_normal_numbers,
    ),
)

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
        "**may** `K = 0`: empty result or a clean error;",
        (error("10-no-classes", "bad_shape", "bad_label", {"value": [NAN, NAN]}, refuses=({"value": [0, 0]},)),),
        ("clause cross_entropy: loss 0 without classes",),
    ),
    Clause(
        "4.10-no-crash",
        "**may** `K = 0`: ... never a crash.",
        (error("10-no-classes", {"value": np.zeros((2, 0))}, "bad_shape", op="softmax", refuses=("crash", "timeout")),),
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
                "4.13-memory",
                "4.13-modes",
                "4.13-out-of-range",
            ),
            *("4.13-recorded", "4.13-silent", "4.13-wrap", "4.13-zero-row"),
        ),
        because="every unknown label is answered in the same way",
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

CLAUSES = (*RANGE, *ONE_CLASS, *EMPTY, *IGNORED, *LABELS, *OPTIONS)
