"""The report of a session in memory, for callers from Python."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field

from lossproof.core.observation import Observation
from lossproof.records.waivers import fails
from lossproof.running.options import DeckOptions, Execution, Rules
from lossproof.running.session import Ended, Session, opened
from lossproof.targets.launch import TIMEOUT


@dataclass(frozen=True)
class Report:
    """All observations of a session.

    ``ok`` is what most callers want, ``failures`` is what they read. ``reasons`` say in a line each why the session
    fails; under ``strict`` there may be some without a failure.
    """

    observations: tuple[Observation, ...]
    reasons: tuple[str, ...] = ()

    @property
    def failures(self) -> tuple[Observation, ...]:
        """The observations that make the session fail; none of them is waived."""
        return tuple(o for o in self.observations if fails(o))

    @property
    def ok(self) -> bool:
        """Say whether nothing failed."""
        return not self.failures and not self.reasons

    def raise_on_failure(self, *, limit: int = 5) -> None:
        """Raise AssertionError with the first failures, worst first, or else with the reasons."""
        worst = sorted(self.failures, key=lambda o: -o.share)
        if worst:
            lines = "\n".join(f"{o.message}\n    {o.id}" for o in worst[:limit])
            raise AssertionError(f"{len(worst)} of {len(self.observations)} outputs fail\n{lines}")
        if self.reasons:
            raise AssertionError("; ".join(self.reasons))


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
        self.report = Report(tuple(self._observations), tuple(run.reasons))


def report(session: Session) -> Report:
    """Play a session and keep all that is observed."""
    sink = ReportSink()
    session.play(sink)
    return sink.report


def run(
    *targets: str,
    deck: str = "default",
    seed: int = 0,
    ops: Iterable[str] = (),
    dtypes: Iterable[str] = (),
    families: Iterable[str] = (),
    waivers: Iterable[str] = (),
    strict: bool = False,
    jobs: int = 0,
    timeout: float = TIMEOUT,
    in_process: bool = False,
) -> Report:
    """Judge targets as ``lossproof run`` does, and return the report.

    ``targets`` are target strings such as ``torch``, ``jax+jit`` or ``file.py:ADAPTER``; without any, every installed
    one. ``deck`` is ``smoke`` or ``default``; ``seed``, ``ops``, ``dtypes`` and ``families`` choose another draw or a
    part of it. Deviations in the files ``waivers``, and those that the package knows of, are no failures; under
    ``strict`` waivers that no longer hold are. ``jobs`` targets run at once (0: one for each core), each in a process
    of its own in which a call takes at most ``timeout`` seconds, or all ``in_process``, one after the other.

    Raises :class:`UsageError` for a target, a name or a file that is not there.
    """
    options = DeckOptions(size=deck, seed=seed, ops=tuple(ops), dtypes=tuple(dtypes), families=tuple(families))
    execution = Execution(jobs=jobs, timeout=timeout, in_process=in_process)
    rules = Rules(waivers=tuple(waivers), strict=strict)
    with closing(opened(targets, deck=options, execution=execution, rules=rules)) as session:
        return report(session)
