"""Error cases are invalid or empty problems with the answers that clauses 10 and 12 to 15 of section 4 accept.

To add one, yield a :class:`ErrorCase` from the generator of its clause. Everything that a case does not accept fails: a
silent finite value for an unknown label, say, or an exception where a result is specified.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

import numpy as np

from lossproof.adapters.protocol import DTYPES, LOSSES, OPS, Problem
from lossproof.cases.deck_part import WHOLE_DECK, DeckPart
from lossproof.cases.error_case import ErrorCase
from lossproof.cases.signatures import WHOLE_IN
from lossproof.cases.sizes.empty_cases import empty_cases
from lossproof.core.formats import FORMATS
from lossproof.judging.check import Check
from lossproof.judging.error_judge import Reading

K = 4
LOGITS = np.array([[0.5, -1.0, 2.0, 0.25], [1.5, 0.0, -0.75, 1.0]])
LOG_PROBS = -np.array([[1.0, 2.0, 0.5, 3.0], [0.25, 4.0, 1.0, 2.0]])
TARGETS = np.array([[0.5, 0.25, 0.25, 0.0], [0.0, 0.125, 0.0, 0.875]])
VALID_WEIGHTS = np.array([0.5, 2.0, 1.0, 4.0])
# -100 and 255 are what frameworks ignore by default: nothing is ignored that was not asked for.
UNKNOWN = {"minus-one": -1, "k": K, "minus-five": -K - 1, "far": -(2**62), "minus-hundred": -100, "void": 255}
# Label 1 if the upper bits are lost.
WRAPPED = {"8-bit": 2**8 + 1, "16-bit": 2**16 + 1, "32-bit": 2**32 + 1}
# Sentinels that the label above rounds to in a format of so many bits.
ROUNDED = {"11-bit": 2**11, "24-bit": 2**24, "53-bit": 2**53}


def loss(op: str, dtype: str, **given: object) -> Problem:
    """Make the valid problem that the cases of losses start from: labels 1 and 2, a gradient for each row."""
    values: dict[str, object] = {"target": np.array([1, 2]), "cotangent": np.ones(2), "reduction": "none", **given}
    if values["reduction"] != "none":
        values["cotangent"] = np.ones(())
    return Problem(op, dtype, LOG_PROBS if op == "nll_loss" else LOGITS, **values)  # type: ignore[arg-type]


def _labels(op: str, dtype: str) -> Iterator[ErrorCase]:
    """Clauses 12 and 13: other integer types, labels out of range, truncation."""
    if op not in LOSSES:
        return
    valid = loss(op, dtype)
    for kind in (np.int32, np.int16, np.int8, np.uint8):
        name = kind.__name__
        p = replace(valid, target=np.array([1, 2], dtype=kind))
        same = (Reading("accepted", ((1.0, valid),)),)
        yield ErrorCase(name, "12", f"labels of type {name}: the same result or an error", p, same)
    for name, label in WRAPPED.items():
        p = replace(valid, ignore_index=label)
        text = f"ignore_index {label} is no label here: nothing is ignored"
        yield ErrorCase(f"ignore-{name}", "12", text, p, (Reading("", ((1.0, valid),)),), errors=False)
        p = replace(p, target=np.array([label, 2]))
        text = f"label and ignore_index {label}: the row is ignored"
        yield ErrorCase(f"ignored-{name}", "12", text, p, (Reading("", ((1.0, p),)),), errors=False)
    for name, label in {**UNKNOWN, **WRAPPED}.items():
        yield ErrorCase(name, "13", *_unknown(valid, label))
    for name, ignore in ROUNDED.items():
        yield ErrorCase(f"beside-{name}", "13", *_unknown(replace(valid, ignore_index=ignore), ignore + 1))
    for name, label in (("k", K), ("minus-one", -1)):
        yield ErrorCase(f"{name}-beside", "13", *_unknown(replace(valid, ignore_index=-2), label))
    for kind in (np.int32, np.int16):
        text = f"labels of type {kind.__name__} with ignored rows: the same result or an error"
        wide = loss(op, dtype, target=np.array([-100, 2]), ignore_index=-100, reduction="mean")
        p = replace(wide, target=np.array([-100, 2], dtype=kind))
        yield ErrorCase(f"{kind.__name__}-ignored", "12", text, p, (Reading("accepted", ((1.0, wide),)),))
    for kind in (np.int32, np.uint8):
        text = f"labels of type {kind.__name__} with every option: the same result or an error"
        options: dict[str, object] = {"weight": VALID_WEIGHTS, "ignore_index": 1, "reduction": "mean"}
        wide = loss(op, dtype, **options, **({"label_smoothing": 0.125} if op == "cross_entropy" else {}))
        p = replace(wide, target=np.array([1, 2], dtype=kind))
        yield ErrorCase(f"{kind.__name__}-options", "12", text, p, (Reading("accepted", ((1.0, wide),)),))
    for name, label in (("k", K), ("8-bit", 2**8 + 1), ("minus-one", -1), ("minus-five", -K - 1)):
        yield ErrorCase(f"{name}-weighted", "13", *_unknown(loss(op, dtype, weight=VALID_WEIGHTS), label))
        yield ErrorCase(f"{name}-mean", "13", *_unknown(loss(op, dtype, reduction="mean"), label))
    # Images have kernels of their own. Without a cotangent nothing but the value can refuse the label.
    image = replace(
        loss(op, dtype, reduction="mean"),
        x=(LOG_PROBS if op == "nll_loss" else LOGITS).T.reshape(1, K, 1, 2),
        target=np.array([[[1, 2]]]),
        axis=1,
    )
    for name, label in (("k", K), ("minus-one", -1), ("32-bit", 2**32 + 1)):
        yield ErrorCase(f"{name}-image", "13", *_unknown(image, label))
        yield ErrorCase(f"{name}-image-value", "13", *_unknown(replace(image, cotangent=None), label))
    # Rows that are not added up have another one, which asks nothing of labels in a release.
    if dtype == WHOLE_IN:
        rows = replace(image, reduction="none", cotangent=np.ones((1, 1, 2)))
        for name, label in (("k", K), ("minus-one", -1)):
            yield ErrorCase(f"{name}-image-none", "13", *_unknown(rows, label))
    if op == "cross_entropy":
        yield ErrorCase("k-smoothed", "13", *_unknown(loss(op, dtype, label_smoothing=0.125), K))


def _first_label(valid: Problem, label: int) -> np.ndarray:
    # sanity check: losses have labels
    assert valid.target is not None
    return np.array([label, 2]).reshape(valid.target.shape)


def _unknown(valid: Problem, label: int) -> tuple[str, Problem, tuple[Reading, ...]]:
    """The first row's label replaced by an unknown one: an error, NaN, or a declared convention."""
    p = replace(valid, target=_first_label(valid, label))
    terms = ((1.0, valid),)
    value, slope = ("value",), ("vjp",)
    found = [
        Reading("nan", terms, rows=(0,), outputs=value),
        Reading("nan", terms, rows=(0,), outputs=slope),
        Reading("zero", terms, rows=(0,), fill=0.0, outputs=slope),
    ]
    if p.op == "cross_entropy" and p.weight is None:
        found.append(Reading("g Q p", terms, rows=(0,), slope=True, outputs=slope))
    if p.reduction == "mean":
        found.append(Reading("nan", outputs=slope))
    if -K <= label < 0:
        wrapped = replace(p, target=_first_label(valid, label + K))
        found.append(Reading("wrap", ((1.0, wrapped),), needs="wraps_negative_labels"))
    if not p.label_smoothing:
        ignored = replace(p, ignore_index=label)
        found.append(Reading("zero row", ((1.0, ignored),), needs="zeroes_unknown_labels"))
        if p.reduction == "mean":
            found.append(Reading("zero row", ((0.5, ignored),), needs="zeroes_unknown_labels"))
    return f"label {label} of {K} classes", p, tuple(found)


