"""The one loop: (targets, calls) -> observations. The command line, pytest and check_implementation are views of it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lossproof.adapters.protocol import Problem
from lossproof.batch import signature
from lossproof.call import Call
from lossproof.checks import Check, Exact, play
from lossproof.conventions import Ledger
from lossproof.expect import Truth, truth
from lossproof.judge import Observation
from lossproof.ops import solved_by
from lossproof.targets import Target
from lossproof.verdicts import observe

_MAX_STACK_ELEMENTS = 1 << 18


@dataclass
class Clock:
    """Where the time went, in seconds: inside the targets (by name), in the oracle and in the judge.

    ``withheld`` counts the calls that a target was not given, because their tier is too dear for it.
    """

    targets: dict[str, float] = field(default_factory=dict)
    withheld: dict[str, int] = field(default_factory=dict)
    oracle: float = 0.0
    judge: float = 0.0


def groups(calls: Iterable[Call]) -> Iterator[list[Call]]:
    """Neighbouring calls of one signature, in stacks small enough for memory; checks one by one."""
    for _, run in itertools.groupby(
        calls, key=lambda c: c.id if isinstance(c, Check) else (c.tier, signature(c.problem))
    ):
        members = list(run)
        step = max(1, _MAX_STACK_ELEMENTS // max(1, members[0].problem.x.size))
        for start in range(0, len(members), step):
            yield members[start : start + step]


def run(targets: Sequence[Target], calls: Iterable[Call], clock: Clock | None = None) -> Iterator[Observation]:
    """Put every call to every target and judge the answers against one truth."""
    clock = clock if clock is not None else Clock()
    ledgers = {t.adapter.name: Ledger(t.adapter.name) for t in targets}
    for group in groups(calls):
        problems = [c.problem for c in group]
        given = [t for t in targets if t.takes(group[0].tier)]
        for target in targets:
            if target not in given:
                clock.withheld[target.name] = clock.withheld.get(target.name, 0) + len(group)
        if not given:
            continue
        if isinstance(group[0], Check):
            yield from _check(group[0], given, clock, ledgers)
            continue
        start = time.perf_counter()
        truths = truths_of(problems, {t.capabilities.mean for t in given})
        clock.oracle += time.perf_counter() - start
        for target in given:
            exact = truths[target.capabilities.mean]
            start = time.perf_counter()
            outcomes = list(target.play(problems))
            clock.targets[target.name] = clock.targets.get(target.name, 0.0) + time.perf_counter() - start
            start = time.perf_counter()
            p = problems[0]
            found = observe(group, exact, outcomes, target.name, target.declared(p.op, p.dtype))
            for i, observation in enumerate(found):
                ledgers[target.adapter.name].add(group[i // len(exact.expected)], observation)
            clock.judge += time.perf_counter() - start
            yield from found
    for ledger in ledgers.values():
        yield from ledger.verdicts()


def truths_of(problems: Sequence[Problem], means: Iterable[str]) -> dict[str, Truth]:
    """The truth of the problems for each mean that a target declares; one for all where there is no mean."""
    by_reduction: dict[str, Truth] = {}
    found = {}
    for mean in means:
        solved = [solved_by(p, mean) for p in problems]
        reduction = solved[0].reduction
        if reduction not in by_reduction:
            by_reduction[reduction] = truth(solved)
        found[mean] = by_reduction[reduction]
    return found


def _check(
    check: Check, targets: Sequence[Target], clock: Clock, ledgers: Mapping[str, Ledger]
) -> Iterator[Observation]:
    """A check on every target; the truths that its judge asks for are shared."""
    exact = Exact()
    for target in targets:
        start = time.perf_counter()
        hearing = play(check, target, exact)
        clock.targets[target.name] = clock.targets.get(target.name, 0.0) + time.perf_counter() - start
        start = time.perf_counter()
        found = check.judge(hearing)
        for observation in found:
            ledgers[target.adapter.name].add(check, observation)
        clock.judge += time.perf_counter() - start
        yield from found
