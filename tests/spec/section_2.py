"""Specification, section 2: operations, targets, reductions and ignore_index."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from lossproof.adapters.numpy import NumpyAdapter
from lossproof.adapters.protocol import OUTPUTS, Capabilities, Problem
from lossproof.targets.target import Target

from .clause import DENSE, EVEN, LN2, NAN, PLAIN, SURE, Clause, Example, error, example, log_softmax, loss, nll, softmax

E1 = 1 / (1 + math.exp(-1))
OVER_ROWS, OVER_KEPT = {"mean": "mean_over_rows"}, {"mean": "mean_over_kept"}


def _means(declares: dict[str, str], mean: float, *others: float) -> Example:
    """Rows of loss log 2 with labels 0 and 1 of weights 1 and 3, and an ignored one."""
    p = loss([EVEN] * 3, [0, 1, 9], "mean", w=[1, 3], ignore=9)
    refused = tuple({"value": v * LN2} for v in others)
    return example(p, {"value": mean * LN2}, refuses=refused, declares=declares)


class _Whole(NumpyAdapter):
    """An adapter that declares targets which sum to 1."""

    def capabilities(self) -> Capabilities:
        """NumPy's, and the declaration."""
        return replace(super().capabilities(), normalised_targets=True)


def _whole_targets_only() -> None:
    target = Target(_Whole())
    for q, taken in (([[0.25, 0.75]], True), ([[1.0, 0.0]], True), ([[0.5, 0.0]], False), ([[1.0, 1.0]], False)):
        (outcome,) = target.play([loss([EVEN], q)])
        assert (outcome.error is None) == taken
        assert outcome.error in (None, "unsupported")


def _no_weight_gradient() -> None:
    assert not [name for name in OUTPUTS if "weight" in name]
    p = loss([EVEN], [0], w=[1, 2], g=[1], t=[[1, 0]], dq=True, u=[[1, 0]])
    assert set(p.want) <= set(OUTPUTS)


def _cube() -> Problem:
    x = np.zeros((2, 3, 2))
    return loss(x, np.array([[0, 1, 0], [1, 0, 1]]))


