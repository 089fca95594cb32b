"""The judge of a group: the answers of several targets to the same calls become observations.

Truth is computed of what is needed to judge the answers, and shared by all targets: of outputs that nobody has
answered, and of calls that nobody has, it is not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from lossproof.adapters.protocol import Problem
from lossproof.core.call import Call
from lossproof.core.observation import Observation
from lossproof.core.operations import solved_by
from lossproof.core.profiles import Declared
from lossproof.judging.check import Exact
from lossproof.judging.fused.compiler import missing
from lossproof.judging.judgement import applied, from_text, to_text
from lossproof.judging.messages import unusable_answer
from lossproof.judging.observe import observe
from lossproof.judging.row_blocks import has_blocks, observe_in_blocks
from lossproof.running.answers import CallGroup, GroupAnswers
from lossproof.running.judgement_cache import JudgementCache
from lossproof.running.timing import Clock
from lossproof.targets.target import Target
from lossproof.truth.asked import narrowed_to
from lossproof.truth.truth import Truth, truth


# Overflow and NaN are what is looked for: the settings of NumPy of whoever calls turn them into no errors here.
@np.errstate(all="ignore")
def truths_of(problems: Sequence[Problem], means: Iterable[str]) -> dict[str, Truth]:
    """The truth of the problems for each mean that a target declares; one for all where there is no mean."""
    by_reduction: dict[str, Truth] = {}
    found: dict[str, Truth] = {}
    for mean in means:
        solved = [solved_by(p, mean) for p in problems]
        reduction = solved[0].reduction
        if reduction not in by_reduction:
            by_reduction[reduction] = truth(solved)
        found[mean] = by_reduction[reduction]
    return found


@np.errstate(all="ignore")
def judged(
    group: CallGroup,
    targets: Sequence[Target],
    answers: Sequence[GroupAnswers],
    clock: Clock,
    cache: JudgementCache | None = None,
) -> list[list[Observation]]:
    """The observations of each target, in order. What a ``cache`` has of the same answers is taken from there."""
    if group.calls[0].is_check:
        with clock.phase("judge"):
            return [_of_check(heard, shared, cache) for shared in [Exact()] for heard in answers]
    with clock.phase("judge"):
        stacks = [_Answered.of(group.calls, t, a) for t, a in zip(targets, answers, strict=True)]
        if cache is not None:
            parts: dict[int, bytes] = {}
            for s in stacks:
                s.take(cache, parts)
        if any(s.left for s in stacks):
            clock.uncompiled = missing()
            _judge_regular(group.calls, stacks)
        needed = sorted({i for s in stacks for i, _ in s.left})
        outputs = {name for s in stacks for _, name in s.left}
    if needed and has_blocks(group.calls):
        with clock.phase("judge"):
            for s in stacks:
                s.judge_in_blocks()
    elif needed:
        with clock.phase("oracle"):
            problems = narrowed_to([group.calls[i].problem for i in needed], outputs)
            exact = truths_of(problems, {s.declared.mean for s in stacks if s.left})
        with clock.phase("judge"):
            for s in stacks:
                if s.left:
                    s.judge(needed, exact[s.declared.mean])
    with clock.phase("judge"):
        for s in stacks:
            s.keep(cache)
        return [s.observations() for s in stacks]


@dataclass(frozen=True)
class _Answered:
    """The answers of one target to a stack of calls: what is observed of them so far, by the call's number and the
    output, and what is ``open`` to be judged, now or already.

    ``keys`` are those of the calls that have something to be judged, ``kept`` what the cache has of those among them
    that are judged again.
    """

    calls: Sequence[Call]
    target: Target
    answers: GroupAnswers
    declared: Declared
    offered: Collection[str]
    found: dict[tuple[int, str], Observation]
    open: dict[tuple[int, str], Observation]
    keys: dict[int, bytes] = field(default_factory=dict)
    kept: dict[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, calls: Sequence[Call], target: Target, answers: GroupAnswers) -> _Answered:
        """Look through the answers: those that are none need no truth."""
        p, offered = calls[0].outline, target.capabilities.outputs
        declared = target.declared(p.op, p.result_dtype)
        found, left = {}, {}
        for i, (call, outcome) in enumerate(zip(calls, answers.outcomes, strict=True)):
            for name in call.outputs:
                base = Observation.of(
                    call, name, target.name, profile=declared.profile, seconds=outcome.seconds, note=outcome.note
                )
                trouble = unusable_answer(base, call, outcome, offered=name in offered)
                if trouble is None:
                    left[i, name] = base
                else:
                    found[i, name] = trouble
        return cls(calls, target, answers, declared, offered, found, left)

    @property
    def left(self) -> frozenset[tuple[int, str]]:
        """What is open and not judged yet."""
        return frozenset(self.open.keys() - self.found.keys())

    def take(self, cache: JudgementCache, parts: dict[int, bytes]) -> None:
        """Take what the cache has. ``parts`` of keys are the calls', and shared by all targets."""
        outputs: dict[int, list[str]] = {}
        for i, name in self.open:
            outputs.setdefault(i, []).append(name)
        for i, names in outputs.items():
            if i not in parts:
                parts[i] = cache.keys.of_call(self.calls[i])
            self.keys[i] = cache.keys.of_answer(parts[i], self.declared, self.answers.outcomes[i], names)
        known = cache.get(list(self.keys.values()))
        for i, key in self.keys.items():
            kept = known.get(key)
            if kept is not None and kept.again:
                self.kept[i] = kept.text
            elif kept is not None:
                for name, judgement in from_text(kept.text).items():
                    self.found[i, name] = applied(self.open.pop((i, name)), self.calls[i], judgement)
                    cache.taken += 1

    def judge(self, needed: Sequence[int], exact: Truth) -> None:
        """Judge what is open, against the truth of the calls that are ``needed``."""
        left = self.left
        names = {name for _, name in left}
        calls, outcomes = [self.calls[i] for i in needed], [self.answers.outcomes[i] for i in needed]
        said = observe(calls, exact, outcomes, self.target.name, self.declared, offered=self.offered, outputs=names)
        for place, o in enumerate(said):
            key = needed[place // len(names)], o.output
            if key in left:
                self.found[key] = o

    def judge_in_blocks(self) -> None:
        """Judge what is open of large calls, some rows at a time."""
        left = self.left
        for i in sorted({i for i, _ in left}):
            names = {name for j, name in left if j == i}
            call, outcome = self.calls[i], self.answers.outcomes[i]
            of_call = observe_in_blocks(
                call, outcome, self.target.name, self.declared, offered=self.offered, outputs=names
            )
            self.found.update({(i, o.output): o for o in of_call})

    def keep(self, cache: JudgementCache | None) -> None:
        """Keep what was judged; what was kept before is compared with it."""
        if cache is None:
            return
        made: dict[int, list[Observation]] = {}
        for i, name in self.open:
            made.setdefault(i, []).append(self.found[i, name])
        for i, several in made.items():
            for o in _kept(cache, self.keys[i], self.kept.get(i), several, self.calls[i]):
                self.found[i, o.output] = o

    def observations(self) -> list[Observation]:
        """Every observation, by call and output."""
        return [self.found[i, name] for i, call in enumerate(self.calls) for name in call.outputs]


def _judge_regular(calls: Sequence[Call], stacks: Sequence[_Answered]) -> None:
    """Judge what passes, of the calls that meet no clause of section 4, where there is a compiler."""
    if missing():
        return
    # Numba is dear to import, and only here is it used.
    from lossproof.judging.fused.observe_regular import Answers, observe_regular

    for mean in {s.declared.mean for s in stacks if s.left}:
        same = [s for s in stacks if s.declared.mean == mean]
        several = [Answers(s.target.name, s.declared, s.answers.outcomes, s.left) for s in same]
        for s, found in zip(same, observe_regular(calls, several), strict=True):
            s.found.update(found)


def _kept(
    cache: JudgementCache, key: bytes, before: str | None, made: Sequence[Observation], call: Call
) -> Sequence[Observation]:
    """Observations of one answer that were judged now, and are kept; errors if they were other ones ``before``."""
    text = to_text(made)
    if before is None:
        cache.put(key, text)
        return made
    wrong = cache.mistaken(before, text)
    return [replace(o, verdict="error", message=f"{call.id}: {wrong}") for o in made] if wrong else made


def _of_check(answers: GroupAnswers, shared: Exact, cache: JudgementCache | None) -> list[Observation]:
    hearing = answers.hearing
    # sanity check: what is put as a check is heard as one
    assert hearing is not None
    check, hearing = hearing.check, replace(hearing, exact=shared)
    if cache is None:
        found = check.judge(hearing)
    else:
        key = cache.keys.of_hearing(hearing)
        kept = cache.get([key]).get(key)
        if kept is not None and not kept.again:
            found = [applied(hearing.blank(name), check, judgement) for name, judgement in from_text(kept.text).items()]
            cache.taken += len(found)
        else:
            found = list(_kept(cache, key, None if kept is None else kept.text, check.judge(hearing), check))
    return found
