"""The compiled pass says what the arrays say, and encloses what Arb encloses.

Calls of every family, op, dtype and reduction of the default deck are answered within, on and beyond their bounds.
What the pass finds is compared with ``judge_stack`` on ``truth``: the two evaluate the same formulas in other orders
and with other exponentials, so centres agree within their radii, bounds but for their own roundings, and verdicts
always.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from lossproof.adapters.protocol import Problem
from lossproof.core.batch import Batch
from lossproof.core.call import Call
from lossproof.core.formats import F64
from lossproof.core.profiles import Declared
from lossproof.judging.fused import compiler, regular_calls
from lossproof.judging.fused.entries import (
    ACCURATE,
    ALLOWED,
    GRADED,
    LOW,
    MID,
    OK,
    RAD,
    SHARE,
    ULP,
    UNDECIDED,
    WORST,
)
from lossproof.judging.fused.model_table import model_table
from lossproof.judging.fused.regular_calls import OUTPUTS, Summaries, judge_regular
from lossproof.judging.judge import Judged, judge_stack
from lossproof.truth.bounds.error_model import Model
from lossproof.truth.truth import Truth, truth
from tests.support.decks import drawn
from tests.support.thinned import WHOLE, at_least, thinned

pytestmark = pytest.mark.skipif(bool(compiler.missing()), reason=compiler.missing() or "-")

ELEMENTS = 1 << 12
LARGEST = float(np.finfo(np.float64).max)
# What float64 roundings of one formula in two orders make of a bound.
ROUNDINGS = 1e-9
PROFILES = ("W", "N", "F")


def sample() -> Iterator[Call]:
    """One call of each family, op, dtype, reduction, kind of target and use of weights."""
    met = set()
    for call in drawn():
        # Of a large call that is not taken no number is drawn.
        p = call.outline
        soft, weighted = p.has_probability_target, p.weight is not None
        key = (call.family, p.op, p.dtype, p.reduction, soft, weighted, p.label_smoothing > 0)
        if p.x.size <= ELEMENTS and set(p.want) >= {"value", "vjp"} and key not in met:
            met.add(key)
            yield call


def plain(p: Problem) -> Problem:
    return replace(p, tangent=None, target_tangent=None, wrt_target=False, repeat_backward=False)


def answers(exact: Truth, random: np.random.Generator) -> Iterator[dict[str, F64]]:
    """Answers that are right but for rounding, then some that are within, on and beyond their bounds."""
    batch = exact.batch
    yield {name: batch.fmt.round(exact.expected[name].exact.mid) for name in OUTPUTS}
    for factor in (0.5, 1 - 1e-6, 1 + 1e-6, 30.0, np.inf, np.nan):
        moved = {}
        for name in OUTPUTS:
            mid, bound = exact.expected[name].exact.mid, exact.allowed(batch.fmt.default_profile).outputs[name]
            size = np.where(np.isfinite(bound), bound, 1.0) * factor
            moved[name] = np.where(random.random(mid.shape) < 0.3, mid + np.where(mid < 0, -1, 1) * size, mid)
        yield moved


@dataclass(frozen=True)
class Compared:
    """What the pass and the arrays say of one output under one model: the enclosure of the arrays' worst entry, and the
    largest part that an enclosure has of a bound."""

    found: Sequence[float]
    judged: Judged
    reference: Sequence[float]
    blur: float

    def differ(self) -> str:
        """Say what they disagree in; nothing if they do not."""
        found, (mid, low, rad, allowed) = self.found, self.reference
        share = float(self.judged.share[0])
        slack = 2 * self.blur
        if not same(found[SHARE], share, slack + 1e-6 * abs(share)):
            return f"share {found[SHARE]!r} for {share!r}"
        on_the_edge = abs(share - 1) <= slack + ROUNDINGS
        verdict = bool(found[OK]), bool(found[UNDECIDED])
        if verdict != (bool(self.judged.ok[0]), bool(self.judged.undecided[0])) and not on_the_edge:
            return f"verdict {verdict}"
        if found[WORST] != self.judged.worst[0]:
            return ""
        if not same(found[ALLOWED], allowed, ROUNDINGS * allowed):
            return f"allowed {found[ALLOWED]!r} for {allowed!r}"
        if not same(found[RAD], rad, 1e-6 * rad):
            return f"radius {found[RAD]!r} for {rad!r}"
        if abs((found[MID] - mid) + (found[LOW] - low)) > found[RAD] + rad:
            return f"centre {found[MID]!r} + {found[LOW]!r} for {mid!r} + {low!r}"
        return ""


def same(a: float, b: float, slack: float) -> bool:
    return a == b or abs(a - b) <= slack or bool(np.isnan(a) and np.isnan(b))


def passed(batch: Batch, got: Mapping[str, F64], profile: str) -> Summaries:
    flat = {name: a.reshape(1, a.shape[0], *batch_shape(batch, name)) for name, a in got.items()}
    found = judge_regular(batch, flat, [Declared(profile)], random=True)
    # sanity check: the sample holds what the pass takes
    assert found is not None
    return found


def batch_shape(batch: Batch, name: str) -> tuple[int, ...]:
    if name == "vjp" or not batch.is_loss:
        return batch.x.shape[1:]
    return (batch.n,) if batch.reduction == "none" else (1,)


def compared(call: Call, profile: str) -> Iterator[tuple[str, Compared]]:
    """Every answer, output and model of a regular call; nothing of others."""
    exact = truth([plain(call.problem)])
    batch = exact.batch
    if batch.k < 2 or not batch.n or batch.product_error is not None or batch.back is not None:
        return
    random = np.random.default_rng(batch.n * batch.k)
    for got in answers(exact, random):
        found = passed(batch, got, profile)
        if not found.regular.all():
            return
        for name in OUTPUTS:
            e = exact.expected[name]
            for m, model in enumerate(found.models[:-1]):
                if not found.asked[0, m]:
                    continue
                allowed = exact.allowed(model.profile, randomly_ordered=model.random).outputs[name]
                judged = judge_stack(e, allowed, got[name], batch.fmt)
                at = np.unravel_index(int(judged.worst[0]), allowed.shape[1:])
                strict = np.where(e.strict, 0.0, allowed)
                reference = [float(a[0][at]) for a in (e.exact.mid, e.exact.low, e.exact.rad, strict)]
                blur = float(np.max(e.exact.rad / np.where(strict > 0, strict, np.inf), initial=0.0))
                summary = found.found[0, OUTPUTS.index(name), 0, m]
                yield f"{call.id} {name} {model.profile}", Compared(summary.tolist(), judged, reference, blur)
                if model == Model(batch.fmt, profile):
                    tail = exact.tail(name, profile)
                    kept = None if tail is None else tail.keeps(got[name][0], 0)
                    assert kept == (bool(summary[ACCURATE]) if summary[GRADED] else None), f"{call.id} {name}: tail"
                    # Where the exact result may be 0 its spacing is anything.
                    sharp = (np.abs(e.exact.mid) > e.exact.rad / ROUNDINGS).all()
                    slack = 2 * (e.exact.rad / batch.fmt.spacing(e.exact.mid)).max() + 1e-6 * judged.ulp[0]
                    assert not sharp or same(summary[ULP], judged.ulp[0], slack), f"{call.id} {name}: ulp"


# One of so many calls is taken where the tests are not whole.
ONE_OF = 36


@cache
def calls() -> tuple[Call, ...]:
    return tuple(sample())


@pytest.mark.parametrize("op", ["softmax", "log_softmax", "nll_loss", "cross_entropy"])
def test_the_pass_says_what_the_arrays_say(op: str) -> None:
    seen, regular = 0, set()
    some = thinned((c for c in calls() if c.outline.op == op), to=ONE_OF)
    for place, call in enumerate(some):
        for name, both in compared(call, PROFILES[place % 3]):
            assert not both.differ(), f"{name}: {both.differ()}"
            seen += 1
            regular.add(call.id)
    assert seen > at_least(3000, to=ONE_OF)
    assert len(regular) > 0.4 * len(some)


@pytest.mark.parametrize("op", ["softmax", "log_softmax", "nll_loss", "cross_entropy"])
def test_the_pass_encloses_what_arb_encloses(op: str) -> None:
    seen = 0
    for call in [c for c in calls() if c.outline.op == op and c.problem.x.size <= 64][:: 4 if WHOLE else 12]:
        p = plain(call.problem)
        exact = truth([p], precision=300)
        batch = exact.batch
        if batch.k < 2 or batch.product_error is not None or batch.back is not None:
            continue
        for name in OUTPUTS:
            mid, low, rad = (getattr(exact.expected[name].exact, part) for part in ("mid", "low", "rad"))
            allowed = exact.allowed(batch.fmt.default_profile).outputs[name]
            for at in np.ndindex(mid.shape[1:]):
                if np.isinf(allowed[(0, *at)]) and not exact.expected[name].strict[(0, *at)]:
                    continue
                # The entry that is to be looked at is the worst one: it alone is wrong.
                got = {n: exact.expected[n].exact.mid.copy() for n in OUTPUTS}
                got[name][(0, *at)] = -LARGEST if mid[(0, *at)] > 0 else LARGEST
                found = passed(batch, got, batch.fmt.default_profile)
                if not found.regular.all():
                    break
                summary = found.found[0, OUTPUTS.index(name), 0, 1]
                assert summary[WORST] == np.ravel_multi_index(at, mid.shape[1:])
                if not np.isfinite(mid[(0, *at)]):
                    assert same(summary[MID], mid[(0, *at)], 0.0)
                    continue
                off = abs((summary[MID] - mid[(0, *at)]) + (summary[LOW] - low[(0, *at)]))
                assert off <= summary[RAD] + rad[(0, *at)], f"{call.id} {name} {at}"
                seen += 1
    assert seen > at_least(300, to=3)


FIELDS = [
    *("u_o", "u_s", "u_i", "t_s", "t_i", "L_o", "c_d", "e_exp", "lam", "tau", "tau_i", "h_k", "h_n", "h_nk"),
    *("quotient", "unscaled", "of_inner", "of_total", "of_log", "of_hard", "of_soft", "of_smoothed"),
    *("Q_hard", "Q_soft", "Q_smoothed", "c_soft", "c_smoothed"),
]


@pytest.mark.parametrize("field", FIELDS)
def test_a_wrong_constant_is_seen(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison has teeth: with any constant of the models off by a thousandth there is a call that differs."""

    def wrong(models: Sequence[Model], n: int, k: int) -> Any:
        table = model_table(models, n, k)
        table[field] *= 1.001
        return table

    regular_calls.table_of.cache_clear()
    monkeypatch.setattr(regular_calls, "model_table", wrong)
    try:
        few = [call for call in calls() if call.problem.x.size <= 512]
        # One of every dtype, op and family comes soon.
        order = sorted(range(len(few)), key=lambda i: i % 64)
        assert any(both.differ() for i in order for _, both in compared(few[i], "N")), field
    finally:
        regular_calls.table_of.cache_clear()