CLAUSES = (
    Clause(
        "2-softmax",
        "| `softmax(x, axis)` | `p` |",
        (example(softmax([[0, 1]]), {"value": [[1 - E1, E1]]}),),
        ("clause softmax: base 2 exponent for two classes",),
    ),
    Clause(
        "2-log_softmax",
        "| `log_softmax(x, axis)` | `log p` |",
        (example(log_softmax([[0, 1]]), {"value": [[math.log(1 - E1), math.log(E1)]]}),),
        ("clause log_softmax: base 2 exponent for two classes",),
    ),
    Clause(
        "2-nll_loss",
        "| `nll_loss(log_probs, target, weight, ignore_index, reduction)` | "
        "per row `l_n = -w_{y_n} log_probs[n, y_n]` |",
        (example(nll([[-1, -2], [-3, -4]], [0, 1], w=[2, 4]), {"value": [2, 16]}),),
        ("upstream nll_loss: nll: weight of class 0",),
    ),
    Clause(
        "2-cross_entropy",
        "| `cross_entropy(x, target, weight, ignore_index, reduction, label_smoothing)` | "
        "`nll_loss(log_softmax(x), ...)` when `eps = 0`;",
        (example(loss([[0, 1], [0, 1]], [0, 1]), {"value": [-math.log(1 - E1), -math.log(E1)]}),),
        ("clause cross_entropy: base 2 exponent for two classes",),
    ),
    Clause(
        "2-cross_entropy-smoothed",
        "with smoothing, per row `(1-eps) w_y (-log p_y) + (eps/K) sum_j w_j (-log p_j)` |",
        (example(loss([EVEN], [0], w=[1, 3], eps=0.25), {"value": [(0.75 + 0.5) * LN2]}),),
        ("clause cross_entropy: label's weight for the uniform part of two classes",),
    ),
    Clause(
        "2-cross_entropy-probability",
        "| `cross_entropy` with probability targets `q` | per row `-sum_j w_j q'_j log p_j` with "
        "`q' = (1-eps) q + eps/K` |",
        (example(loss([EVEN], [[0.25, 0.75]], w=[1, 3]), {"value": [2.5 * LN2]}),),
        ("clause cross_entropy: likeliest of two classes",),
    ),
    Clause(
        "2-axis",
        "Both `nll_loss` and `cross_entropy` take `axis`.",
        (
            example(loss([[0, 0, 0], [0, -1000, 0]], [0, 1, 1], axis=0), {"value": [LN2, 1000, LN2]}),
            example(nll([[-1, -2, -4], [-8, -3, -5]], [0, 1, 0], axis=0), {"value": [1, 3, 4]}),
        ),
        ("upstream cross_entropy: class axis always last",),
        also=("5-flatten",),
        because="its relation has the class axis everywhere",
    ),
    Clause(
        "2-smoothed-targets",
        "Everywhere `q' = (1-eps) q + eps/K`, with `q = onehot(y)` for index targets;",
        (
            example(loss([EVEN], [[1.0, 0.0]], w=[1, 3], eps=0.5), {"value": [1.5 * LN2]}),
            example(loss([EVEN], [0], "sum", w=[2, 6], eps=0.5), {"value": 3 * LN2}),
        ),
        ("clause cross_entropy: no smoothing of probability targets in the value",),
    ),
    Clause(
        "2-uniform-over-K",
        "smoothing mixes with the uniform distribution over all `K` classes. "
        "Formulas with `eps/(K-1)` are a different operation and fail.",
        (
            example(
                loss([[0, 0, 0]], [0], "mean", g=1.0, eps=0.75),
                {"vjp": [[1 / 3 - 0.5, 1 / 3 - 0.25, 1 / 3 - 0.25]]},
                refuses=({"vjp": [[1 / 3 - 0.25, 1 / 3 - 0.375, 1 / 3 - 0.375]]},),
            ),
        ),
        ("g_smooth: eps/(K-1)",),
    ),
    Clause(
        "2-not-renormalised",
        "`q` is not renormalised and may have any sum;",
        (example(loss([EVEN, EVEN], [[0.5, 0.25], [1.0, 1.0]]), {"value": [0.75 * LN2, 2 * LN2]}),),
        ("clause cross_entropy: mass above 1 renormalised in the value",),
        quotes=("Targets that do not sum to 1: the value is **must**;",),
    ),
    Clause(
        "2-normalised-targets",
        "an adapter whose function documents `sum q = 1` declares `normalised_targets` and gets only such rows.",
        (example(loss([EVEN], [[0.25, 0.5]]), {"value": [0.75 * LN2]}),),
        ("clause cross_entropy: undeclared need of targets that sum to 1",),
        also=(
            "2-not-renormalised",
            "3-rounded-sum",
            "3-unnormalised-gradient",
            "3-unnormalised-consistent",
            "4.8-gradient",
        ),
        because="their calls have such targets",
        shows=_whole_targets_only,
    ),
    Clause(
        "2-none",
        "Reductions: `none` has the shape of x without the class axis;",
        (example(_cube(), {"value": np.full((2, 3), LN2)}),),
        ("clause cross_entropy: losses of several axes flattened",),
    ),
    Clause(
        "2-sum",
        "`sum` is `sum_n l_n`;",
        (example(loss([EVEN, EVEN], [0, 1], "sum"), {"value": 2 * LN2}),),
        ("clause cross_entropy: sum over few classes is the mean",),
    ),
    Clause(
        "2-mean-index",
        "`mean` for index targets is `sum_n l_n / sum_n w_{y_n}` over rows that are not ignored,",
        (example(loss([SURE, EVEN], [0, 1], "mean", w=[1, 3]), {"value": 0.75 * LN2}),),
        ("clause cross_entropy: mean of the means of two halves",),
    ),
    Clause(
        "2-mean-probability",
        "for probability targets `sum_n l_n / N`.",
        (example(loss([EVEN, EVEN], [[1.0, 0.0], [0.0, 1.0]], "mean"), {"value": LN2}),),
        ("clause cross_entropy: dense mean over N - 1",),
    ),
    Clause(
        "2-mean-smoothed",
        "With smoothing, class weights and `mean`, the denominator stays `sum_n w_{y_n}`.",
        (example(loss([EVEN], [0], "mean", w=[1, 3], eps=0.5), {"value": 1.5 * LN2}),),
        ("upstream cross_entropy: smoothed mean over smoothed weights",),
    ),
    Clause(
        "2-named-means",
        "Implementations that divide otherwise implement another named reduction, which the adapter declares and "
        "which is judged by its own formula, never against the first:",
        (
            example(loss([EVEN] * 2, [0, 1], "mean", w=[1, 3]), {"value": LN2}, refuses=({"value": 2 * LN2},)),
            _means({}, 1, 4 / 3, 2),
            _means(OVER_ROWS, 4 / 3, 1, 2),
            _means(OVER_KEPT, 2, 1, 4 / 3),
        ),
        ("upstream cross_entropy: weighted mean over N", "upstream cross_entropy: kept rows counted, weighted"),
        also=("2-mean-index", "5-reductions", "5-weight-scale"),
        because="their calls are weighted means, too",
    ),
    Clause(
        "2-mean_over_rows",
        "`mean_over_rows` (`sum l / N`, ignored rows counted)",
        (_means(OVER_ROWS, 4 / 3, 1, 2),),
        ("clause cross_entropy: declared mean over rows leaves out ignored rows",),
        also=("2-mean_over_kept", "2-named-means"),
        because="their problem is the same",
        control="control cross_entropy: mean over rows",
    ),
    Clause(
        "2-mean_over_kept",
        "or `mean_over_kept` (`sum l / #kept`).",
        (_means(OVER_KEPT, 2, 1, 4 / 3),),
        ("clause cross_entropy: declared mean over kept rows divides by all rows",),
        also=("2-mean_over_rows", "2-named-means"),
        because="their problem is the same",
        control="control cross_entropy: mean over kept rows",
    ),
    Clause(
        "2-one-row",
        "A `(K,)` input with a scalar or `(K,)` target is `N = 1`.",
        (
            example(loss(EVEN, 1, "mean"), {"value": LN2}),
            example(loss(EVEN, [0.0, 1.0], "mean"), {"value": LN2}),
            example(loss(EVEN, 1, "none"), {"value": LN2}),
        ),
        ("clause cross_entropy: a (K,) input counts as K rows",),
    ),
    Clause(
        "2-ignore-any",
        "`ignore_index` is any int64",
        (
            example(loss([EVEN, EVEN], [0, 1], ignore=1), {"value": [LN2, 0]}),
            example(loss([EVEN, EVEN], [0, 1], ignore=0), {"value": [0, LN2]}),
            example(loss([EVEN, EVEN], [0, 2], ignore=2), {"value": [LN2, 0]}),
        ),
        ("upstream cross_entropy: in-range ignore_index not honoured",),
        also=("5-permutation",),
        because="its relation ignores a class",
    ),
    Clause(
        "4.14-dense-ignore",
        "and applies to index targets only (with probability targets: no effect or a clean error).",
        (
            error("14-ignore-0", "bad_option", {"value": DENSE}, refuses=({"value": [0, DENSE[1]]},)),
            error("14-ignore-3", "bad_dtype", {"value": DENSE}, refuses=({"value": [DENSE[0], 0]},)),
        ),
        ("upstream cross_entropy: ignore_index applies to probability targets",),
        quotes=("14. `ignore_index` given with probability targets: a clean error or no effect.",),
    ),
    Clause(
        "2-ignore-absent",
        "Absent means that nothing is ignored: the adapter passes a value that no label takes.",
        (
            error("13-minus-hundred", "bad_label", {"value": [NAN, PLAIN[1]]}, refuses=({"value": [0, PLAIN[1]]},)),
            example(loss([EVEN, EVEN], [0, 1]), {"value": [LN2, LN2]}),
        ),
        ("upstream cross_entropy: -100 ignored without being asked",),
    ),
    Clause(
        "2-ignored-numerator",
        "Ignored rows contribute exactly 0 to numerator,",
        (example(loss([EVEN, EVEN], [0, -100], "sum", ignore=-100), {"value": LN2}),),
        ("clause cross_entropy: ignored rows of finite loss in the sum",),
    ),
    Clause(
        "2-ignored-denominator",
        "Ignored rows contribute exactly 0 to ... denominator",
        (example(loss([EVEN, EVEN], [0, -100], "mean", ignore=-100), {"value": LN2}),),
        ("upstream cross_entropy: ignored rows in the count for negative sentinels",),
    ),
    Clause(
        "2-ignored-output",
        "Ignored rows contribute exactly 0 to ... and per-row output,",
        (
            example(nll([[-1, -2], [-3, -4]], [1, -100], ignore=-100), {"value": [2, 0]}),
            example(nll([[-1, -2], [-3, -4]], [1, -100], ignore=-100, w=[2, 2]), {"value": [4, 0]}),
        ),
        ("upstream nll_loss: nll: ignored rows kept by none",),
    ),
    Clause(
        "2-ignored-gradient",
        "and their gradient is exactly 0 (but for clauses 10 and 11).",
        (
            example(nll([[-1, -2], [-3, -4]], [1, -100], "sum", ignore=-100, g=2.0), {"vjp": [[0, -2], [0, 0]]}),
            example(loss([EVEN, EVEN], [1, 2], ignore=2, g=[1, 2]), {"vjp": [[0.5, -0.5], [0, 0]]}),
        ),
        ("upstream nll_loss: nll: gradient of ignored rows",),
    ),
    Clause(
        "2-no-weight-gradient",
        "No gradient w.r.t. `weight` is specified.",
        (example(loss([EVEN], [0], w=[2, 2], g=[1]), {"value": [2 * LN2], "vjp": [[-1, 1]]}),),
        spared=True,
        shows=_no_weight_gradient,
    ),
)
