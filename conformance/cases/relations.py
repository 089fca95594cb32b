"""The relations hold whatever the values (specification, section 5): which calls are made, what must be equal.

To add one, write a plan (from a finite problem of the deck to the problems of the relation and their two sides) under
the decorator, which takes the sentence that a failure prints; it is found here by its type. Tolerances are sums of the
bounds of the calls involved.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from lossproof.adapters.protocol import LAYOUTS, LOSSES, OPS, Outcome, Problem
from lossproof.cases import transforms as tr
from lossproof.cases.picker import Picker
from lossproof.cases.relation import Relation, RelationInstance, relation
from lossproof.core.call import Call
from lossproof.core.case_id import RELATION
from lossproof.core.observation import Observation
from lossproof.core.registry import collected
from lossproof.judging.check import Hearing, first_unusable
from lossproof.judging.relation_judge import (
    Answer,
    Comparison,
    against,
    answer,
    concatenated,
    decide,
    equal_answers,
    graded,
)

SOFTMAX, TINY_EPS = OPS[:2], 2.0**-1000
# Logits that are no further apart leave every class a part.
_PLAIN = 8


def _same(output: str, answers: Sequence[Answer]) -> Comparison:
    return equal_answers(answers[1], answers[0])


@relation("sum-to-one", "the probabilities of a row sum to 1", ops=("softmax",), with_parts=True)
def _sum_to_one(p: Problem, pick: Picker, variant: str) -> RelationInstance:
    return RelationInstance((replace(p, cotangent=None),), lambda output, a: against(a[0].total(), 1.0), ("value",))


@relation("gradient-sum", "the gradient of a row with respect to its logits sums to 0", ops=(*SOFTMAX, "cross_entropy"))
def _gradient_sum(p: Problem, pick: Picker, variant: str) -> RelationInstance | None:
    if p.cotangent is None or (p.has_probability_target and np.any(tr.flatten(p).target.sum(-1) != 1.0)):  # type: ignore[union-attr]
        return None
    return RelationInstance((p,), lambda output, a: against(a[0].total(), 0.0), ("vjp",))


@relation("sign", "p >= 0, log p <= 0, and the loss >= 0 for non-negative weights and targets", ops=(*SOFTMAX, OPS[3]))
def _sign(p: Problem, pick: Picker, variant: str) -> RelationInstance | None:
    parts = [a for a in (p.weight, p.target if p.has_probability_target else None) if a is not None]
    if any((a < 0).any() for a in parts):
        return None
    clip = np.minimum if p.op == "log_softmax" else np.maximum
    return RelationInstance(
        (replace(p, cotangent=None),), lambda output, a: against(a[0], clip(a[0].got, 0.0)), ("value",)
    )


@relation("permutation", "permuting classes with their weights and labels permutes the results", with_parts=True)
def _permutation(p: Problem, pick: Picker, variant: str) -> RelationInstance | None:
    f = tr.flatten(p)
    if f.x.shape[1] < 2:
        return None
    order = tr.permutation(pick, f.x.shape[1])

    def compare(output: str, a: Sequence[Answer]) -> Comparison:
        by_class = output == "vjp" or not p.is_loss
        return equal_answers(a[1], a[0].at((slice(None), order)) if by_class else a[0])

    return RelationInstance((p, tr.unflatten(tr.permuted(f, order), p)), compare)


@relation("shift", "adding a number to all logits changes nothing where no sum is rounded", ops=(*SOFTMAX, OPS[3]))
def _shift(p: Problem, pick: Picker, variant: str) -> RelationInstance:
    x, step = tr.on_grid(p.x, p.dtype)
    return RelationInstance((replace(p, x=x), replace(p, x=x + pick.choice((step, -step)))), _same)


@relation("append-class", "one more class at -inf changes nothing", reshapes=True)
def _append_class(p: Problem, pick: Picker, variant: str) -> RelationInstance | None:
    k = p.x.shape[p.axis]
    if p.has_probability_target or p.label_smoothing or p.ignore_index == k:
        return None
    f = tr.flatten(p)

    def compare(output: str, a: Sequence[Answer]) -> Comparison:
        by_class = output == "vjp" or not p.is_loss
        return equal_answers(a[1].at((slice(None), slice(k))) if by_class else a[1], a[0])

    return RelationInstance((f, tr.with_masked_class(f, pick.choice((0.5, 2.0)))), compare)


@relation("one-hot", "class indices equal one-hot probabilities", ops=("cross_entropy",), with_parts=True)
def _one_hot(p: Problem, pick: Picker, variant: str) -> RelationInstance | None:
    if p.has_probability_target or p.ignore_index is not None or (p.reduction == "mean" and p.weight is not None):
        return None
    return RelationInstance((p, tr.unflatten(tr.one_hot(tr.flatten(p)), p)), _same)


@relation("reductions", "the mean times its denominator is the sum, and the sum is that of the rows", ops=LOSSES)
def _reductions(p: Problem, pick: Picker, variant: str) -> RelationInstance | None:
    weights = float(tr.denominator(p).sum())
    if not np.isfinite(weights) or weights == 0:
        return None
    one = np.ones(())
    none = tr.per_row(replace(p, reduction="sum"))
    three = (replace(p, reduction="sum", cotangent=one), none, replace(p, reduction="mean", cotangent=one))
    if none.cotangent is None:
        three = tuple(replace(q, cotangent=None) for q in three)  # type: ignore[assignment]

    def compare(output: str, a: Sequence[Answer]) -> Comparison:
        both = (a[0], a[0]) if output == "value" else (a[0].at(None), a[0].at(None))
        rows = a[1].total().at(None) if output == "value" else a[1].at(None)
        parts = a[2].counted
        total = float(parts.sum())
        # The denominator is a sum of a few weights in float64; one more product rounds once.
        slack = 2.0**-53 * (len(parts) * float(np.abs(parts).sum()) / abs(total))
        mean = a[2].scaled(total)
        mean = replace(mean, allowed=mean.allowed + np.abs(mean.got) * slack)
        return equal_answers(concatenated((rows, mean if output == "value" else mean.at(None))), concatenated(both))

    return RelationInstance(three, compare)


@relation(
    "concatenation",
    "the rows of two batches in one batch have the results that they have apart",
    reshapes=True,
    with_parts=True,
)
def _concatenation(p: Problem, pick: Picker, variant: str) -> RelationInstance | None:
    f = tr.per_row(tr.flatten(p))
    n = f.x.shape[0]
    if n < 2:
        return None
    parts = (tr.rows_of(f, slice(None, n // 2)), tr.rows_of(f, slice(n // 2, None)))
    return RelationInstance((f, *parts), lambda output, a: equal_answers(concatenated(a[1:]), a[0]))


@relation("no-smoothing", "smoothing by 2^-1000 is no smoothing", ops=("cross_entropy",), variants=("", "q"))
def _no_smoothing(p: Problem, pick: Picker, variant: str) -> RelationInstance | None:
    if p.has_probability_target != (variant == "q"):
        return None

    def compare(output: str, a: Sequence[Answer]) -> Comparison:
        # The exact results differ by what the oracle says, which is far below any rounding.
        apart = np.abs(a[0].centre - a[1].centre) + a[0].radius + a[1].radius
        sides = equal_answers(a[1], a[0])
        return replace(sides, allowed=sides.allowed + apart)

    return RelationInstance((replace(p, label_smoothing=0.0), replace(p, label_smoothing=TINY_EPS)), compare)


@relation("composition", "cross-entropy is the NLL of log-softmax", ops=("cross_entropy",))
def _composition(p: Problem, pick: Picker, variant: str) -> RelationInstance | None:
    if p.has_probability_target or p.label_smoothing:
        return None
    p = replace(p, cotangent=None)
    weights = tr.denominator(p)
    if p.reduction == "mean" and weights.sum() == 0:
        return None
    # sanity check: index targets
    assert p.target is not None
    y = p.target.reshape(-1)
    at = (np.arange(y.size), np.where(weights == 0, 0, y))
    log = Problem("log_softmax", p.dtype, p.x, axis=p.axis)

    def follow(outcomes: Sequence[Outcome]) -> list[Call]:
        return [Call(replace(p, op="nll_loss", x=outcomes[1].outputs["value"].data), RELATION)]

    def compare(output: str, a: Sequence[Answer]) -> Comparison:
        # NLL is linear: the error of each log-probability arrives times its weight, rounded a few times here.
        scale = weights / a[0].counted.sum() if p.reduction == "mean" else weights
        part = np.abs(scale) * a[1].at(at).allowed * (1 + 2.0**-40)
        carried = part if p.reduction == "none" else np.atleast_1d(part.sum())
        sure = a[1].at(at).sure
        sides = equal_answers(a[2], a[0])
        sure = sides.sure & (sure if p.reduction == "none" else sure.all())
        return replace(sides, allowed=sides.allowed + carried, sure=sure)

    return RelationInstance((p, log), compare, ("value",), follow)


@relation("weight-scale", "weights times a power of two scale the loss, and leave the mean over labels", ops=LOSSES)
def _weight_scale(p: Problem, pick: Picker, variant: str) -> RelationInstance | None:
    if p.weight is None:
        return None
    factor = pick.choice((0.25, 2.0, 4.0))

    def compare(output: str, a: Sequence[Answer]) -> Comparison:
        # A mean over the weights of labels has them above and below, exactly.
        below = a[1].counted.sum() / a[0].counted.sum() if p.reduction == "mean" else 1.0
        return equal_answers(a[1], a[0].scaled(factor / below))

    return RelationInstance((p, replace(p, weight=p.weight * factor)), compare)


@relation(
    "flatten",
    "any shape and class axis gives the results of the flattened problem",
    variants=("ax0", "ax1", "ax2"),
    reshapes=True,
    every=3,
    with_parts=True,
)
def _flatten(p: Problem, pick: Picker, variant: str) -> RelationInstance | None:
    if p.x.ndim < 3:
        return None
    f, axis = tr.flatten(p), int(variant[-1])
    shape = np.moveaxis(p.x, p.axis, axis).shape
    return RelationInstance((tr.unflatten(f, replace(p, x=np.empty(shape), axis=axis)), f), _same)


@relation("layout", "how the input lies in memory changes nothing", variants=LAYOUTS[1:], every=3, with_parts=True)
def _layout(p: Problem, pick: Picker, variant: str) -> RelationInstance:
    if variant == "expanded":
        f = tr.flatten(p)
        cot = f.cotangent
        if cot is not None and not f.is_loss:
            cot = np.repeat(cot[:1], len(cot), axis=0)
        p = tr.unflatten(replace(f, x=np.repeat(f.x[:1], len(f.x), axis=0), cotangent=cot), p)
    return RelationInstance((p, replace(p, layout=variant)), _same)


@relation("other-rows", "a row's result does not depend on what the other rows hold", with_parts=True)
def _other_rows(p: Problem, pick: Picker, variant: str) -> RelationInstance | None:
    f = tr.per_row(tr.flatten(p))
    if f.x.shape[0] < 2:
        return None
    x = f.x[:, ::-1].copy() * (0.5 if p.op == "nll_loss" else -1.0)
    x[0] = f.x[0]
    first = slice(1)
    calls = (tr.unflatten(f, p), tr.unflatten(replace(f, x=x), p))
    return RelationInstance(calls, lambda output, a: equal_answers(a[1].at(first), a[0].at(first)))


@relation("row-alone", "a row alone has the result that it has in a batch", reshapes=True, with_parts=True)
def _row_alone(p: Problem, pick: Picker, variant: str) -> RelationInstance | None:
    f = tr.per_row(tr.flatten(p))
    if f.x.shape[0] < 2:
        return None
    i = pick.integer(0, f.x.shape[0] - 1)
    one = slice(i, i + 1)
    return RelationInstance((f, tr.rows_of(f, one)), lambda output, a: graded(a[1], a[0].at(one), "batch"))


# Enough for several blocks.
_SAMPLES = 1024


@relation("repetition", "the same call gives the same result again", with_parts=True)
def _repetition(p: Problem, pick: Picker, variant: str) -> RelationInstance:
    return RelationInstance((p, replace(p)), lambda output, a: graded(a[1], a[0], "determinism"))


@relation(
    "repetition-of-samples",
    "the same call of a thousand samples gives the same result again",
    ops=LOSSES,
    variants=("mean", "sum"),
    reshapes=True,
)
def _repetition_of_samples(p: Problem, pick: Picker, variant: str) -> RelationInstance | None:
    """Sums over so many samples meet in any order where blocks add them up atomically."""
    if p.has_probability_target:
        return None
    f = tr.samples_of(tr.flatten(p), _SAMPLES)
    # sanity check: labels, of which ignored ones may be no classes
    assert f.target is not None
    # Nothing but the sum is meant.
    plain = replace(f, weight=None, ignore_index=None, label_smoothing=0.0, target=f.target % f.x.shape[1])
    many = replace(plain, reduction=variant, cotangent=np.ones(()))
    return RelationInstance((many, replace(many)), lambda output, a: graded(a[1], a[0], "determinism"))


def _again_judge(hearing: Hearing) -> list[Observation]:
    """The second gradient against the truth, its bits against the first, and the inputs against what they were."""
    first, name = "vjp", "vjp_again"
    trouble = first_unusable(hearing, name) or first_unusable(hearing, first)
    if trouble is not None:
        return [replace(trouble, output=name)]
    once, twice = (answer(hearing, 0, output) for output in (first, name))
    sides = against(twice, once.centre)
    sides = replace(sides, allowed=sides.allowed + twice.radius, grades=graded(twice, once, "determinism").grades)
    with np.errstate(all="ignore"):
        found = decide(hearing.blank(name), hearing, sides, twice.got)
    return [_unmodified(hearing, found)]


def _unmodified(hearing: Hearing, found: Observation) -> Observation:
    if not hearing.modified:
        return found
    message = f"{hearing.check.problem.op}: {hearing.check.name}: modified its input {', '.join(hearing.modified)}"
    return replace(found, verdict="fail", message=message, share=np.inf, call=hearing.check)


@relation(
    "repeated-backward", "a second backward pass gives the gradient of the first", variants=("", "plain"), watched=True
)
def _repeated_backward(p: Problem, pick: Picker, variant: str) -> RelationInstance | None:
    if p.cotangent is None or (variant == "plain" and not _has_plain_gradient(p)):
        return None
    return RelationInstance((replace(p, repeat_backward=True),), outputs=("vjp_again",), judge=_again_judge)


def _has_plain_gradient(p: Problem) -> bool:
    """Say whether a gradient is far from 0: no class is certain, and the cotangent differs between classes."""
    # sanity check: the plan has looked
    assert p.cotangent is not None
    apart = p.is_loss or np.ptp(p.cotangent, axis=p.axis).min(initial=np.inf) > 0
    return bool(apart and np.any(p.cotangent) and np.ptp(p.x, axis=p.axis).max(initial=0) < _PLAIN)


def _purity_judge(hearing: Hearing) -> list[Observation]:
    base, outcome = hearing.blank("value"), hearing.outcomes[0].of("value")
    if outcome.error in ("unsupported", "crash", "timeout", "resource"):
        return [replace(base, verdict=outcome.error, message=outcome.message)]
    if outcome.error is not None:
        message = f"{hearing.check.problem.op}: purity: raised {outcome.error}: {outcome.message}"
        return [replace(base, message=message, share=np.inf, call=hearing.check)]
    return [_unmodified(hearing, replace(base, verdict="pass"))]


@relation("purity", "the inputs are not modified", watched=True, with_parts=True)
def _purity(p: Problem, pick: Picker, variant: str) -> RelationInstance:
    return RelationInstance((p,), outputs=("value",), judge=_purity_judge)


RELATIONS: Mapping[str, Relation] = {found.name: found for found in collected(Relation, sys.modules[__name__])}
