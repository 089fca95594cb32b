"""The session of giant calls: each is put to one target after the other, the value and the gradient apart, because the
memory of both at once may be too little where that of either will do."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace

from lossproof import __version__
from lossproof.adapters.protocol import Giant, GiantOutcome, Outcome
from lossproof.cases.sweeps.giants import GROWTH_CASES, LIMITS, GiantCall, Limits, giant_calls
from lossproof.core.observation import Observation
from lossproof.judging.giant_judge import observe_giant
from lossproof.judging.memory_growth import MemoryGrowth
from lossproof.records.waivers import Book
from lossproof.running.session import Session
from lossproof.running.session_options import Execution, Rules
from lossproof.running.sweeping.sweep_session import chunks_header, session_over
from lossproof.running.timing import Clock
from lossproof.targets import selection
from lossproof.targets.giant_asks import ask_giant
from lossproof.targets.target import Target


@dataclass
class Giants:
    """A source of observations: giant calls, in order, each put to every target. What would take more than ``most``
    bytes of memory (0: more than there are) is not asked. Each has a ``fresh`` process, or the target's goes on."""

    targets: Sequence[Target]
    calls: Sequence[GiantCall]
    most: int = 0
    fresh: bool = True
    clock: Clock = field(default_factory=Clock)
    lost: dict[str, str] = field(default_factory=dict)
    _start: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """The seconds that it took, so far."""
        return time.perf_counter() - self._start

    def observations(self) -> Generator[Observation]:
        """Every observation, call by call."""
        growth = MemoryGrowth()
        try:
            for call in self.calls:
                for target in self.targets:
                    for output in ("value", "vjp"):
                        found = observed(target, call, output, most=self.most, clock=self.clock, fresh=self.fresh)
                        yield from _with_growth(growth, target, call, found)
        finally:
            self.clock.close(self.targets)

    def book_in_force(self, book: Book) -> Book:
        """The session's book."""
        return book

    def close(self) -> None:
        """End the processes of the targets."""
        selection.close(self.targets)


def _with_growth(
    growth: MemoryGrowth, target: Target, giant: GiantCall, found: Sequence[Observation]
) -> list[Observation]:
    """What is observed of a call; that of the last shape of growth says how memory grew."""
    if giant.case not in GROWTH_CASES:
        return list(found)
    for o in found:
        growth.add(o)
    last, promised = giant.case == GROWTH_CASES[-1], target.capabilities.memory.get(giant.call.problem.op, "")
    return [growth.graded(o, promised) if last else o for o in found]


def observed(
    target: Target, giant: GiantCall, output: str, *, most: int = 0, clock: Clock | None = None, fresh: bool = True
) -> list[Observation]:
    """Ask a target one output of a giant call, and judge the answer. Each has a ``fresh`` process, or goes on."""
    clock = clock or Clock()
    p, places = giant.call.problem, giant.giant.places
    declared = target.declared(p.op, p.dtype)
    with clock.phase("waiting"):
        if places.size and declared.profile == "S":
            # docs/bounds.md, section 3: any of the classes far below may round a sum up.
            answer = GiantOutcome(Outcome(error="unsupported", message="rows of far classes are not for profile S"))
        else:
            answer = ask_giant(target, _only(giant.giant, output), most=most, fresh=fresh)
    with clock.phase("judge"):
        return observe_giant(
            giant.call,
            giant.giant,
            answer,
            target.name,
            declared,
            copies=giant.copies,
            offered=target.capabilities.outputs,
            outputs=(output,),
        )


def _only(giant: Giant, output: str) -> Giant:
    """Ask for one output: without a cotangent for the value, as those who want no gradient do."""
    p = giant.problem
    changed = replace(p, cotangent=None) if output == "value" else replace(p, only=(output,))
    return replace(giant, problem=changed)


def opened_giants(
    names: Sequence[str],
    *,
    cases: Sequence[str] = (),
    ops: Sequence[str] = (),
    dtypes: Sequence[str] = (),
    execution: Execution | None = None,
    rules: Rules | None = None,
    most: int = 0,
    limits: Limits = LIMITS,
    tell: Callable[[str], None] = lambda stage: None,
) -> Session:
    """The session of some targets (every installed one if there are no names) and giant calls.

    Close it when it is over. ``tell`` hears what is being done. Raises :class:`UsageError` for names that mean nothing.
    """
    execution, rules = execution or Execution(), rules or Rules()
    calls = giant_calls(cases, ops, dtypes, limits)
    selection.target_names(names)
    tell(f"lossproof {__version__}: starting {', '.join(names) or 'every installed target'}")
    targets = selection.choose_targets(names, execution.processes)
    try:
        tell(f"{len(calls)} giant calls for {', '.join(t.name for t in targets)}")
        book = rules.book(targets)
        header = chunks_header(targets, "giant", f"giant/{limits}", calls=len(calls))
    except BaseException:
        selection.close(targets)
        raise
    source = Giants(targets, calls, most)
    return session_over(source, targets, book, header, strict=rules.strict, outputs=2 * len(calls) * len(targets))
