"""The report of a session in memory, for callers from Python."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from lossproof.core.case_id import CONVENTION
from lossproof.core.observation import Observation
from lossproof.records.waivers import fails, verdict
from lossproof.running.session import Ended, Session
from lossproof.running.summary import severity
from lossproof.running.withheld import withheld_text

_NUMBERS = re.compile(r"\d+")


@dataclass(frozen=True, repr=False)
class Report:
    """All observations of a session, and why it fails.

    ``ok`` is what most callers want, ``failures`` or the report as text is what they read. ``reasons`` say in a line
    each why the session fails; under ``strict`` there may be some without a failure. ``withheld`` says in a line what
    targets that compile were not given, why, and which command asks it; it is empty where that is nothing.

    ``left_out`` says what else was not judged, and how it would be, ``explored`` how many calls exploration drew;
    ``hint`` is what to know of the failures. ``asked`` says in a line each what a function was asked and what it was
    not, and why, ``diagnosis`` explains its first failure on the smallest input that still shows it.
    """

    observations: tuple[Observation, ...]
    reasons: tuple[str, ...] = ()
    withheld: str = ""
    left_out: tuple[str, ...] = ()
    explored: int = 0
    hint: str = ""
    asked: tuple[str, ...] = ()
    diagnosis: str = ""

    @property
    def counts(self) -> dict[str, int]:
        """The number of observations of each verdict; known deviations are ``waived``."""
        return dict(Counter(verdict(o) for o in self.observations).most_common())

    @property
    def failures(self) -> tuple[Observation, ...]:
        """The observations that make the session fail, in the order of the run; none of them is waived."""
        return tuple(o for o in self.observations if fails(o))

    @property
    def judged(self) -> int:
        """The number of outputs that were judged: they are on offer, and something was asked of them."""
        return sum(o.verdict != "unsupported" and o.case.family != CONVENTION for o in self.observations)

    @property
    def unsupported(self) -> dict[str, int]:
        """The number of outputs that were not on offer, by the reason."""
        return dict(Counter(o.message for o in self.observations if o.verdict == "unsupported").most_common())

    @property
    def ok(self) -> bool:
        """Say whether nothing failed."""
        return not self.failures and not self.reasons

    def raise_on_failure(self, *, limit: int = 5) -> None:
        """Raise AssertionError with the first ``limit`` failures, worst first, or else with the reasons."""
        if self.failures:
            raise AssertionError(self._failures(limit))
        if self.reasons:
            raise AssertionError("; ".join(self.reasons))

    def __repr__(self) -> str:
        counts = ", ".join(f"{n} {shown}" for shown, n in self.counts.items())
        reasons = f"; fails: {'; '.join(self.reasons)}" if self.reasons else ""
        return f"<Report of {len(self.observations)} outputs: {counts or 'nothing was judged'}{reasons}>"

    def __str__(self) -> str:
        counts = ", ".join(f"{n} {shown}" for shown, n in self.counts.items())
        lines = [*self.asked, f"{len(self.observations)} outputs{': ' * bool(counts)}{counts}", *self.reasons]
        lines += [f"explored {self.explored} calls"] if self.explored else []
        lines += [self.withheld] if self.withheld else []
        lines += [f"not on offer: {n} outputs: {why}" for why, n in self.unsupported.items()]
        lines += [f"left out: {text}" for text in self.left_out]
        return "\n".join([*lines, self._failures(5)] if self.failures else lines)

    def _failures(self, limit: int) -> str:
        groups = failure_groups(self.failures)
        ways = f", in {len(groups)} ways" if len(groups) > 1 else ""
        shown = [self.diagnosis] if self.diagnosis else []
        for group in groups[:limit]:
            more = f"    and {len(group) - 1} more like it" if len(group) > 1 else ""
            shown += [group[0].message, f"    {group[0].id}", *([more] if more else [])]
        left = len(groups) - limit
        shown += [f"and {left} other ways"] if left > 0 else []
        hint = [self.hint] if self.hint else []
        return "\n".join([f"{len(self.failures)} of {len(self.observations)} outputs fail{ways}", *shown, *hint])


def failure_groups(failures: Iterable[Observation]) -> list[list[Observation]]:
    """Put failures together that likely have one cause, the worst first, in groups and in each: the same exception, or
    wrong numbers of one output in one family."""
    groups: dict[tuple[str, ...], list[Observation]] = {}
    for o in sorted(failures, key=severity, reverse=True):
        groups.setdefault(_cause(o), []).append(o)
    return list(groups.values())


def _cause(o: Observation) -> tuple[str, ...]:
    if o.got is None:
        # Of an exception the numbers in its words differ from call to call.
        return o.output, o.verdict, _NUMBERS.sub("#", o.message.partition("): ")[2])
    return o.output, o.verdict, o.case.family


@dataclass
class ReportSink:
    """Gathers a :class:`Report`, which is there when the session is over."""

    report: Report = Report(())
    _observations: list[Observation] = field(default_factory=list)

    def add(self, o: Observation) -> None:
        """Keep one observation."""
        self._observations.append(o)

    def close(self, run: Ended) -> None:
        """Make the report."""
        self.report = Report(tuple(self._observations), tuple(run.reasons), withheld_text(run.header))


def report(session: Session) -> Report:
    """Play a session and keep all that is observed. Raises KeyboardInterrupt if it is interrupted."""
    sink = ReportSink()
    if session.play(sink).facts is None:
        raise KeyboardInterrupt
    return sink.report