def _options(op: str, dtype: str) -> Iterator[ErrorCase]:
    """Clauses 14 and 15: options out of their range or without a meaning."""
    if op != "cross_entropy":
        return
    dense = loss(op, dtype, target=TARGETS)
    # The likeliest classes of the two rows are among them.
    for ignore in (0, 1, 3, -100, 255):
        text = f"ignore_index {ignore} with probability targets: no effect or an error"
        p = replace(dense, ignore_index=ignore)
        yield ErrorCase(f"ignore-{ignore}", "14", text, p, (Reading("no effect", ((1.0, dense),)),))
    plain, uniform = loss(op, dtype), loss(op, dtype, label_smoothing=1.0)
    ignored = Reading("ignored", ((1.0, plain),))
    for name, eps, other in (("negative", -0.125, ignored), ("large", 1.5, Reading("clamped", ((1.0, uniform),)))):
        formula = Reading("formula", ((1.0 - eps, plain), (eps, uniform)))
        text = f"label_smoothing {eps}: an error, the formula, the nearest sense, or NaN"
        p = replace(plain, label_smoothing=eps)
        yield ErrorCase(f"eps-{name}", "15", text, p, (formula, other, Reading("nan")))
    p = replace(plain, label_smoothing=np.nan)
    text = "label_smoothing NaN: an error, NaN, or no smoothing"
    yield ErrorCase("eps-nan", "15", text, p, (Reading("nan"), ignored))
    mean = loss(op, dtype, reduction="mean")
    p = replace(mean, label_smoothing=np.nan)
    yield ErrorCase("eps-nan-mean", "15", text, p, (Reading("nan"), Reading("ignored", ((1.0, mean),))))
    for name, value in (("nan", np.nan), ("inf", np.inf)):
        q = TARGETS.copy()
        q[0, 1] = value
        p = replace(dense, target=q, cotangent=None)
        yield ErrorCase(
            f"target-{name}", "15", f"a probability of {value}", p, _spoilt(replace(dense, cotangent=None), value)
        )


