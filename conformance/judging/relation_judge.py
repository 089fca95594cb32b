"""The judge of relations compares sides that are equal in exact arithmetic, within the sum of the bounds involved."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lossproof.core.batch import Bools, flat
from lossproof.core.call import detail
from lossproof.core.formats import F64
from lossproof.core.observation import Observation, bits_digest
from lossproof.judging.check import Hearing, Judge, first_unusable
from lossproof.judging.messages import multiple, own_index, told_apart
from lossproof.truth.row_quantities import counted

# One rounding of the judge's own float64 arithmetic.
U = 2.0**-53


@dataclass(frozen=True)
class Answer:
    """One output of one call in rows: (N, K), (N,) or (1,). ``sure`` entries have a finite exact value, no clause that
    leaves a choice, and no overflow within the bound; ``centre`` is within ``radius`` of the exact value.

    ``counted`` (N,) is what each row of the call adds to the denominator of the target's mean.
    """

    got: F64
    allowed: F64
    sure: Bools
    centre: F64
    radius: F64
    counted: F64

    def scaled(self, factor: float) -> Answer:
        """Return the answer multiplied by an exact factor, with the rounding of the product."""
        size = abs(factor)
        allowed = self.allowed * size + np.abs(self.got * factor) * U
        return replace(
            self, got=self.got * factor, allowed=allowed, centre=self.centre * factor, radius=self.radius * size
        )

    def at(self, where: Any) -> Answer:
        """Return some of the entries."""
        parts = (self.got, self.allowed, self.sure, self.centre, self.radius)
        got, allowed, sure, centre, radius = (np.asarray(a)[where] for a in parts)
        return Answer(got, allowed, sure, centre, radius, self.counted)

    def total(self) -> Answer:
        """Return the sum over the last axis, rounded once (``math.fsum``)."""
        got, allowed = _sums(self.got), _sums(self.allowed) * (1 + 4 * U)
        sure, centre, radius = np.asarray(self.sure.all(-1)), _sums(self.centre), _sums(self.radius)
        return Answer(got, allowed + np.abs(got) * U, sure, centre, radius, self.counted)


@dataclass(frozen=True)
class Comparison:
    """A comparison wants ``left`` and ``right`` equal within ``allowed`` wherever ``sure``; ``grades`` are recorded."""

    left: F64
    right: F64
    allowed: F64
    sure: Bools
    grades: dict[str, str] = field(default_factory=dict)


Compare = Callable[[str, Sequence[Answer]], Comparison]


def equal_answers(a: Answer, b: Answer) -> Comparison:
    """Compare two answers to problems that have one exact result."""
    return Comparison(a.got, b.got, a.allowed + b.allowed, a.sure & b.sure)


def graded(a: Answer, b: Answer, grade: str) -> Comparison:
    """Compare two answers to problems that have one exact result, and grade whether their bits are equal."""
    shown = "bitwise" if bits_digest(a.got) == bits_digest(b.got) else "varies"
    return replace(equal_answers(a, b), grades={grade: shown})


def concatenated(answers: Sequence[Answer]) -> Answer:
    """Concatenate answers along the first axis."""
    parts = [(a.got, a.allowed, a.sure, a.centre, a.radius) for a in answers]
    got, allowed, sure, centre, radius = (np.concatenate(p) for p in zip(*parts, strict=True))
    return Answer(got, allowed, sure, centre, radius, answers[0].counted)


def against(a: Answer, right: F64 | float) -> Comparison:
    """Compare an answer with exact numbers."""
    return Comparison(a.got, np.broadcast_to(np.asarray(right, dtype=np.float64), a.got.shape), a.allowed, a.sure)


def relation_judge(compare: Compare) -> Judge:
    """Make a judge of all outputs of a check."""

    def judge(hearing: Hearing) -> list[Observation]:
        return [_judge_output(hearing, name, compare) for name in hearing.check.outputs]

    return judge


def _judge_output(hearing: Hearing, name: str, compare: Compare) -> Observation:
    trouble = first_unusable(hearing, name)
    if trouble is not None:
        return trouble
    answers = [answer(hearing, i, name) for i in range(len(hearing.calls))]
    with np.errstate(all="ignore"):
        return decide(hearing.blank(name), hearing, compare(name, answers), answers[0].got)


def answer(hearing: Hearing, i: int, name: str) -> Answer:
    """Return one output of the i-th call with its bound; the value where the call has no such output."""
    p = hearing.calls[i].problem
    name = name if name in p.want else "value"
    exact, declared = hearing.truth(p), hearing.target.declared(p.op, p.result_dtype)
    expected = exact.expected[name]
    mid, low, rad = (a[0] for a in (expected.exact.mid, expected.exact.low, expected.exact.rad))
    allowed = np.where(expected.strict, 0.0, exact.allowed(declared.profile, online=declared.online).outputs[name])[0]
    sure = np.isfinite(mid) & (expected.accept[0] == 0) & (np.abs(mid) + allowed < exact.batch.format_of(name).max)
    if expected.other is not None:
        sure = np.zeros_like(sure)
    got = flat(hearing.outcomes[i].outputs[name].data, p).reshape(mid.shape)
    return Answer(got, allowed, sure, mid, np.abs(low) + rad, counted(exact.batch)[0])


def decide(base: Observation, hearing: Hearing, sides: Comparison, first: F64) -> Observation:
    """Return the observation of one output, from its two sides; ``first`` is the first call's own output."""
    error = np.abs(sides.left - sides.right)
    share = np.where(sides.allowed > 0, error / sides.allowed, np.where(error == 0, 0.0, np.inf))
    share = np.where(np.isnan(share), np.inf, share)
    share = np.where(sides.sure & ~((error <= sides.allowed) & np.isinf(sides.allowed)), share, 0.0)
    varies = "varies" in sides.grades.values()
    done = replace(base, verdict="convention" if varies else "pass", conventions=sides.grades, bits=bits_digest(first))
    if not share.size or not sides.sure.any():
        return done
    at = tuple(int(v) for v in np.unravel_index(int(share.argmax()), share.shape))
    p = hearing.check.problem
    right = float(sides.right[at])
    done = replace(
        done,
        share=float(share[at]),
        index=own_index(at, p, base.output) if sides.left.shape == first.shape else at,
        got=float(sides.left[at]),
        exact=(right, right),
        allowed=float(sides.allowed[at]),
    )
    if done.share <= 1:
        return done
    left, other = told_apart(float(sides.left[at]), right)
    text = (
        f"{p.op}({p.dtype} {detail(p)}): {hearing.check.name}: {hearing.check.provenance}; {base.output} has "
        f"{left} at [{', '.join(map(str, done.index))}] against {other}, allowed {done.allowed:.3g} "
        f"(profile {base.profile}), {multiple(done.share, 'the sum of the bounds')}"
    )
    return replace(done, verdict="fail", message=text, call=hearing.check)


def _sums(a: F64) -> F64:
    rows = a.reshape(-1, a.shape[-1])
    sums = [math.fsum(r) if np.isfinite(r).all() else float(np.sum(r)) for r in rows]
    return np.array(sums, dtype=np.float64).reshape(a.shape[:-1])
