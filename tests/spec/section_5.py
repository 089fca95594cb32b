"""Specification, section 5: relations.

Six classes and four rows: mutants of relations are wrong for 5 to 64 classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .clause import Clause, log_softmax, loss, nll, related, softmax

X = np.array([[1, 0, -1, 2, 0.5, -0.5], [0, 1, 2, -2, 1.5, 0], [-1, -1, 0, 0, 1, 1], [2, -2, 1, 0, 0, 0.25]])
APART = X + np.array([[0.0], [400], [400], [400]])
Y, W = [3, 0, 5, 2], [0.5, 1, 2, 1, 4, 0.25]
Q = np.eye(6)[Y] / 2 + np.eye(6)[::-1][Y] / 2
V = np.array([[1, 0, 2, -1, 0.5, 1], [0, 1, 1, 1, -2, 0], [1, 1, 1, 1, 1, 1], [2, 0, 0, -1, 0, 0.5]])
CUBE = np.stack([X[:3], X[1:]])
SAME_ROWS = np.repeat(X[:1], 4, axis=0)
ONCE: dict[str, Any] = {"dtypes": ("float32", "float16")}


def _layout(name: str, quote: str, layout: str, x: np.ndarray[Any, Any] = X) -> Clause:
    return Clause(
        f"5-layout-{name}",
        quote,
        (related("layout", softmax(x), layout, **ONCE),),
        (f"clause softmax: {LAYOUT_MUTANTS[name]}",),
    )


LAYOUT_MUTANTS = {
    "transposed": "transposed inputs read in storage order",
    "sliced": "wrong for inputs with gaps",
    "strided": "wrong for negative strides",
    "expanded": "wrong for strides of 0",
    "misaligned": "wrong for misaligned inputs",
}
INDEPENDENT = "the result is independent of memory layout "

CLAUSES = (
    Clause(
        "5-sum-to-one",
        "`sum p = 1`;",
        (related("sum-to-one", softmax(X), **ONCE),),
        ("clause softmax: probabilities a sixteenth too large",),
    ),
    Clause(
        "5-gradient-sum",
        "`sum_i` of each gradient row w.r.t. logits `= 0`;",
        (related("gradient-sum", loss(X, Y, g=[1, 2, -1, 3]), **ONCE),),
        ("clause cross_entropy: gradient with p a sixteenth too large",),
    ),
    Clause(
        "5-p-positive",
        "`p >= 0`,",
        (related("sign", softmax(X), **ONCE),),
        ("clause softmax: the smallest probability is negative",),
    ),
    Clause(
        "5-log-p-negative",
        "`log p <= 0`,",
        (related("sign", log_softmax(X), **ONCE),),
        ("clause log_softmax: the largest log-probability is raised by 2",),
    ),
    Clause(
        "5-loss-positive",
        "cross_entropy `>= 0` for non-negative weights and targets;",
        (related("sign", loss(X, Y, w=W), **ONCE), related("sign", loss(X, Q, "mean"), **ONCE)),
        ("clause cross_entropy: negated loss",),
    ),
    Clause(
        "5-permutation",
        "permuting classes together with weights, labels and an in-range `ignore_index` permutes results;",
        (related("permutation", loss(X, Y, w=W, ignore=5, g=[1, 2, -1, 3]), **ONCE),),
        ("clause cross_entropy: the first class has a bias",),
    ),
    Clause(
        "5-shift",
        "adding c where every `x_j + c` is exact changes nothing;",
        (related("shift", softmax(X, V), **ONCE),),
        ("clause softmax: temperature by the largest logit",),
    ),
    Clause(
        "5-append-class",
        "appending a class at `-inf` changes nothing (`eps = 0`, index targets, finite new weight, not the "
        "`ignore_index`);",
        (related("append-class", log_softmax(X), **ONCE), related("append-class", loss(X, Y, "sum", w=W), **ONCE)),
        ("clause log_softmax: a penalty for the class count",),
    ),
    Clause(
        "5-one-hot",
        "index targets equal one-hot targets (none and sum; mean only unweighted and with no ignored row);",
        (
            related("one-hot", loss(X, Y, w=W), **ONCE),
            related("one-hot", loss(X, Y, "sum", w=W), **ONCE),
            related("one-hot", loss(X, Y, "mean"), **ONCE),
        ),
        ("clause cross_entropy: probability targets are half as expensive again",),
    ),
    Clause(
        "5-reductions",
        "`mean * denominator = sum = sum(none)` where the denominator is finite and not 0;",
        (related("reductions", loss(X, Y, w=W, g=[1, 1, 1, 1]), **ONCE),),
        (
            "clause cross_entropy: means are half as large again",
            "clause cross_entropy: sums and means are half as large again",
        ),
    ),
    Clause(
        "5-concatenation",
        "concatenating batches concatenates `none` results;",
        (related("concatenation", log_softmax(X), **ONCE),),
        ("clause log_softmax: rows from the third on are 1/4 smaller",),
    ),
    Clause(
        "5-no-smoothing",
        "`eps = 0` equals plain cross-entropy;",
        (
            related("no-smoothing", loss(X, Y), **ONCE),
            related("no-smoothing", loss(X, Q), "q", **ONCE),
        ),
        ("clause cross_entropy: smoothing is at least 2^-4",),
    ),
    Clause(
        "5-composition",
        "`cross_entropy = nll_loss o log_softmax` (index targets, `eps = 0`);",
        (related("composition", loss([[2.0**14, 2.0**14]] * 2, [0, 0], w=[1, 3]), **ONCE),),
        ("clause cross_entropy: x - lse for logits beyond 1000",),
    ),
    Clause(
        "5-weight-scale",
        "scaling all weights by a power of two, without under- or overflow, leaves `mean` unchanged for index targets",
        (related("weight-scale", loss([[0, 0]], [0], "mean", w=[0.5, 1]), **ONCE),),
        ("clause cross_entropy: a sum of weights is at least 1",),
    ),
    Clause(
        "5-weight-scale-dense",
        "and scales it for probability targets;",
        (related("weight-scale", loss([[0, 0]], [[0.5, 0.5]], "mean", w=[0.5, 1]), **ONCE),),
        ("upstream cross_entropy: dense mean over weights",),
    ),
    Clause(
        "5-flatten",
        "N-d inputs equal the flattened problem for every class axis;",
        tuple(
            related("flatten", loss(CUBE, np.array([Y[:3], Y[1:]]), "sum"), f"ax{axis}", **ONCE) for axis in range(3)
        ),
        ("clause cross_entropy: losses of more than two axes are half as large again",),
    ),
    _layout("transposed", INDEPENDENT + "(transposed,", "transposed"),
    _layout("sliced", INDEPENDENT + "... sliced,", "stepped"),
    _layout("strided", INDEPENDENT + "... strided,", "reversed"),
    _layout("expanded", INDEPENDENT + "... expanded,", "expanded", SAME_ROWS),
    _layout("misaligned", INDEPENDENT + "... misaligned),", "offset"),
    Clause(
        "5-other-rows",
        "of the other rows in the batch,",
        (related("other-rows", softmax(APART), **ONCE), related("row-alone", softmax(APART), **ONCE)),
        ("upstream softmax: shift by the maximum of the whole batch",),
    ),
    Clause(
        "5-repetition",
        "and of repetition.",
        (related("repetition", nll(-np.abs(X), Y, w=W), **ONCE),),
        ("clause nll_loss: nll: every other call is wrong",),
    ),
    Clause(
        "5-purity",
        "Inputs are never modified (**must**, bitwise).",
        (related("purity", log_softmax(X[0]), **ONCE),),
        ("clause log_softmax: a (K,) input is modified",),
    ),
    Clause(
        "5-batch-grade",
        "Bitwise differences from batch composition (*batch invariance*)",
        (related("row-alone", softmax(X), dtypes=("float32",)),),
        ("clause softmax: last bits depend on the batch",),
        spared=True,
        records={"batch": "varies"},
    ),
    Clause(
        "5-determinism-grade",
        "and repetition (*determinism*) are recorded as grades.",
        (related("repetition", loss(X * 0.37, Y, "sum"), dtypes=("float32",)),),
        ("upstream cross_entropy: rows summed in random order",),
        spared=True,
    ),
)
