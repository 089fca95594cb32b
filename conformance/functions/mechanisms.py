"""The mechanisms behind wrong numbers: what a function computes instead, recognised by its answer.

Each is a problem, or a factor, of which the exact result is what was answered, closely, and far from what was asked.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from lossproof.adapters.outputs import REDUCED, TABLE
from lossproof.adapters.protocol import Problem
from lossproof.core.batch import flat
from lossproof.core.errors import UsageError
from lossproof.core.formats import F64, FLOAT32, FLOAT64, FORMATS
from lossproof.functions.rounded_sums import of_rounded_sums
from lossproof.functions.sum_mechanisms import of_chunks, plainly
from lossproof.functions.variant_mechanisms import Instead, instead_of_variant
from lossproof.truth.asked import narrowed_to
from lossproof.truth.truth import truth

# Results of larger problems are not computed in other ways, and nothing is looked for in results larger than that.
_LARGE, _LARGEST = 1 << 14, 1 << 19
# Label smoothing that losses have where they are made with it.
_BUILT_IN = (0.1, 0.05, 0.2, 0.01, 0.15, 0.3, 0.125)
# Into so many parts classes are shared out.
_PARTS = (2, 4, 8)
# An answer is recognised that is nearer to other numbers than so much of the way to the right ones.
_NEAR = 0.05
# An error in float64 of so many roundings to float32 at most is one of float32.
_OF_FLOAT32 = 8.0


def mechanism(p: Problem, output: str, answer: np.ndarray) -> str:
    """Return in one sentence how a wrong answer comes about; an empty text where nothing known explains it."""
    if p.x.size > _LARGEST or output not in p.want or answer.shape != p.shape_of(output):
        return ""
    with np.errstate(all="ignore"):
        right = _exact(p, output)
        if right is None:
            return ""
        got = flat(answer, p).reshape(right.shape)
        found = of_rounded_sums(p, output, got, right)
        if found or p.x.size > _LARGE:
            return found
        return _not_finite(p, output, got, right) or _recognised(p, output, got, right) or _digits(p, got, right)


def _exact(p: Problem, output: str) -> F64 | None:
    """The exact result of an output; None where the problem makes no sense."""
    try:
        mid: F64 = truth(narrowed_to([p], [output])).expected[output].exact.mid[0]
    except (UsageError, ValueError, KeyError, IndexError):
        return None
    return mid


def _not_finite(p: Problem, output: str, got: F64, right: F64) -> str:
    """Of NaN or an infinity where a number is right: what has left the range."""
    broken = np.isfinite(right) & ~np.isfinite(got)
    seen = FORMATS[p.dtype].round(p.x * p.scale) * p.logit_scale
    seen = p.softcap * np.tanh(seen / p.softcap) if p.softcap else seen
    finite = seen[np.isfinite(seen)]
    if not broken.any() or not finite.size:
        return ""
    masked = _masked_by_a_factor(p, output, got, broken)
    if masked or p.op == "nll_loss":
        return masked
    fmt = FORMATS[p.dtype]
    if p.is_loss and np.sum(finite.max() - finite) > fmt.max:
        # So far apart, that a sum of right results may overflow, too: of rows, or over classes with label smoothing.
        return _smoothing_overflows(p, got, right)
    if p.dtype == FLOAT64.name and np.max(np.abs(finite)) > FLOAT32.max:
        # Beyond the range of float32: an overflow of the logits themselves where they are cast to it.
        return ""
    tops = np.max(np.where(np.isfinite(seen), seen, -np.inf), axis=p.axis)
    if _is_lower(tops, broken, p):
        return (
            "exp of every logit of a row underflows to 0: what is subtracted is no maximum of its own but one of all "
            f"rows, whose maxima differ by {np.ptp(tops[np.isfinite(tops)]):.6g}"
        )
    for name, top in ((p.dtype, fmt.max), (FLOAT32.name, FLOAT32.max)):
        if (fmt.is_narrow or name == p.dtype) and finite.max() > math.log(top):
            words = f"exp of a logit of {finite.max():.6g} overflows in {name}"
            return f"{words}: the maximum of the row is not subtracted before exp"
    if finite.max() < math.log(fmt.min_subnormal):
        return (
            f"exp of every logit underflows to 0, the largest is {finite.max():.6g}: the maximum of the row is not "
            "subtracted before exp"
        )
    spread = finite.max() - finite.min()
    if p.op != "softmax" and spread > -math.log(fmt.min_subnormal):
        return f"a probability underflows to 0 (logits differ by {spread:.6g}) before its logarithm is taken"
    return ""


def _masked_by_a_factor(p: Problem, output: str, got: F64, broken: np.ndarray) -> str:
    """Of rows that are not to count, and are NaN: those whose own result is no number, which a factor of 0 keeps."""
    if not p.is_loss or p.has_probability_target or p.target is None or p.ignore_index is None:
        return ""
    ignored = (p.target == p.ignore_index).reshape(-1)
    if not ignored.any() or not np.isnan(got[broken]).all():
        return ""
    # Labels that ignored rows are given for the while.
    k = p.x.shape[p.axis]
    for label in dict.fromkeys((0, int(np.clip(p.ignore_index, 0, k - 1)), k - 1)):
        target = np.where(p.target == p.ignore_index, label, p.target)
        rows = replace(p, target=target, ignore_index=None, reduction="none", cotangent=np.ones(p.target.shape))
        own = _exact(rows, output)
        if own is None:
            return ""
        lost = ignored & ~np.isfinite(own.reshape(ignored.size, -1)).all(axis=1)
        rows_of_got = broken.reshape(ignored.size, -1).any(axis=1) if broken.size >= ignored.size > 1 else None
        if lost.any() and (rows_of_got is None or np.array_equal(rows_of_got, lost)):
            return (
                f"the {TABLE[output].words} of an ignored row, which is no finite number with a label in its place, is "
                "multiplied by 0, and that is NaN; ignored rows are to be left out with where, before the product"
            )
    return ""


def _smoothing_overflows(p: Problem, got: F64, right: F64) -> str:
    """Of a smoothed loss: the sum over classes that overflows before its factor makes it a number again."""
    eps, fmt, log_p = p.label_smoothing, FORMATS[p.dtype], _exact(replace(p, op="log_softmax", target=None), "value")
    if not eps or p.op != "cross_entropy" or log_p is None or p.weight is not None or not np.any(got == np.inf):
        return ""
    total = -log_p.sum(axis=1)
    total = total.max() if p.reduction == "none" else total.sum()
    if not (np.isfinite(log_p).all() and total > fmt.max > float(np.max(right))):
        return ""
    return (
        f"with label smoothing the sum of -log p over all classes overflows in {p.dtype} before it is multiplied by "
        "eps / K; each term is to be multiplied before it is added"
    )


def _is_lower(tops: F64, broken: np.ndarray, p: Problem) -> bool:
    """Tell whether all rows that are broken, and no others, are far below the largest logit of all."""
    if broken.shape[0] != tops.size or tops.size < 2:
        return False
    lower = tops.max() - tops.reshape(-1) > -math.log(FORMATS[p.dtype].min_subnormal)
    rows = broken.reshape(tops.size, -1).any(axis=1)
    return bool(lower.any() and np.array_equal(rows, lower))


def _recognised(p: Problem, output: str, got: F64, right: F64) -> str:
    usable = np.isfinite(got) & np.isfinite(right)
    if not usable.any():
        return ""
    away = _distance(got, right, usable)
    if away == 0:
        return ""
    if output == "value" and not p.is_loss and np.array_equal(got, flat(p.x, p), equal_nan=True):
        return "what is returned is the input itself"
    if np.all(got[usable] == 0):
        return f"the {TABLE[output].words} is 0 throughout: what is computed is cut off from the input"
    found: list[tuple[float, str]] = []
    for other in _instead(p, output):
        exact = _exact(other.problem, output)
        if exact is None or exact.shape != right.shape:
            continue
        more = [(_exact(problem, output), factor) for problem, factor in other.plus]
        if any(one is None or one.shape != right.shape for one, _ in more):
            continue
        exact = sum((one * factor for one, factor in more if one is not None), exact * other.factor)
        both = usable & np.isfinite(exact)
        if not both.any() or _distance(exact, right, both) < 0.5 * away:
            continue
        distance = _distance(got, exact, both)
        if distance <= other.near * away:
            found.append((distance, other.words))
    for plain in plainly(p, output):
        exact = flat(plain.result, p).reshape(right.shape)
        both = usable & np.isfinite(exact)
        if both.any() and _distance(exact, right, both) >= 0.5 * away:
            distance = _distance(got, exact, both)
            if distance <= _NEAR * away:
                found.append((distance, plain.words))
    # Of those that fit as well as each other the first one is the plainest.
    return min(found, key=lambda one: round(math.log2(one[0] / away + 1e-3)))[1] if found else ""


def _distance(a: F64, b: F64, where: np.ndarray) -> float:
    return float(np.max(np.abs(a - b)[where]))


def _instead(p: Problem, output: str) -> Iterator[Instead]:
    """Everything that functions have been seen to compute instead."""
    if p.cotangent is not None and output not in REDUCED and not np.all(p.cotangent == 1.0):
        ones = replace(p, cotangent=np.ones_like(p.cotangent))
        yield Instead("the upstream gradient (the cotangent) is not multiplied in", ones)
    yield from instead_of_variant(p, output) if p.variant_parts else ()
    yield Instead("its sign is wrong", p, -1.0)
    yield Instead("it is in units of another logarithm: a factor log(2) is missing", p, 1 / math.log(2))
    yield Instead("it is in units of another logarithm: a factor log(2) is too much", p, math.log(2))
    if p.op in ("softmax", "log_softmax"):
        other = "log_softmax" if p.op == "softmax" else "softmax"
        yield Instead(f"this is {other}, not {p.op}", replace(p, op=other))
    if p.is_loss:
        yield from _of_loss(p, output)
    k = p.x.shape[p.axis]
    if k > 1 and p.op != "nll_loss":
        yield from _of_parts(p)
        yield from of_chunks(p, output)
        last = np.moveaxis(p.x.copy(), p.axis, -1)
        last[..., -1] = -np.inf
        yield Instead("the last class takes no part in the sum", replace(p, x=np.moveaxis(last, -1, p.axis)))


def _of_parts(p: Problem) -> Iterator[Instead]:
    """Classes that are shared out to ranks, as many to each."""
    rows = np.moveaxis(p.x, p.axis, -1)
    for size in dict.fromkeys(-(-rows.shape[-1] // parts) for parts in _PARTS):
        split = [rows[..., i : i + size] for i in range(0, rows.shape[-1], size)]
        tops = [part.max(axis=-1, keepdims=True) for part in split]
        own = [part - np.where(np.isfinite(top), top, 0.0) for part, top in zip(split, tops, strict=True)]
        yield Instead(
            f"each part of {size} classes subtracts a maximum of its own: the maximum of the whole row is not "
            "all-reduced between the ranks that have them",
            replace(p, x=np.moveaxis(np.concatenate(own, axis=-1), -1, p.axis)),
        )


def _of_loss(p: Problem, output: str) -> Iterator[Instead]:
    what = TABLE[output].words
    if p.weight is not None:
        yield Instead("class weights are not applied", replace(p, weight=None))
    if p.reduction == "mean":
        by = "the number of rows" if p.has_probability_target or p.weight is None else "the sum of the labels' weights"
        yield Instead(
            f"the {what} lacks the mean's denominator ({by}): it is that of the sum", replace(p, reduction="sum")
        )
    elif p.reduction == "sum":
        yield Instead(f"the {what} is divided as that of a mean", replace(p, reduction="mean"))
    if p.has_probability_target or p.target is None:
        if p.label_smoothing:
            yield Instead("label smoothing is not applied", replace(p, label_smoothing=0.0))
        return
    yield from _of_labels(p, what)
    if p.op == "cross_entropy" and not p.label_smoothing:
        for eps in _BUILT_IN:
            words = (
                f"label smoothing of {eps:g} is built in; a function can be judged that takes it as an argument: "
                "lambda x, y, label_smoothing=0.0: Loss(label_smoothing=label_smoothing)(x, y)"
            )
            yield Instead(words, replace(p, label_smoothing=eps))
    if p.label_smoothing:
        yield Instead("label smoothing is not applied", replace(p, label_smoothing=0.0))
        yield from _smoothed(p)


def _of_labels(p: Problem, what: str) -> Iterator[Instead]:
    # sanity check: there are labels
    assert p.target is not None
    labels, k = p.target, p.x.shape[p.axis]
    ignored = labels == p.ignore_index if p.ignore_index is not None else np.zeros(labels.shape, dtype=bool)
    if p.reduction == "mean":
        if ignored.any():
            yield Instead(
                "the mean divides by all rows, the ignored ones counted, not by those that are kept "
                "(mean='mean_over_rows' declares that this is meant)",
                replace(p, reduction="mean_over_rows"),
            )
        if p.weight is not None:
            for mean, rows in (("mean_over_kept", "kept rows"), ("mean_over_rows", "all rows")):
                yield Instead(
                    f"the mean divides by the number of {rows}, not by the sum of the labels' weights "
                    f"(mean='{mean}' declares that this is meant)",
                    replace(p, reduction=mean),
                )
    if ignored.any():
        inside = (labels >= 0) & (labels < k)
        if np.all(inside):
            yield Instead("ignored rows take part", replace(p, ignore_index=None))
        others = np.where(ignored, 0, labels)
        yield Instead("ignored rows take part, with label 0", replace(p, target=others, ignore_index=None))
    at_last = np.where((labels == k - 1) & ~ignored, k - 2, labels)
    if k > 1:
        yield Instead(
            f"the label of the last class is off by one: {k - 1} is taken for {k - 2}", replace(p, target=at_last)
        )
        for step in (1, -1):
            moved = np.where(ignored, labels, np.clip(labels + step, 0, k - 1))
            yield Instead(f"labels are off by one ({step:+d})", replace(p, target=moved))


def _smoothed(p: Problem) -> Iterator[Instead]:
    """Smoothing that shares eps among the other K - 1 classes."""
    # sanity check: there are labels
    assert p.target is not None
    k, eps = p.x.shape[p.axis], p.label_smoothing
    if k < 2 or p.op != "cross_entropy":
        return
    kept = p.target != p.ignore_index if p.ignore_index is not None else np.ones(p.target.shape, dtype=bool)
    labels = np.where(kept, p.target, 0)
    onehot = np.arange(k) == labels[..., None]
    weight = np.ones(k) if p.weight is None else p.weight
    total = float(np.sum(np.where(kept, weight[labels], 0.0)))
    factor = 1.0 / total if p.reduction == "mean" and total else 1.0
    reduction = "sum" if p.reduction == "mean" else p.reduction
    words = "label smoothing divides eps by K - 1, not by K: the other classes share it"
    for own in (1.0 - eps, 1.0 - eps + eps / (k - 1)):
        q = np.where(onehot, own, eps / (k - 1)) * kept[..., None]
        target = np.moveaxis(q, -1, p.axis)
        dense = replace(p, target=target, label_smoothing=0.0, ignore_index=None, reduction=reduction)
        yield Instead(words, dense, factor)


def _digits(p: Problem, got: F64, right: F64) -> str:
    """Of an answer that has the right first digits: where the others may have gone."""
    finite = np.abs(p.x[np.isfinite(p.x)])
    usable = np.isfinite(got) & np.isfinite(right)
    # Where NaN or an infinity stands for a number, no digits are what is wrong.
    if not finite.size or not usable.any() or (np.isfinite(right) & ~np.isfinite(got)).any():
        return ""
    error, top, fmt = _distance(got, right, usable), float(finite.max()), FORMATS[p.dtype]
    axis = p.axis % p.x.ndim
    low, high = (np.where(np.isfinite(p.x), p.x, edge) for edge in (np.inf, -np.inf))
    spread = float(np.max(high.max(axis=axis) - low.min(axis=axis)))
    largest = max(1.0, float(np.max(np.abs(right[usable]))))
    if p.dtype == FLOAT64.name and fmt.u * 2**12 < error / largest <= _OF_FLOAT32 * FLOAT32.u:
        return (
            "it has the digits of float32, not of float64: something is cast to float32 or allocated in it (dtypes= "
            "says for which dtypes it is meant, --dtype on the command line)"
        )
    # A softmax has no logarithm.
    if p.op == "softmax":
        return ""
    # The finest format that explains it comes first.
    for name in dict.fromkeys((fmt.sums.name, p.dtype)):
        if top > 8 * max(spread, 1.0) and error <= 4 * FORMATS[name].u * top:
            return (
                f"the error is that of rounding a number of {top:.6g}, the largest logit, in {name}: log-sum-exp with "
                "the maximum added back is so large that its difference to a logit has lost these digits; the maximum "
                "is better subtracted from the logits once, and never added again"
            )
    return ""
