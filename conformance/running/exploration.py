"""Exploration draws calls of every shape, option, layout and kind of logits, and shrinks one that fails."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from hypothesis import errors, target
from hypothesis import strategies as st

from lossproof.adapters.protocol import Problem
from lossproof.cases.explore.calls import calls
from lossproof.cases.explore.search import CLIMBED, search
from lossproof.cases.simplify import simpler
from lossproof.core.call import Call
from lossproof.core.observation import Observation
from lossproof.records.waivers import fails, verdict
from lossproof.running.loop import run
from lossproof.targets.target import Target

Mark = Callable[[Observation], Observation]
Vary = Callable[[Call], Call | None]


@dataclass
class Exploration:
    """An exploration has found this: so many ``drawn`` calls, of which so many were ``judged``, and the small ``call``
    that fails, if any does, with its observations."""

    drawn: int = 0
    judged: int = 0
    call: Call | None = None
    observations: list[Observation] = field(default_factory=list)

    @property
    def failures(self) -> list[Observation]:
        """The outputs of the call that fail."""
        return [o for o in self.observations if fails(o)]


@dataclass
class Explorer:
    """An explorer, whose exploration begins when its observations are asked for; then it has ``found`` something, or
    nothing."""

    explore: Callable[[], Exploration]
    found: Exploration = field(default_factory=Exploration)

    def observations(self) -> list[Observation]:
        """Explore, and return the observations of the call that fails, if any does."""
        self.found = self.explore()
        return self.found.observations


class _Failing(Exception):  # noqa: N818 (what is looked for is no error)
    """A call fails."""


def explored(
    chosen: Sequence[Target],
    op: str,
    dtypes: Collection[str],
    *,
    examples: int,
    seed: int = 0,
    mark: Mark = lambda o: o,
    vary: Vary = lambda call: call,
) -> Exploration:
    """Let hypothesis draw ``examples`` calls of an op, put each to all targets, and stop at the first that one of them
    gets wrong, shrunk.

    Part of the search climbs on the worst share of the bound. Observations that ``mark`` waives do not stop it.
    ``vary`` makes another call of each, or None where it makes none.
    """
    layouts = tuple(dict.fromkeys(name for t in chosen for name in t.capabilities.layouts))
    free = all(t.capabilities.compile_cost == "none" for t in chosen)
    found = Exploration()

    @np.errstate(all="ignore")
    def play(data: st.DataObject) -> None:
        call = vary(data.draw(calls(op, tuple(dtypes), free_shapes=free, layouts=layouts), label="call"))
        if call is None:
            return
        observations = [mark(o) for o in run(chosen, [call]) if o.id == call.id]
        judged = [o for o in observations if verdict(o) not in ("waived", "unsupported")]
        found.drawn += 1
        found.judged += bool(judged)
        shares = [o.share for o in judged if math.isfinite(o.share)]
        if call.outline.x.size <= CLIMBED:
            target(max(shares, default=0.0), label=f"worst share of the bound, {op}")
        if any(fails(o) for o in observations):
            # The minimal one is played last.
            found.call, found.observations = call, observations
            raise _Failing(call.id)

    # One that does not fail again is a finding all the same.
    with contextlib.suppress(_Failing, errors.Flaky):
        search(play, examples=examples, at=seed)
    if free and found.call is not None:
        _simplify(found, chosen, mark)
    return found


def _simplify(found: Exploration, chosen: Sequence[Target], mark: Mark) -> None:
    """Go on from what hypothesis shrank to: of a draw of many entries it finds no way to one of few."""
    first, call = found.failures[0], found.call
    # sanity check: there is a failure of a call
    assert call is not None

    def same(p: Problem) -> bool:
        other = replace(call, source=p, random_order=False)
        observations = [mark(o) for o in run(chosen, [other]) if o.id == other.id]
        still = any(fails(o) and (o.target, o.output) == (first.target, first.output) for o in observations)
        if still:
            found.call, found.observations = other, observations
        return still

    with np.errstate(all="ignore"):
        simpler(call.problem, same, at=first.index)