def _numbers(op: str, dtype: str) -> Iterator[ErrorCase]:
    """Clause 15: non-finite weights and cotangents, shapes that do not fit, unknown reductions."""
    if op not in LOSSES:
        yield from _cotangents(op, dtype)
        return
    yield from _cotangents(op, dtype)
    weighted = loss(op, dtype, weight=VALID_WEIGHTS, cotangent=None)
    for name, value in (("nan", np.nan), ("inf", np.inf)):
        w = VALID_WEIGHTS.copy()
        w[1] = value
        text = f"the weight of the label is {value}"
        yield ErrorCase(f"weight-{name}", "15", text, replace(weighted, weight=w), _spoilt(weighted, value))
        w = VALID_WEIGHTS.copy()
        w[0] = value
        readings = (Reading("unused", ((1.0, weighted),)), Reading("nan"))
        text = f"the weight of a class that is not a label is {value}"
        yield ErrorCase(f"unused-weight-{name}", "15", text, replace(weighted, weight=w), readings)
    valid = loss(op, dtype, cotangent=None)
    wrong = {
        "labels-long": replace(valid, target=np.array([1, 2, 3])),
        "labels-short": replace(valid, target=np.array([], dtype=np.int64)),
        "weight-long": replace(valid, weight=np.ones(K + 1)),
        "weight-short": replace(valid, weight=np.ones(K - 1)),
        "reduction": replace(valid, reduction="total"),
        "reduction-weighted": replace(valid, reduction="total", weight=VALID_WEIGHTS),
    }
    if op == "cross_entropy":
        wrong["target-narrow"] = replace(valid, target=TARGETS[:, :3].copy())
        wrong["target-long"] = replace(valid, target=np.concatenate([TARGETS, TARGETS[:1]]))
    for name, p in wrong.items():
        if p.reduction == "total":
            yield ErrorCase(name, "15", "unknown reduction 'total'", p, ())
        else:
            yield ErrorCase(name, "15", f"{name.replace('-', ' too ')} for {p.x.shape}", p, (Reading("nan"),))


def _cotangents(op: str, dtype: str) -> Iterator[ErrorCase]:
    """A cotangent that is not finite in the first row: the value and the gradient's other rows are untouched."""
    is_loss = op in LOSSES
    good = loss(op, dtype) if is_loss else Problem(op, dtype, LOGITS, cotangent=LOGITS)
    for name, value in (("nan", np.nan), ("inf", np.inf)):
        v = np.array(good.cotangent)
        v[(0,) if is_loss else (0, 1)] = value
        value_as_it_is = Reading("", ((1.0, good),), outputs=("value",))
        # NaN or infinity, and 0 where nothing is multiplied: which is the arithmetic's business, not a convention.
        readings = (Reading("not finite", ((1.0, good),), rows=(0,), unbounded=True, outputs=("vjp",)),)
        text = f"{value} in the cotangent: its row of the gradient is not finite"
        yield ErrorCase(f"cotangent-{name}", "15", text, replace(good, cotangent=v), (value_as_it_is, *readings))


def _spoilt(valid: Problem, value: float) -> tuple[Reading, ...]:
    """The first row is not finite, the others are untouched."""
    terms = ((1.0, valid),)
    found = [Reading("nan", terms, rows=(0,)), Reading("nan")]
    if np.isinf(value):
        found.append(Reading("inf", terms, rows=(0,), fill=np.inf))
        # Who multiplies all weights with a row of one-hot targets has inf * 0 in the other rows.
        found.append(Reading("inf, others nan", terms, rows=(0,), fill=np.inf, loose=True))
    return tuple(found)


CASES: tuple[Callable[[str, str], Iterator[ErrorCase]], ...] = (empty_cases, _labels, _options, _numbers)


def cases(op: str, dtype: str) -> Iterator[ErrorCase]:
    """Yield the error cases of an op and dtype, clause by clause."""
    for make in CASES:
        yield from make(op, dtype)


def error_checks(part: DeckPart = WHOLE_DECK, pairs: Collection[tuple[str, str]] | None = None) -> list[Check]:
    """Make the error calls of a part of the deck's ops and dtypes, in order; of some ``pairs`` of them, or of all."""
    # sanity check: the inputs are values of every format
    assert all(
        FORMATS[d].holds(np.asarray(a)) for d in part.dtypes for a in (LOGITS, LOG_PROBS, TARGETS, VALID_WEIGHTS)
    )
    dtypes, ops = (d for d in DTYPES if d in part.dtypes), [op for op in OPS if op in part.ops]
    wanted = ((op, dtype) for dtype in dtypes for op in ops if pairs is None or (op, dtype) in pairs)
    return [case.check() for op, dtype in wanted for case in cases(op, dtype)]
