"""The one loop: (targets, calls) -> observations. The command line, pytest and check_implementation are views of it."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from lossproof.batch import signature
from lossproof.call import Call
from lossproof.checks import Check, Exact
from lossproof.conventions import Ledger
from lossproof.expect import Truth, truth
from lossproof.feed import Ahead, Answers, Direct, Feed, Group
from lossproof.judge import Observation
from lossproof.launch import cores
from lossproof.targets import Player, Target
from lossproof.verdicts import observe

_MAX_STACK_ELEMENTS = 1 << 18


@dataclass
class Clock:
    """Where the time went, in seconds, by target: inside its calls, in the first call of each signature among them
    (where a compiler works), in starting its processes; and in waiting for targets, in the oracle, in the judge.

    ``withheld`` counts the calls that a target was not given, because their tier is too dear for it; ``restarts`` how
    often its processes were started again.
    """

    targets: dict[str, float] = field(default_factory=dict)
    first: dict[str, float] = field(default_factory=dict)
    starts: dict[str, float] = field(default_factory=dict)
    restarts: dict[str, int] = field(default_factory=dict)
    withheld: dict[str, int] = field(default_factory=dict)
    waiting: float = 0.0
    oracle: float = 0.0
    judge: float = 0.0

    def add(self, target: Target, group: Group, answers: Answers, seen: set[object]) -> None:
        """Count the calls of a group; ``seen`` holds the signatures that came before."""
        self.targets[target.name] = self.targets.get(target.name, 0.0) + answers.seconds
        calls = answers.hearing.calls if answers.hearing else group.calls
        for call, outcome in zip(calls, answers.outcomes, strict=True):
            key = (target.name, signature(call.problem))
            if key not in seen:
                seen.add(key)
                self.first[target.name] = self.first.get(target.name, 0.0) + outcome.seconds

    def close(self, targets: Iterable[Target]) -> None:
        """Take note of what the processes have taken."""
        for target in targets:
            seconds, restarts = getattr(target.adapter, "start_seconds", None), getattr(target.adapter, "restarts", 0)
            if seconds is not None:
                self.starts[target.name] = seconds
            if restarts:
                self.restarts[target.name] = restarts


def groups(calls: Iterable[Call]) -> Iterator[list[Call]]:
    """Neighbouring calls of one signature, in stacks small enough for memory; checks one by one."""
    for _, run in itertools.groupby(
        calls, key=lambda c: c.id if isinstance(c, Check) else (c.tier, signature(c.problem))
    ):
        members = list(run)
        step = max(1, _MAX_STACK_ELEMENTS // max(1, members[0].problem.x.size))
        for start in range(0, len(members), step):
            yield members[start : start + step]


def run(
    targets: Sequence[Target], calls: Iterable[Call], clock: Clock | None = None, *, jobs: int = 0
) -> Iterator[Observation]:
    """Put every call to every target and judge the answers against one truth.

    Targets in processes of their own are asked side by side, ``jobs`` at once (0: one for each core), ahead of the
    judge. The order of the observations is that of the calls, whoever answers first.
    """
    clock = clock if clock is not None else Clock()
    stacked = [Group(tuple(group)) for group in groups(calls)]
    ledgers = {t.adapter.name: Ledger(t.adapter.name) for t in targets}
    slots = threading.Semaphore(jobs or cores())
    seen: set[object] = set()
    with ExitStack() as stack:
        feeds: dict[str, Feed] = {}
        for target in targets:
            if isinstance(target.adapter, Player):
                given = [group for group in stacked if target.takes(group.tier)]
                feeds[target.name] = Ahead(target, given, slots)
            else:
                feeds[target.name] = Direct(target)
            stack.callback(feeds[target.name].close)
        for group in stacked:
            exact: Truth | Exact | None = None
            for target in targets:
                if not target.takes(group.tier):
                    clock.withheld[target.name] = clock.withheld.get(target.name, 0) + len(group.calls)
                    continue
                start = time.perf_counter()
                if exact is None:
                    is_check = isinstance(group.calls[0], Check)
                    exact = Exact() if is_check else truth([c.problem for c in group.calls])
                heard = time.perf_counter()
                answers = feeds[target.name].take(group)
                taken = time.perf_counter()
                found = judged(target, group, answers, exact, ledgers[target.adapter.name])
                clock.oracle += heard - start
                clock.waiting += taken - heard
                clock.judge += time.perf_counter() - taken
                clock.add(target, group, answers, seen)
                yield from found
    for ledger in ledgers.values():
        yield from ledger.verdicts()


def judged(target: Target, group: Group, answers: Answers, exact: Truth | Exact, ledger: Ledger) -> list[Observation]:
    """The observations of one target and group, in order. All targets share the truth of a group."""
    if isinstance(exact, Exact):
        # sanity check: what is put as a check is heard as one
        assert answers.hearing is not None
        hearing = replace(answers.hearing, exact=exact)
        found = hearing.check.judge(hearing)
        for observation in found:
            ledger.add(hearing.check, observation)
        return found
    p = group.calls[0].problem
    found = observe(group.calls, exact, answers.outcomes, target.name, target.declared(p.op, p.dtype))
    for i, observation in enumerate(found):
        ledger.add(group.calls[i // len(exact.expected)], observation)
    return found
